"""What raw/ holds, told by reading it: entries of download.json, and the findings of checking it again."""

import threading
from collections.abc import Callable, Iterator
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


def findings_of_raw(raw_dir: Path, advance: Callable[[int], object] = lambda _: None) -> Iterator[str]:
    """Hold every file of a finished download against download.json: length, SHA-256, digest of the pixels.

    Args:
        raw_dir: Folder that `download` wrote.
        advance: Told the bytes of each file that was checked.

    Yields:
        One sentence a finding: the file, what is wrong and what to do.

    Raises:
        UserError: If there is no download.json, or none that can be read.
    """
    record = load(raw_dir)
    for file in record.files:
        path = raw_dir / file.name
        if problem := size_problem(path, file.size_bytes) or _altered(path, file):
            yield f"{path}: {problem}: move it away and run `cryodenoise download` again"
        advance(file.size_bytes)
    ours = {file.name for file in record.files} | {DOCUMENT_NAME}
    for path in sorted(raw_dir.iterdir()):
        known = path.name in ours or path.name.startswith(".") or path.name == "lost+found"
        if not known and path.suffix not in (".log", REJECTED_SUFFIX):
            yield f"{path}: download.json does not name it: move it to a folder of its own"


def _altered(path: Path, expected: RawFile) -> str | None:
    found = describe(path)
    if found.sha256 != expected.sha256:
        return f"SHA-256 {found.sha256[:16]}…, expected {expected.sha256[:16]}…: altered since it was downloaded"
    if found.pixel_digest != expected.pixel_digest:
        return "its pixels are not those that download.json names, though its SHA-256 is: download.json was altered"
    return None
