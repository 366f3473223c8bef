import bz2
import gzip
import resource
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise import micrographs
from cryodenoise.errors import InputError, UserError
from cryodenoise.micrographs import faithful, mrc

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(20, 3, (48, 36)).astype(np.float32)
STACK = RNG.normal(10, 3, (5, 48, 36)).astype(np.float32)
LABEL = faithful.naming("unet8", "ab" * 32)
EXTENDED = bytes(range(256)) * 3


def stored(path: Path, pixels: np.ndarray = IMAGE, pixel_size: float = 0.6575, **fields: Any) -> Path:
    """An MRC file whose header fields are set to these."""
    extended = fields.pop("extended", b"")
    with mrcfile.new(path) as stream:
        stream.set_data(pixels)
        if pixels.ndim == 3:
            stream.set_image_stack()
        stream.voxel_size = pixel_size
        if extended:
            stream.set_extended_header(np.frombuffer(extended, "V1"))
        for name, value in fields.items():
            stream.header[name] = value
    return path


def denoised(source: Path, images: Any = IMAGE, mode: faithful.Mode = "float32", **options: Any) -> Path:
    path = source.with_name("denoised.mrc")
    faithful.write_denoised(path, images, source, options.get("pixel_size"), mode, LABEL)
    assert list(source.parent.glob("*.partial")) == []
    return path


def header(path: Path) -> Any:
    with mrcfile.open(path, header_only=True) as stream:
        return stream.header.copy()


def extended(path: Path) -> bytes:
    with mrcfile.open(path, header_only=True) as stream:
        return bytes(stream.extended_header.tobytes())


def swapped(path: Path) -> Path:
    """The same MRC file of float32 in the other byte order, its extended header as it is."""
    with mrcfile.open(path) as stream:
        head, kept, pixels = stream.header.copy(), stream.extended_header.tobytes(), np.asarray(stream.data)
    other = head.byteswap().view(head.dtype.newbyteorder())
    other["machst"] = (0x11, 0x11, 0, 0)
    path.write_bytes(other.tobytes() + kept + pixels.astype(">f4").tobytes())
    return path


def patched(path: Path, offset: int, content: bytes) -> Path:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)
    return path


def old_style(path: Path) -> Path:
    """As EMPIAR-10025 has them: no MAP stamp, a grid of one, a spacing of 1 Å, no axes, no angles, no version."""
    stored(path, pixel_size=1.0)
    patched(path, 28, struct.pack("<3i3f3f3i", 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0))
    return patched(patched(path, 208, bytes(8)), 108, bytes(4))


def imod_bytes(path: Path) -> Path:
    return patched(stored(path, IMAGE.astype(np.int8)), 152, struct.pack("<2i", 1146047817, 0))


def forged_labels(path: Path) -> Path:
    stored(path, nlabl=7)
    return patched(patched(path, 224, bytes(80)), 224 + 160, b"alone".ljust(80))


def nonsense(path: Path) -> Path:
    """Numbers that no reader believes, where it does not matter for the pixels."""
    stored(path)
    return patched(patched(path, 28, struct.pack("<3i6f3i", -1, -1, -1, *[np.nan] * 6, 9, 9, 9)), 196, b"\xff" * 12)


def compressed(path: Path, pack: Callable[[bytes], bytes]) -> Path:
    plain = stored(path.with_name("plain.mrc"), exttyp=b"FEI1", extended=EXTENDED)
    path.write_bytes(pack(plain.read_bytes()))
    return path


def tiff(path: Path, pixels: np.ndarray = IMAGE, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, photometric="minisblack", **options)
    return path


KINDS: dict[str, Callable[[Path], Path]] = {
    "plain": lambda folder: stored(folder / "a.mrc"),
    "mode-0": lambda folder: stored(folder / "a.mrc", IMAGE.astype(np.int8)),
    "mode-1": lambda folder: stored(folder / "a.mrc", IMAGE.astype(np.int16)),
    "mode-6": lambda folder: stored(folder / "a.mrc", IMAGE.astype(np.uint16)),
    "mode-12": lambda folder: stored(folder / "a.mrc", IMAGE.astype(np.float16)),
    "imod-bytes": lambda folder: imod_bytes(folder / "a.mrc"),
    "big-endian": lambda folder: swapped(stored(folder / "a.mrc")),
    "big-endian-extended": lambda folder: swapped(stored(folder / "a.mrc", exttyp=b"FEI1", extended=EXTENDED)),
    "old-style": lambda folder: old_style(folder / "a.mrc"),
    "volume": lambda folder: stored(folder / "a.mrc", ispg=1),
    "labels": lambda folder: forged_labels(folder / "a.mrc"),
    "nonsense": lambda folder: nonsense(folder / "a.mrc"),
    "extended-unnamed": lambda folder: stored(folder / "a.mrc", exttyp=b"\xff\0\0\1", extended=EXTENDED),
    "gzip": lambda folder: compressed(folder / "a.mrc.gz", gzip.compress),
    "bzip2": lambda folder: compressed(folder / "a.mrc.bz2", bz2.compress),
    "movie": lambda folder: stored(folder / "a.mrcs", STACK, exttyp=b"SERI", extended=EXTENDED),
    "tiff": lambda folder: tiff(folder / "a.tif"),
    "tiff-movie": lambda folder: tiff(folder / "a.tif", STACK.astype(np.uint8)),
}


@pytest.mark.parametrize("mode", ["float32", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_of_every_kind_of_input_the_output_is_valid(tmp_path: Path, kind: str, mode: faithful.Mode) -> None:
    source = KINDS[kind](tmp_path)
    before = source.read_bytes()
    image = micrographs.read(source)
    path = denoised(source, image, mode)
    with warnings.catch_warnings():
        # numpy sums float16 in float16 inside of the validator
        warnings.filterwarnings("ignore", "overflow encountered in reduce")
        assert mrcfile.validate(path)
    assert np.array_equal(micrographs.read(path), image.astype(mode))
    assert micrographs.read_header(path).pixel_size_angstrom == pytest.approx(
        micrographs.read_header(source).pixel_size_angstrom
    )
    assert source.read_bytes() == before


def test_a_header_that_is_sound_is_kept(tmp_path: Path) -> None:
    kept: dict[str, Any] = {"nxstart": 3, "nystart": -4, "nzstart": 5, "origin": (1.5, 2.5, -3.5), "exttyp": b"FEI2"}
    source = stored(tmp_path / "a.mrc", extended=EXTENDED, **kept)
    patched(source, 128, struct.pack("<2h", 32, 7))  # nint and nreal, as SerialEM has them
    patched(source, 40, struct.pack("<3f", 36 * 0.6575, 48 * 0.66, 1.0))
    path = denoised(source, IMAGE + 1)
    assert extended(path) == EXTENDED
    before, after = source.read_bytes()[:1024], path.read_bytes()[:1024]
    differing = {place // 4 * 4 for place in range(224) if before[place] != after[place]}
    assert differing <= {48, 76, 80, 84, 108, 216, 220}  # depth of the cell, statistics, version, number of labels
    assert (header(path).cella.x, header(path).cella.y) == (header(source).cella.x, header(source).cella.y)


def test_a_big_endian_file_stays_one_so_that_its_extended_header_can_be_read(tmp_path: Path) -> None:
    numbers = np.arange(192, dtype=">f4").tobytes()
    source = swapped(stored(tmp_path / "a.mrc", exttyp=b"FEI1", extended=numbers))
    path = denoised(source)
    assert extended(path) == numbers
    assert path.read_bytes()[212:216] == bytes((0x11, 0x11, 0, 0))
    assert np.array_equal(micrographs.read(path), IMAGE)


@pytest.mark.parametrize("kind", ["plain", "old-style", "nonsense", "tiff", "big-endian"])
def test_a_pixel_size_that_is_given_is_written(tmp_path: Path, kind: str) -> None:
    path = denoised(KINDS[kind](tmp_path), pixel_size=0.885)
    with mrcfile.open(path) as stream:
        assert [float(stream.voxel_size[axis]) for axis in "xyz"] == pytest.approx([0.885] * 3)


def test_an_unknown_pixel_size_stays_unknown(tmp_path: Path) -> None:
    path = denoised(tiff(tmp_path / "a.tif"))
    assert header(path).cella.tolist() == (0, 0, 0)


def test_a_resolution_of_a_tiff_file_becomes_the_pixel_size(tmp_path: Path) -> None:
    source = tiff(tmp_path / "a.tif", resolution=(1e8 / 0.6575, 1e8 / 0.6575), resolutionunit="CENTIMETER")
    assert micrographs.read_header(denoised(source)).pixel_size_angstrom == pytest.approx(0.6575)


@pytest.mark.parametrize("mode", ["float32", "float16"])
def test_statistics_are_those_of_what_is_written(tmp_path: Path, mode: faithful.Mode) -> None:
    images = RNG.normal(1000, 0.3, (5, 300, 200)).astype(np.float32)
    source = stored(tmp_path / "a.mrcs", images)
    found = header(denoised(source, iter(images), mode))
    written = images.astype(mode).astype(np.float64)
    assert (found.dmin, found.dmax) == (written.min(), written.max())
    assert found.dmean == pytest.approx(written.mean(), rel=1e-7)
    assert found.rms == (pytest.approx(written.std(), rel=1e-6) if mode == "float32" else -1)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), min_size=1, max_size=8))
def test_statistics_do_not_depend_on_how_the_pixels_are_divided(parts: list[list[float]]) -> None:
    statistics = faithful._Statistics()
    for part in parts:
        statistics.add(np.array(part, np.float32))
    every = np.concatenate([np.array(part, np.float32) for part in parts]).astype(np.float64)
    assert (statistics.least, statistics.greatest) == (every.min(), every.max())
    assert statistics.mean == pytest.approx(every.mean(), rel=1e-9, abs=1e-9)
    assert statistics.rms == pytest.approx(every.std(), rel=1e-9, abs=1e-4)


def test_a_stack_is_written_image_by_image(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.mrcs", STACK, exttyp=b"SERI", extended=EXTENDED)
    path = denoised(source, micrographs.read_images(source))
    assert mrcfile.validate(path)
    found = header(path)
    assert (found.ispg, found.mz, found.nz) == (0, 1, 5)
    assert extended(path) == EXTENDED
    assert found.exttyp == b"SERI"
    with mrcfile.open(path) as stream:
        assert np.array_equal(stream.data, STACK)
        assert float(stream.voxel_size.x) == pytest.approx(0.6575)
    arrays = denoised(source, STACK).read_bytes()
    assert arrays == path.read_bytes()


@pytest.mark.parametrize(("kind", "expected"), [(b"SERI", b""), (b"FEI1", b""), (b"", b""), (b"CCP4", EXTENDED)])
def test_of_a_summed_movie_only_an_extended_header_of_the_whole_is_kept(
    tmp_path: Path, kind: bytes, expected: bytes
) -> None:
    source = stored(tmp_path / "a.mrcs", STACK, exttyp=kind, extended=EXTENDED)
    path = denoised(source, STACK.sum(axis=0))
    assert extended(path) == expected
    assert header(path).exttyp == (b"CCP4" if expected else b"")


def test_a_stack_takes_the_memory_of_one_image(tmp_path: Path, peak_bytes: Any) -> None:
    images = np.ones((8, 1024, 1024), np.float32)
    source = stored(tmp_path / "a.mrcs", images)
    assert peak_bytes(lambda: denoised(source, (image for image in images))) < 60 << 20


@pytest.mark.parametrize(("old", "expected"), [(0, 1), (4, 5), (10, 10)])
def test_old_labels_are_kept_where_there_is_room(tmp_path: Path, old: int, expected: int) -> None:
    labels = [f"label {number}".encode() for number in range(old)] + [b""] * (10 - old)
    path = denoised(stored(tmp_path / "a.mrc", label=labels, nlabl=old))
    with mrcfile.open(path) as stream:
        assert stream.get_labels() == [label.decode() for label in labels[: expected - 1]] + [LABEL]


def test_the_label_names_program_version_and_model() -> None:
    assert LABEL == "cryodenoise 0.1.0: unet8, sha256 abababababababab"
    assert len(faithful.naming("ä" * 100, "0" * 64)) == 80


def test_equal_input_gives_equal_files(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.mrc")
    assert denoised(source).read_bytes() == denoised(source).read_bytes()


@pytest.mark.parametrize(
    ("bad", "mode", "error", "message"),
    [
        (-70000.0, "float16", UserError, "an intensity of -70000, float16 holds up to 65504: write it with mode"),
        (np.nan, "float32", InputError, "NaN or infinite"),
        (np.inf, "float16", InputError, "NaN or infinite"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path, bad: float, mode: faithful.Mode, error: type[UserError], message: str
) -> None:
    image = IMAGE.copy()
    image[3, 4] = bad
    with pytest.raises(error, match=message):
        denoised(stored(tmp_path / "a.mrc"), image, mode)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mrc"]


def test_an_interruption_leaves_the_old_file(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.mrcs", STACK)
    before = denoised(source, STACK).read_bytes()

    def broken() -> Any:
        yield STACK[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        denoised(source, broken())
    assert (tmp_path / "denoised.mrc").read_bytes() == before


def test_a_full_disk_leaves_nothing_and_is_told_with_the_file(tmp_path: Path) -> None:
    source = stored(tmp_path / "a.mrc")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as told:
            denoised(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert told.value.filename == str(tmp_path / "denoised.mrc.partial")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mrc"]


def test_a_forged_extended_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its header asks for"):
        denoised(patched(stored(tmp_path / "a.mrc"), 92, struct.pack("<i", 1 << 30)))


def test_a_compressed_file_that_ends_in_its_extended_header_is_refused(tmp_path: Path) -> None:
    plain = stored(tmp_path / "plain.mrc", exttyp=b"FEI1", extended=EXTENDED).read_bytes()
    source = tmp_path / "a.mrc.gz"
    source.write_bytes(gzip.compress(plain[:1100]) + bytes(8192))
    with pytest.raises(InputError, match="ends in its extended header"):
        denoised(source)


@pytest.mark.parametrize("suffix", [".mrc", ".mrc.gz", ".tif"])
def test_images_are_read_for_themselves(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tiff(path, STACK, rowsperstrip=7)
    else:
        stored(tmp_path / "plain.mrc", STACK)
        content = (tmp_path / "plain.mrc").read_bytes()
        path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    images = list(micrographs.read_images(path))
    assert np.array_equal(images, STACK)
    assert all(image.dtype == np.float32 and image.flags.c_contiguous for image in images)


@pytest.mark.parametrize("suffix", [".mrc", ".tif"])
def test_a_bad_image_of_a_stack_is_named(tmp_path: Path, suffix: str) -> None:
    pixels = STACK.copy()
    pixels[2, 5, 6] = np.nan
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tiff(path, pixels)
    else:
        patched(stored(path, STACK), 1024, pixels.tobytes())
    images = micrographs.read_images(path)
    next(images), next(images)
    with pytest.raises(InputError, match="image 3: 1 of 1728 pixels are NaN or infinite, the first in row 5, column 6"):
        next(images)


def test_an_image_is_read_as_it_is_by_read(tmp_path: Path) -> None:
    mrc.write(tmp_path / "a.mrc", IMAGE, 1.0)
    (image,) = micrographs.read_images(tmp_path / "a.mrc")
    assert np.array_equal(image, micrographs.read(tmp_path / "a.mrc"))
