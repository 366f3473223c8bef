"""Names of files that mean the same file on every system, and how much a package may hold."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryodenoise.config.submission import APPLICATION, NAME_PATTERN

MAX_FILES = 500
"""Files and folders of a package at most."""
MAX_BYTES = 1 << 30
"""Bytes of all its files at most."""
MAX_FILE_BYTES = 1 << 29
"""Bytes of one of them at most."""
MAX_DEPTH = 12
"""Parts of a name at most: folders, and the file."""
PACKAGE_DEPTH = 4
"""A package lies in ORG/cryodenoise/SYSTEM/DESCRIPTOR."""

# Letters and digits alone: no name can be another's Unicode form, or hide behind one that looks alike.
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows opens these in every folder


@dataclass(frozen=True)
class Member:
    """A file or folder of a package.

    Attributes:
        name: Its place, with slashes, without one at the end.
        is_folder: Whether it is a folder.
        size_bytes: Length of the file.
    """

    name: str
    is_folder: bool
    size_bytes: int = 0


def name_problems(name: str) -> Iterator[str]:
    """What keeps a relative name from meaning one file everywhere, each in one line."""
    parts = name.split("/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        yield f"{name!r}: an absolute path, expected one within the package"
        return
    if ".." in parts:
        yield f"{name!r}: leads out of its folder by '..'"
    for part in dict.fromkeys(parts):
        if part == "..":
            continue
        if _DEVICE.fullmatch(part):
            yield f"{name!r}: {part!r} is a device of Windows, expected another name"
        elif not _PART.fullmatch(part) or part.endswith("."):
            yield (
                f"{name!r}: {part!r} is no name for a file, expected up to 100 of A-Z, a-z, 0-9, '.', '_', '+' and "
                "'-', of which '.', '+' and '-' do not begin it, nor '.' end it"
            )
    if len(parts) > MAX_DEPTH:
        yield f"{name!r}: {len(parts)} parts deep, expected at most {MAX_DEPTH}"


def problems_among(members: Iterable[Member]) -> Iterator[str]:
    """What is wrong with names and lengths, singly and together, each in one line."""
    seen: dict[str, Member] = {}  # by names in lower case
    folders: dict[str, set[str]] = {}  # likewise: all ways in which each is written
    total = 0
    for member in members:
        yield from name_problems(member.name)
        total += member.size_bytes
        if member.size_bytes > MAX_FILE_BYTES:
            yield f"{member.name!r}: {member.size_bytes} bytes, expected at most {MAX_FILE_BYTES}"
        parts = member.name.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + member.is_folder)]
        for folder in above:
            folders.setdefault(folder.lower(), set()).add(folder)
        other = seen.setdefault(member.name.lower(), member)
        if other is not member and other.name == member.name:
            yield f"{member.name!r}: there twice"
        elif other.name != member.name and not (other.is_folder and member.is_folder):
            yield f"{member.name!r}: differs from {other.name!r} by case alone"
    for _, (first, *others) in sorted((key, sorted(written)) for key, written in folders.items()):
        yield from (f"{folder!r}: differs from {first!r} by case alone" for folder in others)
    for key in sorted(seen.keys() & folders.keys()):
        if not seen[key].is_folder:
            yield f"{seen[key].name!r}: a file, but also the folder of others"
    if total > MAX_BYTES:
        yield f"{total} bytes in all, expected at most {MAX_BYTES}"


def package_problems(members: Iterable[Member]) -> Iterator[str]:
    """Why these are not the files of one package in its folders, each in one line."""
    tops = sorted({tuple(member.name.split("/")[:PACKAGE_DEPTH]) for member in members if not member.is_folder})
    for top in tops:
        if (
            len(top) < PACKAGE_DEPTH
            or top[1] != APPLICATION
            or not all(re.fullmatch(NAME_PATTERN, part) for part in top)
        ):
            yield f"{'/'.join(top)!r}: expected all files below ORGANIZATION/{APPLICATION}/SYSTEM/DESCRIPTOR"
    if not tops:
        yield "holds no files, expected those of a package"
    elif len(tops) > 1:
        yield f"holds {len(tops)} packages, expected one: {', '.join(repr('/'.join(top)) for top in tops[:3])}"
