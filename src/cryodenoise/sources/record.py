"""What raw/ holds, told by reading it: the entries of download.json."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cryodenoise import micrographs
from cryodenoise.claims import require_document
from cryodenoise.config.documents import DownloadRecord, RawFile, RawRole
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.micrographs import hdf5

DOCUMENT_NAME = "download.json"
REJECTED_SUFFIX = ".rejected"
FOLDERS = ("even", "odd", "particles", "test", "train", "truth")
"""The folders that `download` may make in raw/."""
DOCUMENT_SUFFIXES = (".json", ".star")
"""How the names of the files end that tell what a micrograph shows."""

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


def is_within(name: str) -> bool:
    """Whether a name in a document is that of a file in raw/ or in one of its folders: no other is followed."""
    folder, slash, file = name.rpartition("/")
    return file not in ("", ".", "..") and (not slash or folder in FOLDERS)


def contents(raw_dir: Path) -> list[Path]:
    """What raw/ holds, sorted, and what its folders hold in their place; a link to a folder is none of its folders."""
    found: list[Path] = []
    for path in raw_dir.iterdir():
        ours = path.name in FOLDERS and path.is_dir() and not path.is_symlink()
        found += path.iterdir() if ours else [path]
    return sorted(found)


def describe(
    raw_dir: Path,
    name: str,
    url: str | None = None,
    verified: Literal["sha256", "size"] | None = None,
    role: RawRole = "micrograph",
) -> RawFile:
    """The entry of a file in download.json, by its place in raw/; what would be a micrograph may be a stack of them."""
    path = raw_dir / name
    if role == "micrograph" and hdf5.is_stack(name):
        role = "stack"
    digest, problem = _looked_at(path, role)
    return RawFile(
        name=name,
        role=role,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        pixel_digest=digest,
        problem=problem,
        url=url,
        verified=verified,
    )


def _looked_at(path: Path, role: RawRole) -> tuple[str | None, str | None]:
    """The digest of pixels, where there is one image; and why the file cannot be read, where it cannot."""
    if role == "particles":
        return None, None
    if role != "stack":
        return pixel_digest(path)
    try:
        hdf5.read_header(path)
    except UserError as error:
        return None, str(error).removeprefix(f"{path}: ")
    return None, None


def counted(files: Sequence[RawFile]) -> str:
    """How many micrographs there are and how many files beside them, in words."""
    stacks = sum(file.role == "stack" for file in files)
    if stacks == len(files) > 0:
        return f"{stacks} file{'s' * (stacks != 1)} of images"
    others = sum(file.role != "micrograph" for file in files)
    count = len(files) - others
    return f"{count} micrograph{'s' * (count != 1)}" + f" and {others} files that belong to them" * bool(others)


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
