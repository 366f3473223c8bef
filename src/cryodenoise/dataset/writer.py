"""Writing a dataset: every sample's place is known beforehand, so micrographs can be written in any order.

The binaries grow under their partial names; a journal says which micrographs are on the disk, whole.
"""

import errno
import fcntl
import hashlib
import os
import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Self

import numpy as np

from cryodenoise.claims import is_journal, journal_name
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
    has_truth,
    may_go_direct,
    roles_of,
    sample_bytes,
)
from cryodenoise.files import commit, partial, require_space, sha256_of, sync_directory
from cryodenoise.signal.half import to_float16

_CHECKSUM_BYTES = np.dtype(CHECKSUM_DTYPE).itemsize


def lengths(
    data_dir: Path,
    samples: Mapping[Stem, int],
    sample_shape: tuple[int, int],
    dtype: SampleDtype,
    with_truth: bool = False,
) -> dict[Path, int]:
    """Every file of a dataset but its document, and its length in bytes."""
    found = {}
    for stem in STEMS:
        for role in roles_of(stem, with_truth):
            found[data_dir / binary_name(stem, role)] = samples[stem] * sample_bytes(sample_shape, dtype)
            found[data_dir / checksums_name(stem, role)] = samples[stem] * _CHECKSUM_BYTES
    return found


def is_allocated(files: Mapping[Path, int]) -> bool:
    """Whether all files are there at their lengths, finished or partial."""
    return all(length in (_length(path), _length(partial(path))) for path, length in files.items())


def reopen(files: Iterable[Path]) -> None:
    """Take their names from files that were finished too early: more is to be written."""
    for path in files:
        if path.exists():
            path.replace(partial(path))


def preallocate(data_dir: Path, files: Mapping[Path, int]) -> None:
    """Make the partial files at their full lengths, unless they are there; what is in them is kept.

    Where one is gone or has lost its end, the journals no longer hold: they are dropped, and all is written anew. Files
    that are there are not touched: other processes may be writing them.

    Args:
        data_dir: The folder of the files.
        files: What `lengths` gives.

    Raises:
        UserError: If the disk has no room for them.
    """
    if is_allocated(files):
        return
    for journal in _journals(data_dir, ""):
        journal.unlink(missing_ok=True)
    for path in files:
        path.unlink(missing_ok=True)
        partial(path).unlink(missing_ok=True)
    require_space(data_dir, sum(files.values()))
    for path, length in files.items():
        with partial(path).open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, length)
    sync_directory(data_dir)


def _length(path: Path) -> int | None:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return None


SLOTS = 3
"""Samples that are on their way to the disk at a time, each of two images or three."""


class SegmentWriter:
    """Writes one segment, inputs and targets and what else it is opened for, into the partial files, down to the disk.

    A thread hashes and writes while the next sample is made. Large samples go past the system's cache, where the file
    system lets them: to fill it can take longer than to make them (benchmarks/RESULTS.md).

    Attributes:
        sha256: Digests of what was written, once the block of the `with` statement is left.
    """

    def __init__(
        self,
        data_dir: Path,
        stem: Stem,
        first_sample: int,
        sample_shape: tuple[int, int],
        dtype: SampleDtype,
        roles: tuple[Role, ...] = ROLES,
    ) -> None:
        self.sha256: dict[Role, str] = {}
        length = sample_bytes(sample_shape, dtype)
        self._parts = {role: _Part(data_dir, stem, role, first_sample, length) for role in roles}
        self._free = [
            {role: np.frombuffer(mmap(-1, length), dtype).reshape(sample_shape) for role in roles} for _ in range(SLOTS)
        ]
        self._pending: deque[Future[_Slot]] = deque()
        self._thread = ThreadPoolExecutor(1, "writer")

    def __enter__(self) -> Self:
        return self

    def write(self, *images: np.ndarray) -> None:
        """Add one sample: an image a role, float32 of the sample's shape, rounded to the stored type."""
        slot = self._free.pop() if self._free else self._pending.popleft().result()
        for role, image in zip(self._parts, images, strict=True):
            if slot[role].dtype == np.float16:
                to_float16(image, slot[role])
            else:
                np.copyto(slot[role], image)
        self._pending.append(self._thread.submit(self._store, slot))

    def _store(self, slot: "_Slot") -> "_Slot":
        for role, part in self._parts.items():
            part.store(slot[role])
        return slot

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                for stored in self._pending:
                    stored.result()
                self.sha256 = {role: part.flush() for role, part in self._parts.items()}
        finally:
            self._thread.shutdown(cancel_futures=True)
            for part in self._parts.values():
                part.close()


_Slot = dict[Role, np.ndarray]


class _Part:
    """One role's part of a segment under work."""

    def __init__(self, data_dir: Path, stem: Stem, role: Role, first_sample: int, length: int) -> None:
        self._descriptor = _open_direct(partial(data_dir / binary_name(stem, role)), length)
        self._at = first_sample * length
        self._checksums_path = partial(data_dir / checksums_name(stem, role))
        self._checksums_at = first_sample * _CHECKSUM_BYTES
        self._digest = hashlib.sha256()
        self._checksums: list[int] = []

    def store(self, sample: np.ndarray) -> None:
        """Write the next sample and take it into the digests."""
        view = sample.data.cast("B")
        while view:
            written = _write_at(self._descriptor, view, self._at)
            self._at += written
            view = view[written:]
        self._digest.update(sample.data)
        self._checksums.append(checksum(sample))

    def flush(self) -> str:
        """Bring everything down to the disk; the SHA-256 of the samples."""
        os.fdatasync(self._descriptor)
        # For writing alone: a network file system would write back what it read around these bytes, over others' work.
        checksums = os.open(self._checksums_path, os.O_WRONLY)
        try:
            os.pwrite(checksums, np.array(self._checksums, CHECKSUM_DTYPE).data, self._checksums_at)
            os.fdatasync(checksums)
        finally:
            os.close(checksums)
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _open_direct(path: Path, sample_length: int) -> int:
    """Open a binary for writing past the system's cache, where sample and file system allow it."""
    if may_go_direct(sample_length):
        with suppress(OSError):  # some file systems refuse at once, some at the first write
            return os.open(path, os.O_WRONLY | os.O_DIRECT)
    return os.open(path, os.O_WRONLY)


def _write_at(descriptor: int, view: memoryview, at: int) -> int:
    try:
        return os.pwrite(descriptor, view, at)
    except OSError as error:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if error.errno != errno.EINVAL or not flags & os.O_DIRECT:
            raise
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        return os.pwrite(descriptor, view, at)


def read_journals(data_dir: Path, part: str = "") -> list[bytes]:
    """What all processes have noted of a part of the work; a line still being written, or torn, does not count."""
    lines: list[bytes] = []
    for path in _journals(data_dir, part):
        with suppress(FileNotFoundError):  # another process has finished the work, or given it up
            lines += path.read_bytes().split(b"\n")[:-1]
    return lines


def _journals(data_dir: Path, part: str) -> list[Path]:
    own = journal_name(0, part).removesuffix(".jsonl")
    pattern = re.compile(rf"{re.escape(own)}(\.\d+)?\.jsonl")
    return sorted(path for path in data_dir.iterdir() if pattern.fullmatch(path.name))


def mend_journal(data_dir: Path, rank: int, part: str = "") -> None:
    """Cut off the line of this process's journal that a power cut left half-written."""
    path = data_dir / journal_name(rank, part)
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)


def append_journal(data_dir: Path, rank: int, line: str, part: str = "") -> None:
    """Add one line to this process's journal, down to the disk."""
    with (data_dir / journal_name(rank, part)).open("a") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def commit_files(data_dir: Path, segments: Sequence[Segment]) -> list[BinaryFile]:
    """Give the written files their names and describe them; may be repeated after an interruption."""
    entries = []
    for stem in STEMS:
        for role in roles_of(stem, has_truth(segments)):
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
    for path in data_dir.iterdir():
        if is_journal(path.name):
            path.unlink(missing_ok=True)
