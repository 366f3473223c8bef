"""A package as one file: an uncompressed tar that is the same everywhere, and that is judged before it is unpacked."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from cryodenoise.errors import UserError
from cryodenoise.files import commit, partial, require_space
from cryodenoise.findings import Finding
from cryodenoise.submission import ustar
from cryodenoise.submission.names import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FILES,
    PACKAGE_DEPTH,
    Member,
    package_problems,
    problems_among,
)

_END_BYTES = 2 * ustar.BLOCK_BYTES
_RECORD_BYTES = 10240  # tar fills its last record up with zeros
_MAX_ARCHIVE_BYTES = MAX_BYTES + 2 * ustar.BLOCK_BYTES * MAX_FILES + _END_BYTES + _RECORD_BYTES
_COPY_BYTES = 1 << 20
_OTHERS = {
    b"\x1f\x8b": "a gzip file", b"BZh": "a bzip2 file", b"\xfd7zXZ\0": "an xz file", b"\x28\xb5\x2f\xfd": "a zstd file",
    b"PK\x03\x04": "a zip archive", b"PK\x05\x06": "an empty zip archive", b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
}  # fmt: skip
"""What an archive may be by its first bytes, but must not."""


@dataclass(frozen=True)
class _Entry(Member):
    """A member of an archive, and where its bytes begin."""

    position: int = 0


def write(folder: Path, root: Path, archive: Path) -> None:
    """Write the files below a package's folder into an archive; equal files give equal bytes.

    Entries are sorted by name, of mode 0644, without times and owners; folders have none.

    Args:
        folder: ORG/cryodenoise/SYSTEM/DESCRIPTOR below `root`.
        root: What the names in the archive are relative to.
        archive: Where it goes; it appears there when it is whole.

    Raises:
        UserError: If the folder holds what `judge` or `judge_folder` would find, a name is too long for the format, or
            a file changes meanwhile.
    """
    above = folder.relative_to(root)
    members, problems = _members_of(folder)
    members = [
        Member((above / member.name).as_posix(), False, member.size_bytes) for member in members if not member.is_folder
    ]
    problems += [*problems_among(members), *package_problems(members)]
    if problems:
        raise UserError("\n".join(f"{folder}: {problem}" for problem in problems))
    headers = {member.name: ustar.pack(member.name, member.size_bytes) for member in members}
    total = sum(member.size_bytes + 2 * ustar.BLOCK_BYTES for member in members) + _END_BYTES
    require_space(archive.parent, total)
    with partial(archive).open("wb") as stream:
        for member in sorted(members, key=lambda member: member.name):
            stream.write(headers[member.name])
            with (root / member.name).open("rb") as source:
                _copy(source, stream, member.size_bytes, root / member.name)
                if source.read(1):
                    raise UserError(f"{root / member.name}: grew while it was packed: pack again when nothing writes")
            stream.write(bytes(ustar.padding(member.size_bytes)))
        stream.write(bytes(_END_BYTES))
        stream.flush()
        os.fsync(stream.fileno())
    commit(archive)


def judge(archive: Path) -> list[Finding]:
    """All that keeps an archive from being unpacked; reads headers alone and writes nothing."""
    try:
        with _opened(archive) as stream:
            return [Finding(archive, problem) for problem in _read(stream)[1]]
    except UserError as error:
        return [Finding(archive, str(error).removeprefix(f"{archive}: "))]


def judge_folder(folder: Path) -> list[Finding]:
    """All that keeps a package that is a folder from being read: links, devices, odd names, too much of anything."""
    if not folder.is_dir():
        return [Finding(folder, "no folder, expected that of a package")]
    members, problems = _members_of(folder)
    return [Finding(folder, problem) for problem in dict.fromkeys([*problems, *problems_among(members)])]


def extract(archive: Path, destination: Path) -> Path:
    """Unpack an archive that anybody may have made, if there is nothing to find; else nothing is written.

    Args:
        archive: The file.
        destination: An empty folder, or none yet.

    Returns:
        The package's folder: ORG/cryodenoise/SYSTEM/DESCRIPTOR below the destination.

    Raises:
        UserError: If `judge` finds something (one line a finding), the destination is not empty, or lacks space.
    """
    with _opened(archive) as stream:
        entries, problems = _read(stream)
        if problems:
            raise UserError("\n".join(f"{archive}: {problem}" for problem in problems))
        if os.path.lexists(destination) and (not destination.is_dir() or any(destination.iterdir())):
            raise UserError(f"{destination}: not empty, expected a new folder to unpack into: choose another")
        destination.mkdir(parents=True, exist_ok=True)
        require_space(destination, sum(entry.size_bytes for entry in entries))
        for entry in entries:
            path = destination / entry.name
            (path if entry.is_folder else path.parent).mkdir(parents=True, exist_ok=True)
            if entry.is_folder:
                continue
            stream.seek(entry.position)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(descriptor, "wb") as target:
                os.fchmod(descriptor, 0o644)
                _copy(stream, target, entry.size_bytes, archive)
    top = next(entry.name for entry in entries if not entry.is_folder).split("/")[:PACKAGE_DEPTH]
    return destination.joinpath(*top)


def _opened(archive: Path) -> BinaryIO:
    """The archive for reading, if it is a file at all: a FIFO would be waited for."""
    try:
        if archive.is_file():
            return archive.open("rb")
    except OSError as error:
        raise UserError(f"{archive}: cannot be read ({error.strerror}), expected an archive of a package") from error
    found = "no file" if archive.exists() else "missing"
    raise UserError(f"{archive}: {found}, expected an archive of a package: give the path of one")


def _read(stream: BinaryIO) -> tuple[list[_Entry], list[str]]:
    """Files and folders of an archive, and all that is wrong with it: what is listed was read only where nothing is."""
    entries: list[_Entry] = []
    problems: list[str] = []
    length = os.fstat(stream.fileno()).st_size
    if problem := _no_tar(stream, length):
        return [], [problem]
    position = 0
    for _ in range(MAX_FILES + 1):
        stream.seek(position)
        block = stream.read(ustar.BLOCK_BYTES)
        if len(block) < ustar.BLOCK_BYTES:
            problems.append("truncated: it does not end with two blocks of zeros")
            break
        if not any(block):
            problems += _end_problems(stream, length - position)
            break
        try:
            header = ustar.unpack(block)
        except ValueError as error:
            problems.append(f"byte {position}: {error}; what follows cannot be judged")
            break
        position += ustar.BLOCK_BYTES
        is_folder = header.kind == ustar.FOLDER
        name = header.name.removesuffix("/") if is_folder else header.name
        size_bytes = 0 if header.kind[0] in ustar.WITHOUT_CONTENT else header.size_bytes
        if size_bytes + ustar.padding(size_bytes) > length - position:
            problems.append(f"{name!r}: truncated: {size_bytes} bytes, but the archive ends after {length - position}")
            break
        if header.kind not in (ustar.FILE, ustar.FOLDER):
            kind = ustar.KINDS.get(header.kind, f"an entry of the unknown kind {header.kind!r}")
            problems.append(f"{name!r}: {kind}, expected files and folders alone")
        else:
            entries.append(_Entry(name, is_folder, size_bytes, position))
        if is_folder and header.size_bytes:
            problems.append(f"{name!r}: a folder of {header.size_bytes} bytes, expected none")
        position += size_bytes + ustar.padding(size_bytes)
    else:
        problems.append(f"more than {MAX_FILES} entries")
    return entries, list(dict.fromkeys([*problems, *problems_among(entries), *package_problems(entries)]))


def _no_tar(stream: BinaryIO, length: int) -> str | None:
    """Why a file is no plain tar at first sight, if it is not."""
    start = stream.read(ustar.BLOCK_BYTES)
    for magic, what in _OTHERS.items():
        if start.startswith(magic):
            return f"{what}, expected an uncompressed tar: pack it again with `cryodenoise submit`"
    if not start:
        return "empty, expected an uncompressed tar: copy it again"
    if length > _MAX_ARCHIVE_BYTES:
        return f"{length} bytes, expected at most {_MAX_ARCHIVE_BYTES}"
    if start[257:262] != b"ustar" and any(start):
        return "no tar of the USTAR format: pack it again with `cryodenoise submit`"
    return None


def _end_problems(stream: BinaryIO, left: int) -> Iterator[str]:
    """What is wrong with the end of an archive, of which the first block, of zeros, was read."""
    if left < _END_BYTES:
        yield "truncated: it ends with one block of zeros, expected two"
    if left % ustar.BLOCK_BYTES:
        yield f"{left % ustar.BLOCK_BYTES} bytes too long, expected blocks of {ustar.BLOCK_BYTES}"
    while block := stream.read(_COPY_BYTES):
        if any(block):
            yield "more behind its end, expected zeros alone"
            return


def _members_of(folder: Path) -> tuple[list[Member], list[str]]:
    """Files and folders below a folder, without following a link, and what is neither, sorted by name."""
    members: list[Member] = []
    problems: list[str] = []
    waiting = [""]
    while waiting and len(members) + len(problems) <= MAX_FILES:
        above = waiting.pop()
        try:
            with os.scandir(folder / above) as found:
                entries = [
                    (f"{above}/{entry.name}".removeprefix("/"), entry.stat(follow_symlinks=False))
                    for entry in islice(found, MAX_FILES + 1)
                ]
        except OSError as error:
            problems.append(f"{above or '.'!r}: cannot be read ({error.strerror})")
            continue
        for name, status in entries:
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_folder or stat.S_ISREG(status.st_mode):
                members.append(Member(name, is_folder, 0 if is_folder else status.st_size))
            else:
                problems.append(f"{name!r}: {_kind(status.st_mode)}, expected files and folders alone")
            if is_folder and name.count("/") + 1 <= MAX_DEPTH:
                waiting.append(name)
    if len(members) + len(problems) > MAX_FILES:
        problems.append(f"more than {MAX_FILES} files and folders")
    return sorted(members, key=lambda member: member.name), sorted(problems)


def _kind(mode: int) -> str:
    """What neither a file nor a folder is, in words."""
    kinds = {stat.S_IFLNK: b"2", stat.S_IFCHR: b"3", stat.S_IFBLK: b"4", stat.S_IFIFO: b"6"}
    kind = kinds.get(stat.S_IFMT(mode))
    return ustar.KINDS[kind] if kind else "a socket"


def _copy(source: BinaryIO, target: BinaryIO, size_bytes: int, place: Path) -> None:
    """Copy exactly so many bytes; `place` is where they are read, for the message."""
    while size_bytes:
        block = source.read(min(size_bytes, _COPY_BYTES))
        if not block:
            raise UserError(f"{place}: became shorter while it was read: try again when nothing writes to it")
        target.write(block)
        size_bytes -= len(block)
