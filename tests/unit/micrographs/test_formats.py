"""Every format, as other programs write it and read it back."""

import bz2
import gzip
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryodenoise import micrographs

in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


def drawn(seed: int, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Pixels over the whole range of integers, or normally distributed."""
    rng, dtype = np.random.default_rng(seed), np.dtype(kind)
    pixels: np.ndarray = np.frombuffer(rng.bytes(dtype.itemsize * math.prod(shape)), dtype).reshape(shape)
    if dtype.kind == "f":
        pixels = rng.normal(0, 100, shape).astype(dtype)
    return pixels


def summed(frames: np.ndarray) -> np.ndarray:
    """The specified sum: one frame after the other, in float32."""
    total: np.ndarray = frames[0].astype(np.float32)
    for frame in frames[1:]:
        total += frame.astype(np.float32)
    return total


@in_one_folder
@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(1, 4),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    kind=st.sampled_from(["i1", "i2", "f4", "u2", "f2"]),
    order=st.sampled_from("<>"),
    extended_bytes=st.integers(0, 3000),
    stamped=st.booleans(),
    pixel_size=st.floats(0.125, 20, width=32),
    suffix=st.sampled_from(sorted(COMPRESS)),
)
def test_every_mrc_file_is_read_as_mrcfile_reads_it(
    tmp_path: Path,
    seed: int,
    frames: int,
    height: int,
    width: int,
    kind: str,
    order: str,
    extended_bytes: int,
    stamped: bool,
    pixel_size: float,
    suffix: str,
) -> None:
    plain, path = tmp_path / "a.mrc", tmp_path / f"b.mrc{suffix}"
    with warnings.catch_warnings(), mrcfile.new(plain, overwrite=True) as stream:
        warnings.simplefilter("ignore")  # the statistics of float16
        stream.set_data(drawn(seed, (frames, height, width), kind).astype(order + kind))
        stream.voxel_size = pixel_size
        stream.set_extended_header(np.full(extended_bytes, 255, "V1"))
    content = plain.read_bytes()
    path.write_bytes(COMPRESS[suffix](content if stamped else content[:208] + bytes(8) + content[216:]))
    header = micrographs.read_header(path)
    assert (header.height_px, header.width_px, header.frames) == (height, width, frames)
    assert header.pixel_size_angstrom is not None
    assert abs(header.pixel_size_angstrom / pixel_size - 1) < 1e-6
    image = micrographs.read(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert np.array_equal(image, summed(mrcfile.read(plain).reshape(frames, height, width)))


layouts = st.one_of(
    st.fixed_dictionaries({"rowsperstrip": st.integers(1, 50)}),
    st.fixed_dictionaries({"tile": st.sampled_from([(16, 16), (32, 16), (16, 48), (64, 64)])}),
)
codings: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"compression": st.sampled_from(["lzw", "zlib"]), "predictor": st.booleans()}),
)


@in_one_folder
@given(
    seed=st.integers(0, 2**32),
    frames=st.integers(1, 4),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    kind=st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"]),
    order=st.sampled_from("<>"),
    bigtiff=st.booleans(),
    layout=layouts,
    coding=codings,
)
def test_every_tiff_file_is_read_as_tifffile_reads_it(
    tmp_path: Path,
    seed: int,
    frames: int,
    height: int,
    width: int,
    kind: str,
    order: Any,
    bigtiff: bool,
    layout: dict[str, Any],
    coding: dict[str, Any],
) -> None:
    path = tmp_path / "a.tif"
    pixels = drawn(seed, (frames, height, width), kind)
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=order) as writer:
        for frame in pixels:
            writer.write(frame, photometric="minisblack", contiguous=False, **layout, **coding)
    header = micrographs.read_header(path)
    assert (header.height_px, header.width_px, header.frames) == (height, width, frames)
    with tifffile.TiffFile(path) as stream:
        read_back = np.stack([page.asarray() for page in stream.pages])
    image = micrographs.read(path)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous
    assert np.array_equal(image, summed(read_back))
