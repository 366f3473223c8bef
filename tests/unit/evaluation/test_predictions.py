"""Predictions of other programs: every format gives the same images, and what is no set of predictions is refused."""

import hashlib
import io
import math
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.layout import DOCUMENT_NAME
from cryodenoise.errors import UserError
from cryodenoise.evaluation import predictions
from cryodenoise.evaluation.predictions import open_predictions
from small_datasets import random_images, write_dataset

SHAPE = (3, 6, 8)
"""The dataset has three test patches of 6 × 8."""
IMAGES = np.random.default_rng(1).normal(0.5, 0.3, SHAPE).astype(np.float16).astype(np.float32)
"""Exact in all types of floats."""
NAMES = ("test_denoised.bin", "test_denoised.npy", "test_denoised.mrc")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> DatasetRecord:
    folder = tmp_path_factory.mktemp("data")
    write_dataset(folder, random_images((6, 8)))
    return DatasetRecord.load_document(folder / DOCUMENT_NAME)


def write_raw(dtype: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "test_denoised.bin"
        path.write_bytes(IMAGES.astype(dtype).tobytes())
        return path

    return write


def save(folder: Path, images: np.ndarray) -> Path:
    path = folder / "test_denoised.npy"
    np.save(path, images, allow_pickle=False)
    return path


def write_npy(dtype: str, fortran: bool = False, with_channel: bool = False) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        images = IMAGES[:, np.newaxis] if with_channel else IMAGES
        path = save(folder, images.astype(dtype, order="F" if fortran else "C"))
        assert (b"'fortran_order': True" in path.read_bytes()[:128]) == fortran
        return path

    return write


def write_stack(folder: Path, images: np.ndarray = IMAGES) -> Path:
    path = folder / "test_denoised.mrc"
    with mrcfile.new(path) as stream:
        stream.set_data(images)
        stream.set_image_stack()
    return path


FORMATS: list[Callable[[Path], Path]] = [
    write_raw("<f4"), write_raw("<f2"), write_stack,
    *(write_npy(dtype) for dtype in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8")),
    write_npy("<f4", with_channel=True), write_npy("<f4", fortran=True), write_npy(">f8", fortran=True),
    write_npy("<f4", fortran=True, with_channel=True),
]  # fmt: skip


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("block_bytes", [1, 40, 1 << 22])
def test_every_format_gives_the_same_images(
    record: DatasetRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path],
    block_bytes: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(predictions, "_BLOCK_BYTES", block_bytes)
    path = write(tmp_path)
    with open_predictions(tmp_path, record) as reader:
        assert (reader.samples, reader.sample_shape, reader.name) == (3, (6, 8), path.name)
        assert reader.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        for indices in ([0, 1, 2], [2, 0], [1, 1], []):
            found = reader.read(np.array(indices, np.int64))
            assert found.dtype == np.float32
            assert found.flags.c_contiguous
            assert np.array_equal(found, IMAGES[indices][:, np.newaxis])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint16, np.float16])
def test_all_real_modes_of_mrc_are_read(record: DatasetRecord, tmp_path: Path, dtype: type) -> None:
    images: np.ndarray = np.arange(math.prod(SHAPE)).reshape(SHAPE).astype(dtype)
    write_stack(tmp_path, images)
    with open_predictions(tmp_path, record) as reader:
        assert np.array_equal(reader.read(np.arange(3))[:, 0], images.astype(np.float32))


def test_an_mrc_volume_and_a_big_endian_file_are_read(record: DatasetRecord, tmp_path: Path) -> None:
    path = tmp_path / "test_denoised.mrc"
    with mrcfile.new(path) as stream:
        stream.set_data(IMAGES.astype(">f4"))
        stream.set_volume()
    with open_predictions(tmp_path, record) as reader:
        assert np.array_equal(reader.read(np.arange(3))[:, 0], IMAGES)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2), max_size=5), st.booleans())
def test_any_order_of_patches_is_read(record: DatasetRecord, tmp_path: Path, indices: list[int], fortran: bool) -> None:
    write_npy("<f4", fortran)(tmp_path)
    with open_predictions(tmp_path, record) as reader:
        assert np.array_equal(reader.read(np.array(indices, np.int64))[:, 0], IMAGES[indices])


def refused(record: DatasetRecord, folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught, open_predictions(folder, record):
        pass
    missing = [word for word in (str(folder), *words) if word not in str(caught.value)]
    assert not missing, caught.value


def test_a_folder_must_hold_one_file_of_predictions(record: DatasetRecord, tmp_path: Path) -> None:
    refused(record, tmp_path, "found none", *NAMES)
    refused(record, tmp_path / "no", "does not exist")
    write_stack(tmp_path)
    write_npy("<f4")(tmp_path)
    refused(record, tmp_path, "found test_denoised.npy and test_denoised.mrc", "remove all but one")
    refused(record, tmp_path / NAMES[1], "is a file", "expected a folder")


@pytest.mark.parametrize("length", [0, 4 * 6 * 8 * 3 - 1, 4 * 6 * 8 * 4, 8 * 6 * 8 * 3])
def test_another_length_of_the_raw_file_is_refused(record: DatasetRecord, tmp_path: Path, length: int) -> None:
    (tmp_path / NAMES[0]).write_bytes(bytes(length))
    expected = "expected 576 (float32) or 288 (float16) for 3 patches of 6 × 8"
    refused(record, tmp_path, f"found {length} bytes", expected)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("write", [save, write_stack])
def test_another_count_is_refused(
    record: DatasetRecord, tmp_path: Path, count: int, write: Callable[[Path, np.ndarray], Path]
) -> None:
    write(tmp_path, np.zeros((count, 6, 8), np.float32))
    refused(record, tmp_path, f"found {count} predictions, expected 3")


@pytest.mark.parametrize("shape", [(3, 8, 6), (3, 2, 6, 8), (1, 3, 6, 8), (3, 48), (144,), (), (3, 1, 1, 6, 8)])
def test_another_shape_of_an_array_is_refused(record: DatasetRecord, tmp_path: Path, shape: tuple[int, ...]) -> None:
    save(tmp_path, np.zeros(shape, np.float32))
    refused(record, tmp_path, f"found an array of shape {shape}, expected (3, 6, 8), 3 patches of 6 × 8")


def test_another_shape_of_a_stack_is_refused(record: DatasetRecord, tmp_path: Path) -> None:
    write_stack(tmp_path, np.zeros((3, 8, 6), np.float32))
    refused(record, tmp_path, "found an array of shape (3, 8, 6), expected (3, 6, 8)")


@pytest.mark.parametrize("dtype", ["<i4", "<u1", "<c8", "?", "<U3", "<M8[s]"])
def test_another_type_is_refused(record: DatasetRecord, tmp_path: Path, dtype: str) -> None:
    save(tmp_path, np.zeros(SHAPE, dtype))
    refused(record, tmp_path, "found type", "expected float16, float32 or float64")


def test_complex_numbers_in_mrc_are_refused(record: DatasetRecord, tmp_path: Path) -> None:
    write_stack(tmp_path, np.zeros(SHAPE, np.complex64))
    refused(record, tmp_path, "MRC mode 4 (complex numbers)")


class _Touch:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._path,)


def test_pickles_are_never_loaded(record: DatasetRecord, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    np.save(tmp_path / NAMES[1], np.array([_Touch(trap)] * 3, object), allow_pickle=True)
    refused(record, tmp_path, "found type object")
    (tmp_path / NAMES[1]).write_bytes(pickle.dumps(_Touch(trap)))
    refused(record, tmp_path, "found no array in NumPy's format")
    assert not trap.exists()


def header(text: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version < (2, 0) else "<I", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x76\x00{'descr'", b"PK\x03\x04" + bytes(100), bytes(4096),
        header(b"{'descr': '<f4', 'fortran_order': False}\n"), header(b"(" * 5000), header(b"'''\n"),
        header(b"{'descr': '<q9', 'fortran_order': False, 'shape': (3, 6, 8)}\n"),
        header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 6, 8)}\n", (3, 0)), header(b"\xff\xfe"),
        header(b"[1, 2"), header(b"x" * 20_000, (2, 0)),
    ],
)  # fmt: skip
def test_what_is_no_array_is_refused(record: DatasetRecord, tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAMES[1]).write_bytes(content)
    refused(record, tmp_path, "found no array in NumPy's format", "3 patches of 6 × 8")


def test_a_header_of_version_2_is_read(record: DatasetRecord, tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, IMAGES, (2, 0), allow_pickle=False)
    (tmp_path / NAMES[1]).write_bytes(stream.getvalue())
    with open_predictions(tmp_path, record) as reader:
        assert np.array_equal(reader.read(np.arange(3))[:, 0], IMAGES)


@pytest.mark.parametrize("change", [-1, 1, -500])
@pytest.mark.parametrize("name", NAMES[1:])
def test_a_file_of_another_length_than_its_header_says_is_refused(
    record: DatasetRecord, tmp_path: Path, name: str, change: int
) -> None:
    path = write_stack(tmp_path) if name == NAMES[2] else write_npy("<f4")(tmp_path)
    os.truncate(path, path.stat().st_size + change)
    refused(record, tmp_path, str(path.stat().st_size), "header")


def test_a_huge_claim_allocates_nothing(record: DatasetRecord, tmp_path: Path) -> None:
    shape = (2**40, 2**40, 2**40)
    content = header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode())
    (tmp_path / NAMES[1]).write_bytes(content)
    refused(record, tmp_path, f"found an array of shape {shape}")
    (tmp_path / NAMES[1]).unlink()
    path = write_stack(tmp_path)
    with path.open("r+b") as stream:
        stream.write(struct.pack("<3i", 2**30, 2**30, 2**30))
    refused(record, tmp_path, "its header asks for")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
@pytest.mark.parametrize("fortran", [False, True])
def test_values_that_are_not_finite_are_refused_with_their_patch(
    record: DatasetRecord, tmp_path: Path, value: float, fortran: bool
) -> None:
    images = IMAGES.astype("<f8", order="F" if fortran else "C")
    images[1, 2, 3] = images[1, 5, 7] = value
    path = save(tmp_path, images)
    with open_predictions(tmp_path, record) as reader:
        assert np.array_equal(reader.read(np.array([2, 0]))[:, 0], IMAGES[[2, 0]])
        with pytest.raises(UserError) as caught:
            reader.read(np.array([2, 1]))
    assert f"{path}: patch 1: found 2 of 48 values" in str(caught.value)


@pytest.mark.parametrize("write", [write_raw("<f4"), write_npy("<f4", fortran=True)])
def test_a_file_that_is_cut_off_later_is_told(
    record: DatasetRecord, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    with open_predictions(tmp_path, record) as reader:
        os.truncate(path, path.stat().st_size - 4)
        with pytest.raises(UserError, match=r"cut off after \d+ bytes since it was opened"):
            reader.read(np.arange(3))
