"""How much room a disk has and how fast it is, asked before anything is written for good."""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

_PROBE_BYTES = 64 << 20
_BLOCK_BYTES = 1 << 22


class Rates(NamedTuple):
    """Bytes a second."""

    written: float
    read: float


def nearest_directory(path: Path) -> Path:
    """The directory itself, or the innermost one around it that is there already."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.is_dir())


def scratch(directory: Path) -> "TemporaryDirectory[str]":
    """A hidden folder that goes when the `with` block is left."""
    return TemporaryDirectory(prefix=".cryodenoise-probe-", dir=directory)


def measure(directory: Path) -> Rates:
    """Write a file of 64 MiB down to the disk, let the cache forget it, and read it back.

    Raises:
        OSError: If the directory cannot be written.
    """
    with scratch(directory) as folder:
        path = Path(folder) / "probe"
        block = os.urandom(_BLOCK_BYTES)  # a file system may compress
        started_s = time.perf_counter()
        with path.open("wb", buffering=0) as stream:
            for _ in range(_PROBE_BYTES // _BLOCK_BYTES):
                stream.write(block)
            os.fdatasync(stream.fileno())
            written_s = time.perf_counter() - started_s
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        started_s = time.perf_counter()
        with path.open("rb", buffering=0) as stream:
            while stream.read(_BLOCK_BYTES):
                pass
        read_s = time.perf_counter() - started_s
    return Rates(_PROBE_BYTES / written_s, _PROBE_BYTES / read_s)
