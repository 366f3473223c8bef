"""Reading a dataset: one document, checked against its files, and samples, each checked as it is read."""

import os
from pathlib import Path
from typing import Self

import numpy as np

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
    sample_bytes,
)
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of

_REMEDY = DatasetRecord.remedy()


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


class SplitReader:
    """The samples of one split, read by index; open files, and constant memory whatever the split's size.

    By default these are inputs and targets; a truth is read only where it is asked for.

    Attributes:
        samples: How many samples the split holds.
        sample_shape: Rows and columns of a sample.
    """

    def __init__(
        self, data_dir: Path, record: DatasetRecord, split: SplitName, roles: tuple[Role, ...] = ROLES
    ) -> None:
        place = record.splits[split]
        self.samples = place.samples
        self.sample_shape = record.sample_shape
        self._first = place.first_sample
        self._dtype = record.dtype
        self._sample_bytes = sample_bytes(record.sample_shape, record.dtype)
        self._paths: dict[Role, Path] = {role: data_dir / binary_name(place.file, role) for role in roles}
        self._checksums = {
            role: np.fromfile(data_dir / checksums_name(place.file, role), CHECKSUM_DTYPE) for role in roles
        }
        self._descriptors = {role: os.open(path, os.O_RDONLY) for role, path in self._paths.items()}

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
            UserError: If a sample is not what was written.
        """
        return tuple(self._read(role, indices) for role in self._paths)

    def _read(self, role: Role, indices: np.ndarray) -> np.ndarray:
        batch = np.empty((len(indices), 1, *self.sample_shape), self._dtype)
        for slot, index in zip(batch, indices, strict=True):
            sample = self._first + int(index)
            count = os.preadv(self._descriptors[role], [slot.data], sample * self._sample_bytes)
            if count != self._sample_bytes or checksum(slot) != self._checksums[role][sample]:
                raise UserError(
                    f"{self._paths[role]}: sample {sample} (bytes {sample * self._sample_bytes} to "
                    f"{(sample + 1) * self._sample_bytes - 1}) was altered since it was written: {_REMEDY}"
                )
        return batch.astype(np.float32, copy=False)
