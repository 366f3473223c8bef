"""Files read as streams of bytes, decompressed where their name says so."""

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from cryodenoise.errors import InputError
from cryodenoise.micrographs.image import REMEDY

MOST_EXPANSION = {".gz": 1032, ".bz2": 1_500_000}
"""The most bytes that one byte of a compressed file can stand for; 1032 is deflate's, bzip2's was found with zeros."""


def is_compressed(path: Path) -> bool:
    """Whether the name says that the file is compressed."""
    return path.suffix.lower() in MOST_EXPANSION


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading.

    Raises:
        InputError: If what is read inside the context cannot be decompressed.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".gz":
            with gzip.open(path) as stream:
                yield cast(BinaryIO, stream)
        elif suffix == ".bz2":
            with bz2.open(path) as stream:
                yield cast(BinaryIO, stream)
        else:
            with path.open("rb") as stream:
                yield stream
    except (EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the content's
            raise
        raise InputError(f"{path}: cannot be decompressed ({error}): it is truncated or damaged: {REMEDY}") from error
