"""What raw/ holds, told by reading it: the entries of download.json."""

import threading
from pathlib import Path
from typing import Literal

from cryodenoise import micrographs
from cryodenoise.claims import require_document
from cryodenoise.config.documents import DownloadRecord, RawFile
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of

DOCUMENT_NAME = "download.json"
REJECTED_SUFFIX = ".rejected"

_one_at_a_time = threading.Lock()


def pixel_digest(path: Path) -> tuple[str | None, str | None]:
    """The digest of a file's pixels, or None and why it cannot be read as a micrograph.

    One micrograph is in memory at a time, however many threads ask.
    """
    with _one_at_a_time:
        try:
            return micrographs.pixel_digest(micrographs.read(path)), None
        except UserError as error:
            return None, str(error).removeprefix(f"{path}: ")


def describe(path: Path, url: str | None = None, verified: Literal["sha256", "size"] | None = None) -> RawFile:
    """The entry of a file in download.json."""
    digest, problem = pixel_digest(path)
    return RawFile(
        name=path.name,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        pixel_digest=digest,
        problem=problem,
        url=url,
        verified=verified,
    )


def size_problem(path: Path, size_bytes: int) -> str | None:
    """What is wrong with a file at a first glance, or None."""
    if not path.is_file():
        return "missing"
    found = path.stat().st_size
    return f"{found} bytes, expected {size_bytes}" if found != size_bytes else None


def load(raw_dir: Path) -> DownloadRecord:
    """The document of a finished download.

    Raises:
        UserError: If there is none, or none that can be read.
    """
    return DownloadRecord.load_document(require_document(raw_dir, DOCUMENT_NAME, "download"))
