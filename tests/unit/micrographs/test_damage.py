"""Damaged and forged files are refused, in the memory that their length warrants."""

import bz2
import gzip
import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cryodenoise import micrographs
from cryodenoise.errors import InputError, UserError

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
PeakBytes = Callable[[Callable[[], object]], int]
FRAMES = np.random.default_rng(0).poisson(9, (2, 14, 11)).astype(np.uint16)
SPARE_BYTES = 6 << 20
"""What reading may take beside the image; bzip2 alone needs 4 MB."""


def tiff_bytes(**options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, FRAMES, photometric="minisblack", **options)
    return stream.getvalue()


MRC = struct.pack("<4i", 11, 14, 2, 6).ljust(1024, b"\0") + FRAMES.astype("<u2").tobytes()
FILES = {
    "a.mrc": MRC,
    "b.mrc": struct.pack(">4i", 11, 14, 2, 6).ljust(1024, b"\0") + FRAMES.astype(">u2").tobytes(),
    "c.mrc.gz": gzip.compress(MRC),
    "d.mrc.bz2": bz2.compress(MRC),
    "e.tif": tiff_bytes(),
    "f.tif": tiff_bytes(compression="lzw", rowsperstrip=5),
    "g.tif": tiff_bytes(compression="zlib", predictor=True, tile=(16, 16), byteorder=">"),
    "h.tif": tiff_bytes(compression="lzw", predictor=True, bigtiff=True),
}


def read_or_refused(path: Path) -> np.ndarray | None:
    """The image, or None where a UserError said why not; anything else fails."""
    try:
        header = micrographs.read_header(path)
        image = micrographs.read(path)
    except UserError:
        return None
    assert image.shape == (header.height_px, header.width_px)
    assert np.isfinite(image).all()
    return image


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_byte_is_refused_or_whole(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, FILES[name]
    path.write_bytes(content)
    assert np.array_equal(micrographs.read(path), FRAMES.sum(axis=0))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        image = read_or_refused(path)
        if image is not None:  # a text at the end of a TIFF file that no reader of pixels needs
            assert name.endswith(".tif")
            assert np.array_equal(image, FRAMES.sum(axis=0))


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_never_crashes_a_reader(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, FILES[name]
    for place in range(len(content)):
        for change in (0x01, 0x80, 0xFF):
            path.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
            image = read_or_refused(path)
            if name.endswith((".gz", ".bz2")) and image is not None:  # these have checksums
                assert np.array_equal(image, FRAMES.sum(axis=0))


@in_one_folder
@given(name=st.sampled_from(sorted(FILES)), data=st.data())
def test_changed_numbers_take_no_more_memory_than_the_file_warrants(
    tmp_path: Path, peak_bytes: PeakBytes, name: str, data: st.DataObject
) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 600) - 4))
        number = data.draw(
            st.one_of(st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from([2**31 - 1, 2**16]))
        )
        content[place : place + 4] = number.to_bytes(4, data.draw(st.sampled_from(["little", "big"])))
    (tmp_path / name).write_bytes(content)
    assert peak_bytes(lambda: read_or_refused(tmp_path / name)) < SPARE_BYTES


@in_one_folder
@given(
    numbers=st.lists(st.one_of(st.integers(-1, 50), st.integers(-(2**31), 2**31 - 1)), min_size=3, max_size=3),
    mode=st.sampled_from([0, 1, 2, 3, 4, 6, 12, 16, 101, -1, 77]),
    extended_bytes=st.one_of(st.sampled_from([0, 0, 4, -4]), st.integers(-(2**31), 2**31 - 1)),
    body=st.binary(max_size=300),
    order=st.sampled_from("<>"),
    suffix=st.sampled_from([".mrc", ".mrc.gz", ".mrc.bz2"]),
    fits=st.booleans(),
)
@example([2**12, 2**12, 1], 0, 0, b"", "<", ".mrc.bz2", False)  # as bzip2 can compress, but did not
@example([2**15, 2**15, 2**15], 2, 0, b"", "<", ".mrc.gz", False)
def test_forged_mrc_headers_take_no_more_memory_than_the_file_warrants(
    tmp_path: Path,
    peak_bytes: PeakBytes,
    numbers: list[int],
    mode: int,
    extended_bytes: int,
    body: bytes,
    order: str,
    suffix: str,
    fits: bool,
) -> None:
    if fits:
        numbers, extended_bytes = [max(1, len(body)), 1, 1], 0
    header = struct.pack(order + "4i", *numbers, mode).ljust(92, b"\0") + struct.pack(order + "i", extended_bytes)
    content = header.ljust(1024, b"\0") + body
    path = tmp_path / f"a{suffix}"
    compress: dict[str, Callable[[bytes], bytes]] = {".mrc": bytes, ".mrc.gz": gzip.compress, ".mrc.bz2": bz2.compress}
    path.write_bytes(compress[suffix](content))
    assert peak_bytes(lambda: read_or_refused(path)) < SPARE_BYTES


@in_one_folder
@given(content=st.binary(max_size=2000), start=st.sampled_from([b"", b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"BZh9"]))
@pytest.mark.parametrize("name", ["a.mrc", "a.mrc.gz", "a.mrc.bz2", "a.tif"])
def test_any_bytes_are_read_or_refused(tmp_path: Path, name: str, start: bytes, content: bytes) -> None:
    (tmp_path / name).write_bytes(start + content)
    read_or_refused(tmp_path / name)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (MRC[:1000], "1000 bytes, shorter than the 1024 of an MRC header"),
        (MRC[:-1], "ends in row 0 of frame 2 of 2: it is truncated"),
        (MRC + b"\0", "longer than its header says: it is damaged"),
    ],
)
def test_a_compressed_file_must_hold_what_its_header_says(
    tmp_path: Path, compress: Callable[[bytes], bytes], content: bytes, message: str
) -> None:
    path = tmp_path / ("a.mrc.gz" if compress is gzip.compress else "a.mrc.bz2")
    path.write_bytes(compress(content))
    with pytest.raises(UserError, match=message):
        micrographs.read(path)


@pytest.mark.parametrize(
    ("name", "surplus", "sound"),
    [("a.mrc.gz", bytes(9), True), ("a.mrc.gz", b"x", False), ("a.mrc.bz2", bytes(9), True), ("a.mrc.bz2", b"x", True)],
)
def test_what_may_follow_a_compressed_stream(tmp_path: Path, name: str, surplus: bytes, sound: bool) -> None:
    (tmp_path / name).write_bytes(FILES["c.mrc.gz" if name.endswith("gz") else "d.mrc.bz2"] + surplus)
    image = read_or_refused(tmp_path / name)
    assert (image is not None) == sound
    assert image is None or np.array_equal(image, FRAMES.sum(axis=0))


def test_a_plain_file_under_a_compressed_name_is_refused(tmp_path: Path) -> None:
    for name in ("a.mrc.gz", "a.mrc.bz2"):
        (tmp_path / name).write_bytes(MRC)
        with pytest.raises(InputError, match=rf"{name}: cannot be decompressed \(.*\)"):
            micrographs.read_header(tmp_path / name)


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        micrographs.read(tmp_path / "a.mrc.gz")
