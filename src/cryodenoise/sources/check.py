"""The rules of a raw/ that `download` filled."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord, RawFile
from cryodenoise.console import Console
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.micrographs.hdf5 import is_stack
from cryodenoise.sources.record import DOCUMENT_SUFFIXES, contents, is_within, pixel_digest


@dataclass(frozen=True)
class RawFolder:
    """A folder and what its download.json says; progress goes to the console."""

    path: Path
    record: DownloadRecord
    console: Console


@rule("RAW-1", "every file that download.json names is there, with its length")
def lengths_of_files(folder: RawFolder) -> Iterator[Finding]:
    """Missing files, those of another length, and names that lead out of the folder."""
    for file in folder.record.files:
        path = folder.path / file.name
        if not is_within(file.name):
            yield Finding(folder.path, f"download.json names {file.name!r}, expected the name of a file in the folder")
        elif not path.is_file():
            yield Finding(path, f"missing, expected {file.size_bytes} bytes")
        elif (found := path.stat().st_size) != file.size_bytes:
            yield Finding(path, f"{found} bytes, expected {file.size_bytes}")


@rule("RAW-2", "every file has its SHA-256, and its pixels their digest")
def digests(folder: RawFolder) -> Iterator[Finding]:
    """Altered files of the right length; a header alone may differ."""
    within = (file for file in folder.record.files if is_within(file.name))
    files = [file for file in within if _length(folder.path / file.name) == file.size_bytes]
    with folder.console.progress("read", sum(file.size_bytes for file in files), "bytes") as advance:
        for file in files:
            yield from _digests_of(folder.path / file.name, file)
            advance(file.size_bytes)


@rule("RAW-3", "no micrograph is there that download.json does not name, nor anything that belongs to one")
def no_others(folder: RawFolder) -> Iterator[Finding]:
    """Other micrographs, which preprocessing refuses, and other files in the folders of what belongs to them."""
    named = {folder.path / file.name for file in folder.record.files}
    for path in contents(folder.path):
        belongs = path.parent != folder.path and (path.suffix in DOCUMENT_SUFFIXES or is_stack(path))
        if (micrographs.is_micrograph(path) or belongs) and not path.is_dir() and path not in named:
            yield Finding(path, "not named by download.json, expected the micrographs that it names and no others")


RULES: tuple[Rule[RawFolder], ...] = (lengths_of_files, digests, no_others)


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _digests_of(path: Path, file: RawFile) -> Iterator[Finding]:
    try:
        found = sha256_of(path)
        pixels, problem = pixel_digest(path) if file.pixel_digest else (None, None)
    except OSError as error:
        yield Finding(path, f"cannot be read ({error.strerror}), expected {file.size_bytes} bytes")
        return
    if problem:
        yield Finding(path, f"cannot be read as a micrograph any more: {problem}")
    elif pixels and pixels != file.pixel_digest:
        yield Finding(path, f"digest of pixels {pixels[:16]}…, expected {str(file.pixel_digest)[:16]}…")
    elif found != file.sha256:
        same = "; its pixels are those that were downloaded" if pixels else ""
        yield Finding(path, f"SHA-256 {found[:16]}…, expected {file.sha256[:16]}…{same}")
