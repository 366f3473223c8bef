"""Images that any other program denoised: one file with a prediction for each patch of the test split.

docs/FORMATS.md tells the format to other programs. The file is read by ranges, in constant memory.
"""

import math
import os
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.layout import SAMPLE_DTYPES
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.micrographs import mrc

_STEM = "test_denoised"
_REMEDY = "write a prediction for each patch of test_input.bin, in their order (docs/FORMATS.md)"
_BLOCK_BYTES = 1 << 22
Shape = tuple[int, int, int]
"""Patches, rows, columns."""


@dataclass(frozen=True)
class Stored:
    """Where the pixels of a file are.

    Attributes:
        dtype: Of a pixel, with its byte order.
        offset_bytes: Where the first pixel is.
        patches_fastest: Whether the first pixels of all patches come first (Fortran's order), not those of one patch.
    """

    dtype: np.dtype
    offset_bytes: int = 0
    patches_fastest: bool = False


class PredictionsReader:
    """Predictions for the test split, read by index; an open file, and constant memory whatever its size.

    Attributes:
        path: The file.
        samples: How many predictions it holds.
        sample_shape: Rows and columns of each.
    """

    def __init__(self, path: Path, shape: Shape, stored: Stored) -> None:
        """Open the file.

        Args:
            path: The file.
            shape: Of its predictions, as `stored` was held against.
            stored: Where its pixels are.
        """
        self.path = path
        self.samples, *rows_columns = shape
        self.sample_shape = (rows_columns[0], rows_columns[1])
        self._stored = stored
        self._descriptor = os.open(path, os.O_RDONLY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file, which is read as a whole for it, once."""
        return sha256_of(self.path)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Read predictions; several threads may do so at a time.

        Args:
            indices: Of which patches of the test split, counted from 0, shape (n,).

        Returns:
            float32, shape (n, 1, h, w).

        Raises:
            UserError: If a value is not finite as float32, or the file ends early.
        """
        if self._stored.patches_fastest:
            batch = self._gathered(indices)
        else:
            batch = np.empty((len(indices), math.prod(self.sample_shape)), np.float32)
            for slot, index in zip(batch, indices, strict=True):
                slot[:] = self._pixels(int(index) * slot.size, slot.size)
        finite = np.isfinite(batch)
        if not finite.all():
            worst = int(np.argmin(finite.all(axis=1)))
            count = int(np.count_nonzero(~finite[worst]))
            raise UserError(
                f"{self.path}: patch {indices[worst]}: found {count} of {batch.shape[1]} values that are NaN, infinite "
                "or beyond float32, expected none: see what the program that denoised does there"
            )
        return batch.reshape(len(indices), 1, *self.sample_shape)

    def _gathered(self, indices: np.ndarray) -> np.ndarray:
        """Predictions of a file in Fortran's order, which is read as a whole: patches run fastest, then rows."""
        rows, columns = self.sample_shape
        batch = np.empty((len(indices), rows * columns), np.float32)
        step = max(1, _BLOCK_BYTES // (self.samples * self._stored.dtype.itemsize))
        for first in range(0, rows * columns, step):
            count = min(step, rows * columns - first)
            block = self._pixels(first * self.samples, count * self.samples).reshape(count, self.samples)
            batch[:, first : first + count] = block[:, indices].T
        return np.ascontiguousarray(batch.reshape(-1, columns, rows).swapaxes(1, 2)).reshape(batch.shape)

    def _pixels(self, first: int, count: int) -> np.ndarray:
        """Consecutive pixels of the file as float32."""
        raw = np.empty(count, self._stored.dtype)
        view, done = raw.view(np.uint8).data, 0
        start = self._stored.offset_bytes + first * raw.itemsize
        while done < raw.nbytes:
            try:
                got = os.preadv(self._descriptor, [view[done:]], start + done)
            except OSError as error:
                raise UserError(
                    f"{self.path}: cannot be read ({error.strerror}): see to the disk or the network, and run again"
                ) from error
            if not got:
                raise UserError(f"{self.path}: cut off after {start + done} bytes since it was opened: {_REMEDY}")
            done += got
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return raw.astype(np.float32, copy=False)


def open_predictions(predictions_dir: Path, record: DatasetRecord) -> PredictionsReader:
    """Open the predictions of a folder for the test split of a dataset; to be used in a `with` block.

    Args:
        predictions_dir: Holds one of test_denoised.bin, .npy and .mrc.
        record: The dataset.

    Raises:
        UserError: If the folder holds none of these or several, or its file is no such file, or of another type, count
            or shape.
    """
    if not predictions_dir.is_dir():
        found = "is a file" if predictions_dir.exists() else "does not exist"
        raise UserError(f"{predictions_dir}: {found}, expected a folder of predictions: {_REMEDY}")
    there = [path for suffix in _FORMATS if (path := predictions_dir / f"{_STEM}{suffix}").is_file()]
    if len(there) != 1:
        names = ", ".join(f"{_STEM}{suffix}" for suffix in _FORMATS)
        found = f"found {' and '.join(path.name for path in there)}" if there else "found none"
        remedy = "remove all but one" if there else _REMEDY
        raise UserError(f"{predictions_dir}: {found}, expected one of {names}: {remedy}")
    path = there[0]
    shape = (record.splits["test"].samples, *record.sample_shape)
    try:
        return PredictionsReader(path, shape, _FORMATS[path.suffix](path, shape))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): mend that and run again") from error


def _raw(path: Path, shape: Shape) -> Stored:
    """Pixels alone, as streaming binaries have them: the length tells their type."""
    size_bytes = path.stat().st_size
    expected = {name: math.prod(shape) * np.dtype(dtype).itemsize for name, dtype in SAMPLE_DTYPES.items()}
    for name, length in expected.items():
        if size_bytes == length:
            return Stored(np.dtype(SAMPLE_DTYPES[name]))
    lengths = " or ".join(f"{length} ({name})" for name, length in expected.items())
    raise UserError(f"{path}: found {size_bytes} bytes, expected {lengths} for {_in_words(shape)}: {_REMEDY}")


def _npy(path: Path, shape: Shape) -> Stored:
    """NumPy's format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html; never a pickle."""
    with path.open("rb") as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                found, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                found, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                raise ValueError(f"version {version[0]}.{version[1]}, which NumPy has for names of fields")
        except (ValueError, TypeError, SyntaxError, RecursionError, tokenize.TokenError) as error:
            problem = " ".join(str(error).split())[:200]
            raise UserError(
                f"{path}: found no array in NumPy's format ({problem}), expected one of {_in_words(shape)}: save it "
                "with numpy.save"
            ) from error
        offset_bytes = stream.tell()
    if dtype.kind != "f" or dtype.itemsize not in (2, 4, 8):
        raise UserError(f"{path}: found type {dtype}, expected float16, float32 or float64: convert it with astype")
    without_channel = found[:1] + found[2:] if len(found) == 4 and found[1] == 1 else found
    _require_shape(path, found, without_channel, shape)
    size_bytes, expected_bytes = path.stat().st_size, offset_bytes + math.prod(shape) * dtype.itemsize
    if size_bytes != expected_bytes:
        raise UserError(f"{path}: found {size_bytes} bytes, expected {expected_bytes} by its header: save it again")
    return Stored(dtype, offset_bytes, fortran)


def _mrc(path: Path, shape: Shape) -> Stored:
    """An MRC file with a section for each patch."""
    layout = mrc.read_layout(path)
    found = (layout.header.frames, layout.header.height_px, layout.header.width_px)
    _require_shape(path, found, found, shape)
    return Stored(layout.pixel_type, layout.offset_bytes)


_FORMATS: dict[str, Callable[[Path, Shape], Stored]] = {".bin": _raw, ".npy": _npy, ".mrc": _mrc}


def _require_shape(path: Path, found: tuple[int, ...], compared: tuple[int, ...], shape: Shape) -> None:
    if compared == shape:
        return
    if len(compared) == 3 and compared[1:] == shape[1:]:
        raise UserError(f"{path}: found {compared[0]} predictions, expected {shape[0]}: {_REMEDY}")
    raise UserError(f"{path}: found an array of shape {found}, expected {shape}, {_in_words(shape)}: {_REMEDY}")


def _in_words(shape: Shape) -> str:
    return f"{shape[0]} patches of {shape[1]} × {shape[2]}"
