"""Archives of numpy arrays as `numpy.savez` writes them, judged before numpy reads them.

numpy believes what a member's header says of its shape, and a compressed member can unpack to anything: a small file
could ask for any amount of memory. Here nothing is compressed, so that an archive holds no more than its own length.
"""

import io
import math
import re
import struct
import zipfile

MAX_BYTES = 1 << 28
"""Length of an archive at most."""
_MAX_MEMBERS = 64
_BLOCK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 12
_NAME = re.compile(r"\w{1,64}\.npy", re.ASCII)
_MAGIC = b"\x93NUMPY\x01\x00"  # version 1.0, which holds any header this short
_HEADER = re.compile(
    r"\{'descr': '[<|](?:f(?=[248])|[iu]|b(?=1))(?P<bytes>[1248])', 'fortran_order': (?:True|False), "
    r"'shape': \((?P<shape>|[1-9]\d{0,9},|[1-9]\d{0,9}(?:, [1-9]\d{0,9}){1,7})\), \} *\n"
)


def problem_of(content: bytes) -> str | None:
    """Why the bytes are no plain archive of arrays of numbers, in one line; None if they are one."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            return _directory_problem(members) or next(
                filter(None, (_problem(archive, part) for part in members)), None
            )
    # Beside what zipfile means to raise: extra fields cut short, versions and methods that it does not know.
    except (zipfile.BadZipFile, struct.error, ValueError, EOFError, OSError, RuntimeError, LookupError) as error:
        return f"no archive of numpy arrays ({error})"


def _directory_problem(members: list[zipfile.ZipInfo]) -> str | None:
    """What is wrong by the archive's directory alone."""
    if len(members) > _MAX_MEMBERS:
        return f"{len(members)} members, expected at most {_MAX_MEMBERS}"
    if len({member.filename for member in members}) < len(members):
        return "two members of one name"
    if (total := sum(member.file_size for member in members)) > MAX_BYTES:
        return f"{total} bytes unpacked, expected at most {MAX_BYTES}"
    for member in members:
        if not _NAME.fullmatch(member.filename):
            return f"member {member.filename!r}, expected arrays such as 'row.npy'"
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            return f"{member.filename}: compressed, expected plain bytes"
        if member.flag_bits & 1:
            return f"{member.filename}: encrypted"
    return None


def _problem(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str | None:
    """Why a member is no array of numbers of exactly its length, if it is not."""
    with archive.open(member) as stream:
        start = stream.read(len(_MAGIC) + 2)
        (length,) = struct.unpack("<H", start[len(_MAGIC) :])
        if not start.startswith(_MAGIC) or length > _MAX_HEADER_BYTES:
            return f"{member.filename}: no array of numpy, of version 1.0 of its format"
        header = _HEADER.fullmatch(stream.read(length).decode("ascii"))
        while stream.read(_BLOCK_BYTES):
            pass  # zipfile compares the checksum at the end
    if not header:
        return f"{member.filename}: no array of plain numbers, or an empty one"
    shape = [int(side) for side in re.findall(r"\d+", header["shape"])]
    expected = len(start) + length + math.prod(shape) * int(header["bytes"])
    if expected != member.file_size:
        return f"{member.filename}: {member.file_size} bytes, expected {expected} by its shape"
    return None
