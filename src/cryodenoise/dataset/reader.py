"""Reading a dataset: one document, checked against its files, and samples, each checked as it is read."""

import errno
import fcntl
import os
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Self

import numpy as np
import psutil

from cryodenoise.claims import require_document
from cryodenoise.config.documents import DatasetRecord, SplitName
from cryodenoise.dataset.layout import (
    CHECKSUM_DTYPE,
    DOCUMENT_NAME,
    ROLES,
    Role,
    binary_name,
    checksum,
    checksums_name,
    inconsistencies,
    may_go_direct,
    sample_bytes,
)
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of

_REMEDY = DatasetRecord.remedy()
_CACHED_SHARE = 0.5  # of the memory that is available: more of a split would not stay there beside what is computed


def open_dataset(data_dir: Path) -> DatasetRecord:
    """Read dataset.json, hold it against itself and the files beside it: lengths, digests of the checksum files.

    Raises:
        UserError: If the dataset is missing, unfinished, of another format version, incomplete or altered.
    """
    path = require_document(data_dir, DOCUMENT_NAME, "preprocess")
    record = DatasetRecord.load_document(path)
    for finding in inconsistencies(record):
        raise UserError(f"{path}: {finding}: it was edited since it was written: {_REMEDY}")
    for file in record.files:
        binary, checksums = data_dir / file.name, data_dir / file.checksums
        for needed in (binary, checksums):
            if not needed.is_file():
                raise UserError(f"{needed}: missing, though {DOCUMENT_NAME} names it: {_REMEDY}")
        if (found_bytes := binary.stat().st_size) != file.size_bytes:
            raise UserError(f"{binary}: {found_bytes} bytes, expected {file.size_bytes}: {_REMEDY}")
        if sha256_of(checksums) != file.checksums_sha256:
            raise UserError(f"{checksums}: altered since it was written: {_REMEDY}")
    return record


def aligned(shape: tuple[int, ...], dtype: str | type) -> np.ndarray:
    """An array of zeros at the start of a memory page, as reading past the system's cache wants it."""
    length = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(mmap(-1, max(length, 1)), np.uint8)[:length].view(dtype).reshape(shape)


class SplitReader:
    """The samples of one split, read by index; open files, and constant memory whatever the split's size.

    By default these are inputs and targets; a truth is read only where it is asked for. A split that would not stay in
    the system's cache is read past it, where the file system lets it: that takes a third of the processor's time, and
    leaves the cache to others (benchmarks/RESULTS.md).

    Attributes:
        samples: How many samples the split holds.
        sample_shape: Rows and columns of a sample.
        sample_bytes: Length of a sample in its file.
        dtype: Type of the pixels in the files.
        roles: What is read of each sample.
    """

    def __init__(
        self,
        data_dir: Path,
        record: DatasetRecord,
        split: SplitName,
        roles: tuple[Role, ...] = ROLES,
        direct: bool | None = None,
    ) -> None:
        """Open the files.

        Args:
            data_dir: Their folder.
            record: What `open_dataset` gives.
            split: Which samples.
            roles: What is read of each.
            direct: Whether to read past the system's cache; None decides by the length of the split and the memory.
        """
        place = record.splits[split]
        self.samples = place.samples
        self.sample_shape = record.sample_shape
        self.sample_bytes = sample_bytes(record.sample_shape, record.dtype)
        self.dtype = record.dtype
        self.roles = roles
        self._first = place.first_sample
        self._paths: dict[Role, Path] = {role: data_dir / binary_name(place.file, role) for role in roles}
        self._checksums = {
            role: np.fromfile(data_dir / checksums_name(place.file, role), CHECKSUM_DTYPE) for role in roles
        }
        if direct is None:
            length = self.samples * self.sample_bytes * len(roles)
            direct = length > _CACHED_SHARE * psutil.virtual_memory().available
        self._descriptors = {
            role: _open(path, direct and may_go_direct(self.sample_bytes)) for role, path in self._paths.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def read(self, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        """Read samples of the split.

        Args:
            indices: Which, counted from the start of the split, shape (n,).

        Returns:
            Inputs and targets, or what the reader was opened for, each float32 of shape (n, 1, h, w).

        Raises:
            UserError: If a sample is not what was written, or cannot be read.
        """
        batches = []
        for role in self.roles:
            batch = aligned((len(indices), 1, *self.sample_shape), self.dtype)
            for slot, index in zip(batch, indices, strict=True):
                self.read_into(role, int(index), slot)
            batches.append(batch.astype(np.float32, copy=False))
        return tuple(batches)

    def read_into(self, role: Role, index: int, slot: np.ndarray) -> None:
        """Read one sample of one role; several threads may do so at a time.

        Args:
            role: One of those that the reader was opened for.
            index: Which sample, counted from the start of the split.
            slot: Where to: of the stored type and `sample_bytes` long, in one piece, and at best of `aligned`.

        Raises:
            UserError: If the sample is not what was written, or cannot be read.
        """
        sample = self._first + index
        start = sample * self.sample_bytes
        place = f"{self._paths[role]}: sample {sample} (bytes {start} to {start + self.sample_bytes - 1})"
        view, done = slot.data.cast("B"), 0
        while done < self.sample_bytes:
            try:
                count = _read_at(self._descriptors[role], view[done:], start + done)
            except OSError as error:
                raise UserError(
                    f"{place} cannot be read ({error.strerror}): see to the disk or the network, and run again"
                ) from error
            if not count:
                raise UserError(f"{place} was cut off after {done} bytes since it was written: {_REMEDY}")
            done += count
        if checksum(slot) != self._checksums[role][sample]:
            raise UserError(f"{place} was altered since it was written: {_REMEDY}")


def _open(path: Path, direct: bool) -> int:
    if direct:
        with suppress(OSError):  # some file systems refuse at once, some at the first read
            return os.open(path, os.O_RDONLY | os.O_DIRECT)
    return os.open(path, os.O_RDONLY)


def _read_at(descriptor: int, view: memoryview, at: int) -> int:
    try:
        return os.preadv(descriptor, [view], at)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # What direct reading cannot do; another thread may have turned it off since, so the flag itself tells nothing.
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT)
        return os.preadv(descriptor, [view], at)
