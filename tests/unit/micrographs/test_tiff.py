import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from cryodenoise.errors import UserError
from cryodenoise.micrographs import tiff

IMAGE = np.random.default_rng(0).integers(0, 1000, (20, 30)).astype(np.uint16)


def written(path: Path, pixels: np.ndarray = IMAGE, **options: Any) -> Path:
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        ((1e8 / 0.6575, 1e8 / 0.6575), "CENTIMETER", 0.6575),
        ((2.54e8 / 1.5, 2.54e8 / 1.5), "INCH", 1.5),
        ((72, 72), "INCH", None),
        ((1, 1), "NONE", None),
        ((1e8 / 1001, 1e8 / 1001), "CENTIMETER", None),
    ],
)
def test_a_plausible_resolution_gives_the_pixel_size(
    tmp_path: Path, resolution: tuple[float, float], unit: str, expected: float | None
) -> None:
    header = tiff.read_header(written(tmp_path / "a.tif", resolution=resolution, resolutionunit=unit))
    assert header.pixel_size_angstrom == (expected and pytest.approx(expected, rel=1e-6))


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (np.zeros((4, 5, 3), np.uint8), {"photometric": "rgb"}, "in colours, 3 numbers a pixel"),
        (IMAGE.astype(np.uint8), {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}, "in colours"),
        (IMAGE > 500, {}, "pixels of 1 bits, sample format 1"),
        (IMAGE.astype(np.uint64), {}, "pixels of 64 bits, sample format 1"),
        (IMAGE.astype(np.complex64), {}, "pixels of 64 bits, sample format 6"),
        (IMAGE, {"compression": "zstd"}, "compression 50000, expected 1 .none., 5 .LZW. or 8"),
        (np.stack([IMAGE] * 3), {"imagej": True, "truncate": True}, "speaks of 3 images, it has 1"),
        (np.stack([IMAGE] * 3), {"truncate": True}, "speaks of 3 images, it has 1"),
        (IMAGE * np.float32(np.nan), {}, "600 of 600 pixels are NaN or infinite, the first in row 0, column 0"),
    ],
    ids=["rgb", "palette", "1-bit", "64-bit", "complex", "zstd", "imagej-stack", "several-in-one-page", "nan"],
)
def test_what_is_no_grey_image_is_refused(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        tiff.read(written(tmp_path / "a.tif", pixels, **options))


def test_pages_of_different_shapes_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as stream:
        for height in (20, 20, 10):
            stream.write(IMAGE[:height], photometric="minisblack")
    with pytest.raises(UserError, match=r"a\.tif: image 3 has 10 × 30 pixels, the first 20 × 30: .* previews"):
        tiff.read_header(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [1, 4, 5])
@pytest.mark.parametrize("place", [0, 1])
def test_a_preview_or_mask_is_not_summed_as_a_frame(tmp_path: Path, kind: int, place: int) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as stream:
        for _ in range(2):
            stream.write(IMAGE, photometric="minisblack", subfiletype=2)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as stream:
        stream.pages[place].aspage().tags[254].overwrite(kind)
    with pytest.raises(UserError, match=rf"a\.tif: image {place + 1} is a preview or a mask"):
        tiff.read(tmp_path / "a.tif")


def test_a_page_of_several_is_a_frame(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as stream:
        for _ in range(2):
            stream.write(IMAGE, photometric="minisblack", subfiletype=2)
    assert np.array_equal(tiff.read(tmp_path / "a.tif"), 2 * IMAGE)


def test_white_may_be_the_lowest_number(tmp_path: Path) -> None:
    assert np.array_equal(tiff.read(written(tmp_path / "a.tif", photometric="miniswhite")), IMAGE)


def test_pages_that_share_their_tags_are_refused(tmp_path: Path) -> None:
    shared = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (273, 4, 1, 8), (279, 3, 1, 1), (262, 3, 1, 1)]
    second = 20  # within the first page's first, nameless entry, whose last bytes are the second's count of entries
    content = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<HHHIHH", 7, 0, 0, 0, 0, 7)
    content += b"".join(struct.pack("<HHII", *entry) for entry in shared)
    content += struct.pack("<II", second, 0) + bytes(8)  # the second page's last, nameless entry, and its end
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match="its pages share their tags"):
        tiff.read_header(tmp_path / "a.tif")


def test_a_page_that_follows_itself_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", metadata=None)
    content = bytearray(path.read_bytes())
    first = int.from_bytes(content[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(content[first : first + 2], "little")
    content[end : end + 4] = first.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="circle"):
        tiff.read_header(path)


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        (256, 2**31, "cannot hold the"),
        (257, 2**31, "values, its page needs"),
        (257, 0, "0 × 30 pixels"),
        (273, 2**32 - 1, "reach beyond"),
        (279, 2**32 - 1, "reach beyond"),
        (279, 0, "0 bytes cannot hold the 1200"),
        (317, 3, "predictor 3"),
    ],
)
@pytest.mark.parametrize("bigtiff", [False, True])
def test_tags_are_held_against_the_file(tmp_path: Path, tag: int, value: int, message: str, bigtiff: bool) -> None:
    path = written(tmp_path / "a.tif", bigtiff=bigtiff, compression="lzw", predictor=True, rowsperstrip=20)
    with tifffile.TiffFile(path, mode="r+") as stream:
        stream.pages.first.tags[tag].overwrite(value)
    with pytest.raises(UserError, match=message):
        tiff.read(path)


def test_bits_in_reverse_order_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif")
    with tifffile.TiffFile(path) as stream:
        place = stream.pages.first.tags["ResolutionUnit"].offset
    content = bytearray(path.read_bytes())
    content[place : place + 2], content[place + 8] = (266).to_bytes(2, "little"), 2  # becomes a FillOrder
    path.write_bytes(content)
    with pytest.raises(UserError, match="fill order 2"):
        tiff.read(path)


@pytest.mark.parametrize(
    "content", [b"", b"II", b"II*\0", b"PK\3\4" * 9, b"II*\0" + bytes(4), b"MM\0*\0\0\0\x08" + bytes(2)]
)
def test_what_is_no_tiff_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tif: (no TIFF file|has no image|a page has 0 tags)"):
        tiff.read_header(tmp_path / "a.tif")
