"""HDF5 stacks as h5py writes them, sound and otherwise."""

import fnmatch
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cryodenoise.errors import InputError, UserError
from cryodenoise.micrographs import hdf5
from cryodenoise.micrographs.image import REMEDY


def images(count: int = 5, height: int = 6, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).random((count, height, width), np.float32)


def written(path: Path, pixels: np.ndarray, **how: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels, **how)
    return path


@pytest.mark.parametrize("axis", [None, 1, 3])
def test_the_published_layout_and_its_kin_are_read(tmp_path: Path, axis: int | None) -> None:
    pixels = images()
    path = written(tmp_path / "a.h5", pixels if axis is None else np.expand_dims(pixels, axis))
    assert hdf5.read_header(path) == hdf5.Stack(5, 6, 7, "<f4")
    for index, expected in enumerate(pixels):
        found = hdf5.read_image(path, index)
        assert found.flags.c_contiguous
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8", ">f8", "u1", "<i2", "<u4", "<i8"])
def test_types_become_float32(tmp_path: Path, dtype: str) -> None:
    pixels = (images() * 100).astype(dtype)
    path = written(tmp_path / "a.HDF5", pixels)
    assert hdf5.is_stack(path)
    assert hdf5.read_image(path, 3).dtype == np.float32
    np.testing.assert_array_equal(hdf5.read_image(path, 3), pixels[3].astype(np.float32))


@pytest.mark.parametrize("how", [{"chunks": (2, 4, 4)}, {"chunks": (1, 6, 7), "compression": "gzip"}, {"chunks": True}])
def test_chunks_are_read(tmp_path: Path, how: dict[str, Any]) -> None:
    path = written(tmp_path / "a.h5", images(), **how)
    np.testing.assert_array_equal(np.stack([hdf5.read_image(path, index) for index in range(5)]), images())


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", images())
    hdf5.read_image(path, 0)
    written(tmp_path / "b.h5", images(8) + 1).replace(path)
    assert hdf5.read_header(path).count == 8
    np.testing.assert_array_equal(hdf5.read_image(path, 7), (images(8) + 1)[7])


def test_names_of_images_sort_as_the_images() -> None:
    assert hdf5.member("train/a.h5", 12, 100) == "train/a.h5#00012"
    names = [hdf5.member("a.h5", index, 100_001) for index in (0, 9, 10, 99_999, 100_000)]
    assert names == sorted(names)
    assert names[0] == "a.h5#000000"


def cut_off(path: Path) -> None:
    content = written(path, images(50, 32, 32)).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def with_a_cut_head(path: Path) -> None:
    path.write_bytes(written(path, images()).read_bytes()[:100])


def under_another_name(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["picture"], file["labels"] = images(), 1


def a_group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("images")


def linked(path: Path) -> None:
    other = written(path.with_name("other.h5"), images())
    with h5py.File(path, "w") as file:
        file["images"] = h5py.ExternalLink(other.name, "images")


def softly_linked(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["images"] = h5py.SoftLink("/nowhere")


def virtual(path: Path) -> None:
    other = written(path.with_name("other.h5"), images())
    layout = h5py.VirtualLayout(shape=(5, 6, 7), dtype="f4")
    layout[:] = h5py.VirtualSource(other, "images", shape=(5, 6, 7))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("images", layout)


def stored_elsewhere(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "images", (5, 6, 7), "f4", external=[(str(path.with_name("raw.bin")), 0, h5py.h5f.UNLIMITED)]
        )


def never_written(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (1_000_000, 1024, 1024), "f4", chunks=(1, 64, 64))


def never_allocated(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (1_000_000, 1024, 1024), "f4")


def in_part(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (5, 6, 7), "f4", chunks=(1, 6, 7))[:4] = images()[:4]


def many_in_a_chunk(path: Path) -> None:
    with h5py.File(path, "w") as file:
        array = file.create_dataset("images", (16384, 64, 64), "f4", chunks=(16384, 32, 32), compression="gzip")
        for at in np.ndindex(1, 2, 2):
            array.id.write_direct_chunk((0, at[1] * 32, at[2] * 32), b"no chunk is decoded")


def more_chunk_than_image(path: Path) -> None:
    with h5py.File(path, "w") as file:
        most = (None, None, None)
        array = file.create_dataset(
            "images", (1, 64, 64), "f4", chunks=(1, 8192, 8192), maxshape=most, compression="gzip"
        )
        array.id.write_direct_chunk((0, 0, 0), b"nor this one", filter_mask=0)


def forged(path: Path) -> None:
    """A header that promises four times the images that the file was written with."""
    content = bytearray(written(path, images(50)).read_bytes())
    fifty, more = (np.array([count, 6, 7], "<u8").tobytes() for count in (50, 200))
    at = content.index(fifty)
    content[at : at + len(more)] = more
    path.write_bytes(content)


SHAPES = "expected n × h × w, n × h × w × 1 or n × 1 × h × w, none of them 0"
TYPES = "expected floats of 16, 32 or 64 bits, or integers: convert it"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut_off, "damaged or cut off (*): REMEDY"),
        (with_a_cut_head, "damaged or cut off (*): REMEDY"),
        (lambda path: path.write_bytes(b"<html>"), "no HDF5 file, it begins with b'<html>': REMEDY"),
        (lambda path: path.write_bytes(b""), "no HDF5 file, it begins with b'': REMEDY"),
        (under_another_name, "no array 'images', there is 'labels', 'picture': name the array 'images'"),
        (a_group, "'images' is a group, expected an array of shape (n, h, w): REMEDY"),
        (lambda path: written(path, images()[0]), f"'images' has the shape 6 × 7, {SHAPES}: REMEDY"),
        (
            lambda path: written(path, images().reshape(5, 2, 3, 7)),
            f"'images' has the shape 5 × 2 × 3 × 7, {SHAPES}: REMEDY",
        ),
        (lambda path: written(path, images()[:0]), f"'images' has the shape 0 × 6 × 7, {SHAPES}: REMEDY"),
        (
            lambda path: written(path, np.array(1, np.float32)),
            f"'images' has the shape a single value, {SHAPES}: REMEDY",
        ),
        (lambda path: written(path, images() > 0.5), f"'images' holds bool, {TYPES}"),
        (lambda path: written(path, images().astype("c8")), f"'images' holds complex64, {TYPES}"),
        (lambda path: written(path, np.full((2, 3, 4), b"text")), f"'images' holds |S4, {TYPES}"),
        (
            lambda path: written(path, np.full((2, 3, 4), "text", object), dtype=h5py.string_dtype()),
            f"'images' holds object, {TYPES}",
        ),
        (linked, "'images' is a link to elsewhere, expected an array in the file itself: copy it in"),
        (softly_linked, "'images' is a link to elsewhere, expected an array in the file itself: copy it in"),
        (virtual, "the pixels of 'images' lie in other files: copy them into one"),
        (stored_elsewhere, "the pixels of 'images' lie in other files: copy them into one"),
        (
            never_written,
            "'images' promises 1000000 images of 4194304 bytes, more than was ever written to the file: REMEDY",
        ),
        (
            never_allocated,
            "'images' promises 1000000 images of 4194304 bytes, more than was ever written to the file: REMEDY",
        ),
        (in_part, "'images' promises 5 images of 168 bytes, more than was ever written to the file: REMEDY"),
        (forged, "*"),
        (
            many_in_a_chunk,
            "reading one image of 'images' decodes 256 MiB, as 16384 of them share a chunk, at most 64 MiB expected: "
            "rewrite it, `h5repack -l images:CHUNK=1x64x64 a.h5 new.h5`",
        ),
        (
            more_chunk_than_image,
            "reading one image of 'images' decodes 256 MiB, as its chunks are 1 × 8192 × 8192, at most 64 MiB "
            "expected: rewrite it, `h5repack -l images:CHUNK=1x64x64 a.h5 new.h5`",
        ),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "a.h5"
    spoil(path)
    expected = fnmatch.translate(f"{path}: {message}".replace("REMEDY", REMEDY).replace("[", "[[]"))
    for read in (hdf5.read_header, lambda path: hdf5.read_image(path, 0)):
        with pytest.raises(UserError) as caught:
            read(path)
        assert re.match(expected, str(caught.value)), str(caught.value)
        assert str(caught.value).count(str(path)) == 1
        assert "\n" not in str(caught.value)


def test_chunks_of_many_images_are_decoded_once(tmp_path: Path) -> None:
    pixels = images(200, 64, 64)  # more than HDF5 keeps unless it is told to
    path = written(tmp_path / "a.h5", pixels, chunks=(200, 32, 32), compression="gzip")
    with h5py.File(path) as file:
        chunks = [file["images"].id.get_chunk_info(number) for number in range(4)]
    assert hdf5.cached_bytes(path) >= pixels.nbytes
    np.testing.assert_array_equal(hdf5.read_image(path, 0), pixels[0])
    state = path.stat()
    with path.open("r+b") as stream:
        for chunk in chunks:
            stream.seek(chunk.byte_offset)
            stream.write(bytes(chunk.size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    for index in (0, 1, 199):  # though no chunk of the file can be decoded any more
        np.testing.assert_array_equal(hdf5.read_image(path, index), pixels[index])


@pytest.mark.parametrize("how", [{}, {"chunks": (1, 6, 7)}])
def test_images_of_their_own_chunks_are_not_kept(tmp_path: Path, how: dict[str, Any]) -> None:
    assert hdf5.cached_bytes(written(tmp_path / "a.h5", images(), **how)) == 1 << 20


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_pixel_that_is_no_number_is_refused_with_its_image(tmp_path: Path, value: float) -> None:
    pixels = images().astype("f8")
    pixels[2, 1, 3] = value
    path = written(tmp_path / "a.h5", pixels)
    hdf5.read_image(path, 1)
    with pytest.raises(InputError, match=r"a\.h5#00002: 1 of 42 pixels .* row 1, column 3"):
        hdf5.read_image(path, 2)


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_no_image_beyond_the_last(tmp_path: Path, index: int) -> None:
    path = written(tmp_path / "a.h5", images())
    with pytest.raises(UserError, match="no such image, the file holds 5"):
        hdf5.read_image(path, index)


def test_a_damaged_chunk_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", images(5, 64, 64), chunks=(1, 64, 64), compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        at = file["images"].id.get_chunk_info(3).byte_offset + 1000
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    hdf5.read_image(path, 2)
    with pytest.raises(InputError, match=r"a\.h5#00003: cannot be decoded"):
        hdf5.read_image(path, 3)
