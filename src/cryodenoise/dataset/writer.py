"""Writing a dataset: every sample's place is known beforehand, so micrographs can be written in any order.

The binaries grow under their partial names; a journal says which micrographs are on the disk, whole.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Self

import numpy as np

from cryodenoise.claims import JOURNAL_PATTERN, journal_name
from cryodenoise.config.documents import BinaryFile, SampleDtype, Segment
from cryodenoise.dataset.layout import (
    CHECKSUM_DTYPE,
    ROLES,
    STEMS,
    Role,
    Stem,
    binary_name,
    checksum,
    checksums_name,
    file_digest,
    sample_bytes,
)
from cryodenoise.files import commit, partial, require_space, sha256_of, sync_directory

_CHECKSUM_BYTES = np.dtype(CHECKSUM_DTYPE).itemsize
_DISK_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's


def lengths(
    data_dir: Path, samples: Mapping[Stem, int], sample_shape: tuple[int, int], dtype: SampleDtype
) -> dict[Path, int]:
    """Every file of a dataset but its document, and its length in bytes."""
    found = {}
    for stem in STEMS:
        for role in ROLES:
            found[data_dir / binary_name(stem, role)] = samples[stem] * sample_bytes(sample_shape, dtype)
            found[data_dir / checksums_name(stem, role)] = samples[stem] * _CHECKSUM_BYTES
    return found


def is_allocated(files: Mapping[Path, int]) -> bool:
    """Whether all files are there at their lengths, finished or partial."""
    return all(path.exists() or _length(partial(path)) == length for path, length in files.items())


def preallocate(data_dir: Path, files: Mapping[Path, int]) -> None:
    """Make the partial files at their full lengths, keeping what is in them.

    Where one is gone or has lost its end, the journals no longer hold: they are dropped, and all is written anew.

    Args:
        data_dir: The folder of the files.
        files: What `lengths` gives.

    Raises:
        UserError: If the disk has no room for them.
    """
    if not is_allocated(files):
        drop_journals(data_dir)
        for path in files:
            path.unlink(missing_ok=True)
    unfinished = {partial(path): length for path, length in files.items() if not path.exists()}
    allocated = {path: path.stat().st_blocks * _DISK_BLOCK_BYTES if path.exists() else 0 for path in unfinished}
    require_space(data_dir, sum(max(length - allocated[path], 0) for path, length in unfinished.items()))
    for path, length in unfinished.items():
        with path.open("r+b" if path.exists() else "wb") as stream:
            stream.truncate(length)
            os.posix_fallocate(stream.fileno(), 0, length)
    sync_directory(data_dir)


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


class SegmentWriter:
    """Writes one segment, inputs and targets, into the partial files, down to the disk.

    Attributes:
        sha256: Digests of what was written, once the block of the `with` statement is left.
    """

    def __init__(
        self, data_dir: Path, stem: Stem, first_sample: int, sample_shape: tuple[int, int], dtype: SampleDtype
    ) -> None:
        self.sha256: dict[Role, str] = {}
        self._parts = {
            role: _Part(
                partial(data_dir / binary_name(stem, role)).open("r+b", buffering=0),
                partial(data_dir / checksums_name(stem, role)),
                np.empty(sample_shape, dtype),
            )
            for role in ROLES
        }
        self._first = first_sample
        for part in self._parts.values():
            part.stream.seek(first_sample * part.buffer.nbytes)

    def __enter__(self) -> Self:
        return self

    def write(self, noisy: np.ndarray, clean: np.ndarray) -> None:
        """Add one sample: input and target, float32 of the sample's shape, rounded to the stored type."""
        for role, image in zip(ROLES, (noisy, clean), strict=True):
            part = self._parts[role]
            np.copyto(part.buffer, image, casting="same_kind")
            view = part.buffer.data.cast("B")
            while view:  # the system takes less at a time than it is given where a disk is full, then says so
                view = view[part.stream.write(view) :]
            part.digest.update(part.buffer.data)
            part.checksums.append(checksum(part.buffer))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for role, part in self._parts.items():
            with part.stream:
                if kind is None:
                    os.fdatasync(part.stream.fileno())
            if kind is None:
                _write_at(part.checksums_path, self._first * _CHECKSUM_BYTES, np.array(part.checksums, CHECKSUM_DTYPE))
                self.sha256[role] = part.digest.hexdigest()


class _Part:
    """One role's half of a segment under work."""

    def __init__(self, stream: FileIO, checksums_path: Path, buffer: np.ndarray) -> None:
        self.stream = stream
        self.checksums_path = checksums_path
        self.buffer = buffer
        self.digest = hashlib.sha256()
        self.checksums: list[int] = []


def _write_at(path: Path, position: int, values: np.ndarray) -> None:
    with path.open("r+b") as stream:
        stream.seek(position)
        stream.write(values.data)
        stream.flush()
        os.fdatasync(stream.fileno())


def read_journals(data_dir: Path) -> list[bytes]:
    """What all processes have finished; a line that is still being written, or was torn, does not count."""
    return [line for path in sorted(data_dir.glob(JOURNAL_PATTERN)) for line in path.read_bytes().split(b"\n")[:-1]]


def mend_journal(data_dir: Path, rank: int) -> None:
    """Cut off the line of this process's journal that a power cut left half-written."""
    path = data_dir / journal_name(rank)
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def append_journal(data_dir: Path, rank: int, line: str) -> None:
    """Add one line to this process's journal, down to the disk."""
    with (data_dir / journal_name(rank)).open("a") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def commit_files(data_dir: Path, segments: Sequence[Segment]) -> list[BinaryFile]:
    """Give the written files their names and describe them; may be repeated after an interruption."""
    entries = []
    for stem in STEMS:
        for role in ROLES:
            binary, checksums = data_dir / binary_name(stem, role), data_dir / checksums_name(stem, role)
            for path in (binary, checksums):
                if partial(path).exists():
                    commit(path)
            entries.append(
                BinaryFile(
                    name=binary.name,
                    size_bytes=binary.stat().st_size,
                    checksums=checksums.name,
                    checksums_sha256=sha256_of(checksums),
                    digest=file_digest(stem, role, segments),
                )
            )
    return entries


def drop_journals(data_dir: Path) -> None:
    """Remove the journals of a dataset whose document is written, or whose files are gone."""
    for path in data_dir.glob(JOURNAL_PATTERN):
        path.unlink(missing_ok=True)
