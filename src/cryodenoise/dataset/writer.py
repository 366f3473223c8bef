"""Writing a dataset: every sample's place is known beforehand, so micrographs can be written in any order.

The binaries grow under their partial names; a journal says which micrographs are on the disk, whole.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.documents import BinaryFile
from cryodenoise.dataset.layout import (
    CHECKSUM_DTYPE,
    ROLES,
    STEMS,
    Role,
    Stem,
    binary_name,
    checksum,
    checksums_name,
    sample_bytes,
)
from cryodenoise.files import commit, partial, require_space, sha256_of, sync_directory

_CHECKSUM_BYTES = np.dtype(CHECKSUM_DTYPE).itemsize
_DISK_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's


def preallocate(data_dir: Path, samples: Mapping[Stem, int], sample_shape: tuple[int, int]) -> None:
    """Make the partial files at their full length, keeping what is in them.

    Where one is gone or has lost its end, the journal no longer holds: it is dropped, and all is written anew.

    Raises:
        UserError: If the disk has no room for them.
    """
    lengths = {}
    for stem in STEMS:
        for role in ROLES:
            lengths[data_dir / binary_name(stem, role)] = samples[stem] * sample_bytes(sample_shape)
            lengths[data_dir / checksums_name(stem, role)] = samples[stem] * _CHECKSUM_BYTES
    unfinished = {partial(path): length for path, length in lengths.items() if not path.exists()}
    if any(_length(path) != length for path, length in unfinished.items()):
        drop_journal(data_dir)
        for path in lengths:
            path.unlink(missing_ok=True)
        unfinished = {partial(path): length for path, length in lengths.items()}
    allocated = {path: path.stat().st_blocks * _DISK_BLOCK_BYTES if path.exists() else 0 for path in unfinished}
    require_space(data_dir, sum(max(length - allocated[path], 0) for path, length in unfinished.items()))
    for path, length in unfinished.items():
        with path.open("r+b" if path.exists() else "wb") as stream:
            stream.truncate(length)
            os.posix_fallocate(stream.fileno(), 0, length)
    sync_directory(data_dir)


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.exists() else None


def write_segment(data_dir: Path, stem: Stem, role: Role, first_sample: int, samples: Iterable[np.ndarray]) -> str:
    """Write consecutive samples and their checksums into the partial files, down to the disk.

    Returns:
        SHA-256 of the samples' bytes.
    """
    digest = hashlib.sha256()
    checksums = []
    with partial(data_dir / binary_name(stem, role)).open("r+b") as stream:
        for index, sample in enumerate(samples):
            content = np.ascontiguousarray(sample).data
            if index == 0:
                stream.seek(first_sample * content.nbytes)
            stream.write(content)
            digest.update(content)
            checksums.append(checksum(np.ascontiguousarray(sample)))
        stream.flush()
        os.fsync(stream.fileno())
    with partial(data_dir / checksums_name(stem, role)).open("r+b") as stream:
        stream.seek(first_sample * _CHECKSUM_BYTES)
        stream.write(np.array(checksums, CHECKSUM_DTYPE).data)
        stream.flush()
        os.fsync(stream.fileno())
    return digest.hexdigest()


def read_journal(data_dir: Path) -> list[bytes]:
    """What is written, whole; a line that a power cut left half-written does not count."""
    path = data_dir / JOURNAL_NAME
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    complete, torn = lines[:-1], lines[-1]
    if torn:
        path.write_bytes(b"".join(line + b"\n" for line in complete))
    return complete


def append_journal(data_dir: Path, line: str) -> None:
    """Add one line, down to the disk."""
    with (data_dir / JOURNAL_NAME).open("a") as stream:
        stream.write(line + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def commit_files(data_dir: Path) -> list[BinaryFile]:
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
                )
            )
    return entries


def drop_journal(data_dir: Path) -> None:
    """Remove the journal of a dataset whose document is written."""
    (data_dir / JOURNAL_NAME).unlink(missing_ok=True)
