"""Files that are whole or not there."""

import hashlib
import os
import shutil
from pathlib import Path

from cryodenoise.errors import UserError

PARTIAL_SUFFIX = ".partial"
_BLOCK_BYTES = 1 << 22
_FINGERPRINT_BYTES = 1 << 16
_SPARE_BYTES = 64 << 20  # documents, logs and file-system overhead beside what a task announces


def partial(path: Path) -> Path:
    """Where the unfinished form of `path` is written."""
    return path.with_name(path.name + PARTIAL_SUFFIX)


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside, flush, rename: a reader sees the old file or the whole new one, also after a power cut."""
    beside = partial(path)
    with beside.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    commit(path)


def commit(path: Path) -> None:
    """Give the finished, flushed partial form of `path` its name."""
    partial(path).replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Flush the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def fingerprint_of(path: Path) -> str:
    """SHA-256 of length, beginning and end of a file: tells files apart without reading them whole."""
    size_bytes = path.stat().st_size
    digest = hashlib.sha256(f"{size_bytes}\n".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(_FINGERPRINT_BYTES))
        stream.seek(max(size_bytes - _FINGERPRINT_BYTES, 0))
        digest.update(stream.read())
    return digest.hexdigest()


def free_bytes(directory: Path) -> int:
    """Bytes that an unprivileged user can still write below `directory`."""
    return shutil.disk_usage(directory).free


def require_space(directory: Path, needed_bytes: int) -> None:
    """Refuse work whose output would not fit.

    Raises:
        UserError: If the file system of `directory` has less than `needed_bytes` and a small reserve left.
    """
    needed_bytes += _SPARE_BYTES
    free = free_bytes(directory)
    if free < needed_bytes:
        raise UserError(
            f"{directory}: {free / 1e9:.2f} GB free, {needed_bytes / 1e9:.2f} GB needed: "
            "free some space or choose a folder on another disk"
        )


def require_directory(directory: Path, task: str) -> None:
    """Raise a UserError unless an input directory is there; `task` is what writes it."""
    if not directory.is_dir():
        found = "is a file" if directory.exists() else "does not exist"
        own = ", or give the folder of your micrographs" if task == "download" else ""
        raise UserError(
            f"{directory}: {found}, expected the folder that `cryodenoise {task}` writes: run that first{own}"
        )


def make_directory(directory: Path) -> None:
    """Create an output directory and see that it can be written.

    Raises:
        UserError: If it cannot be created or written.
    """
    probe = directory / f".write-test-{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # a process of the same number on another machine may have been faster
    except OSError as error:
        raise UserError(
            f"{directory}: cannot be written ({error.strerror}): choose another folder or mend its permissions"
        ) from error
