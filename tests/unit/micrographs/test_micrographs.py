import gzip
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import tifffile

from cryodenoise import micrographs
from cryodenoise.errors import InputError, UserError

FRAMES = np.random.default_rng(0).poisson(5, (3, 20, 30)).astype(np.uint8)
GAIN = np.random.default_rng(1).uniform(0.5, 2, (20, 30)).astype(np.float32)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    tifffile.imwrite(tmp_path / "movie.tif", FRAMES, photometric="minisblack", compression="lzw")
    return tmp_path / "movie.tif"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.mrc", "a"), ("a.b.MRC", "a.b"), ("a.mrcs", "a"), ("a.mrc.gz", "a"), ("a.Mrcs.GZ", "a"),
        ("a.mrc.bz2", "a"), ("a.tif", "a"), ("a_1.0.TIFF", "a_1.0"),
    ],
)  # fmt: skip
def test_names_of_micrographs(name: str, expected: str) -> None:
    assert micrographs.is_micrograph(Path("raw") / name)
    assert micrographs.stem(Path("raw") / name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.map", "a"), ("a.rec", "a"), ("a.eer", "a"), ("a.gz", "a"), ("a.tif.gz", "a.tif"), ("mrc", "mrc"),
     (".mrc", ".mrc"), ("a.mrc.partial", "a.mrc")],
)  # fmt: skip
def test_names_of_other_files(name: str, expected: str) -> None:
    assert not micrographs.is_micrograph(Path(name))
    assert micrographs.stem(Path(name)) == expected


@pytest.mark.parametrize(("name", "remedy"), [("a.eer", "sum it to an MRC"), ("gain.dm4", "convert it to MRC or TIFF")])
def test_other_formats_are_named(tmp_path: Path, name: str, remedy: str) -> None:
    (tmp_path / name).write_bytes(b"II*\0")
    for read in (micrographs.read_header, micrographs.read):
        with pytest.raises(UserError, match=rf"{name}: its name ends in none of \.mrc, .*: {remedy}"):
            read(tmp_path / name)


def test_frames_are_summed(movie: Path) -> None:
    assert np.array_equal(micrographs.read(movie), FRAMES.astype(np.float32).sum(axis=0))


def test_the_sum_is_multiplied_by_the_gain(movie: Path) -> None:
    image = micrographs.read(movie)
    before = image.copy()
    micrographs.apply_gain(movie, image, GAIN)
    assert np.array_equal(image, before * GAIN)


def test_a_gain_reference_of_another_shape_is_refused(movie: Path) -> None:
    with pytest.raises(UserError, match=r"movie\.tif: 20 × 30 pixels, its gain reference 30 × 20: .* turned"):
        micrographs.apply_gain(movie, micrographs.read(movie), GAIN.T)


def test_a_sum_beyond_float32_is_refused(tmp_path: Path) -> None:
    frames = np.zeros((2, 4, 5), np.float32)
    frames[:, 2, 1:] = 3e38
    tifffile.imwrite(tmp_path / "a.tif", frames, photometric="minisblack")
    with pytest.raises(InputError, match="4 of 20 pixels are NaN or infinite, the first in row 2, column 1"):
        micrographs.read(tmp_path / "a.tif")


def test_the_digest_is_the_same_for_every_format(movie: Path) -> None:
    with mrcfile.new(movie.parent / "a.mrc.bz2", compression="bzip2") as stream:
        stream.set_data(FRAMES.astype(np.int16))
    digests = [micrographs.pixel_digest(micrographs.read(path)) for path in (movie, movie.parent / "a.mrc.bz2")]
    assert digests[0] == digests[1]


def test_many_frames_take_no_more_memory_than_one_image(tmp_path: Path, peak_bytes: Callable[..., int]) -> None:
    frames = np.zeros((40, 700, 500), np.int16)
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(frames.astype(">i2"))
    tifffile.imwrite(tmp_path / "b.tif", frames, photometric="minisblack")
    tifffile.imwrite(tmp_path / "c.tif", frames, photometric="minisblack", compression="lzw", rowsperstrip=100)
    for name in ("a.mrc", "b.tif", "c.tif"):
        assert peak_bytes(lambda path=tmp_path / name: micrographs.read(path)) < 3 * 4 * 700 * 500


@pytest.mark.parametrize("suffix", [".mrcs", ".mrcs.gz", ".tif"])
@pytest.mark.parametrize("frames", [2, 6])
def test_halves_are_the_sums_of_every_other_frame(tmp_path: Path, suffix: str, frames: int) -> None:
    movie = np.random.default_rng(0).normal(0, 1, (frames, 37, 23)).astype(np.float32)
    path = tmp_path / f"a{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, movie, photometric="minisblack")
    else:
        with mrcfile.new(tmp_path / "a.mrcs", overwrite=True) as stream:
            stream.set_data(movie)
        if suffix.endswith(".gz"):
            path.write_bytes(gzip.compress((tmp_path / "a.mrcs").read_bytes()))
    even, odd, whole = micrographs.read_halves(path)
    for image, part in ((even, movie[::2]), (odd, movie[1::2]), (whole, movie)):
        total = part[0].copy()
        for frame in part[1:]:
            total += frame
        assert image.tobytes() == total.tobytes()
    assert whole.tobytes() == micrographs.read(path).tobytes()


@pytest.mark.parametrize("frames", [1, 3])
def test_an_odd_number_of_frames_has_no_halves(tmp_path: Path, frames: int) -> None:
    with mrcfile.new(tmp_path / "a.mrcs") as stream:
        stream.set_data(np.ones((frames, 8, 8), np.float32))
    with pytest.raises(UserError, match=f"{frames} frames?, expected an even number"):
        micrographs.read_halves(tmp_path / "a.mrcs")
