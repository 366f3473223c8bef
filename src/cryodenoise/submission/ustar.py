"""Headers of the plain tar format (USTAR, IEEE Std 1003.1-1988): 512 bytes before the bytes of each file.

Own code, since an archive of a stranger must be read alike by every version of Python, and strictly.
"""

import re
from dataclasses import dataclass

from cryodenoise.errors import UserError

BLOCK_BYTES = 512
"""Headers are so long, and what follows one is filled up with zeros to a multiple of it; two zero blocks end it all."""
FILE, FOLDER = b"0", b"5"
KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"g": "a PAX header",
    b"x": "a PAX header",
    b"X": "a PAX header",
    b"D": "a GNU folder listing",
    b"K": "a GNU long link name",
    b"L": "a GNU long name",
    b"M": "a GNU continuation of another archive",
    b"N": "a GNU long name",
    b"S": "a sparse file",
    b"V": "a GNU label",
}
"""Kinds of entries that are neither files nor folders."""
WITHOUT_CONTENT = frozenset(b"123456")
"""Kinds that no bytes follow, whatever their size says."""

_FIELDS = {
    "name": (0, 100), "mode": (100, 108), "uid": (108, 116), "gid": (116, 124), "size": (124, 136),
    "mtime": (136, 148), "checksum": (148, 156), "kind": (156, 157), "link": (157, 257), "magic": (257, 265),
    "user": (265, 297), "group": (297, 329), "device_major": (329, 337), "device_minor": (337, 345),
    "prefix": (345, 500), "unused": (500, 512),
}  # fmt: skip
"""Where each field begins and ends, in bytes."""
_NAME_BYTES, _PREFIX_BYTES = 100, 155
_USTAR, _GNU = b"ustar\x0000", b"ustar  \x00"
_OCTAL = re.compile(rb" *([0-7]+)[ \0]*")


@dataclass(frozen=True)
class Header:
    """What a header says that matters here.

    Attributes:
        name: Of the entry, as it stands there: with slashes, of a folder also at the end.
        kind: One byte: `FILE`, `FOLDER`, or what else there is.
        size_bytes: Length of what follows, without filling.
    """

    name: str
    kind: bytes
    size_bytes: int


def pack(name: str, size_bytes: int) -> bytes:
    """The header of a file of mode 0644 that is nobody's and of no time.

    Raises:
        UserError: If the name is longer than the format can hold.
    """
    whole = name.encode("ascii")
    start = 0 if len(whole) <= _NAME_BYTES else whole.find(b"/", len(whole) - _NAME_BYTES - 1) + 1
    prefix, rest = whole[: max(start - 1, 0)], whole[start:]
    if len(prefix) > _PREFIX_BYTES or len(rest) > _NAME_BYTES:
        raise UserError(
            f"{name}: {len(whole)} characters, more than a tar can hold: shorten the names of the organization, the "
            "system or the descriptor"
        )
    fields = {
        "name": rest, "mode": b"0000644", "uid": b"0000000", "gid": b"0000000", "size": b"%011o" % size_bytes,
        "mtime": b"00000000000", "checksum": b" " * 8, "kind": FILE, "magic": _USTAR, "device_major": b"0000000",
        "device_minor": b"0000000", "prefix": prefix,
    }  # fmt: skip
    block = b"".join(fields.get(field, b"").ljust(end - first, b"\0") for field, (first, end) in _FIELDS.items())
    first, end = _FIELDS["checksum"]
    return block[:first] + b"%06o\0 " % sum(block) + block[end:]


def unpack(block: bytes) -> Header:
    """Read a header.

    Raises:
        ValueError: If it is none, or one that programs read differently.
    """
    fields = {field: block[first:end] for field, (first, end) in _FIELDS.items()}
    first, end = _FIELDS["checksum"]
    if fields["magic"] not in (_USTAR, _GNU) or len(block) < BLOCK_BYTES:
        raise ValueError("no header of a plain tar (USTAR)")
    if _number(fields["checksum"]) != sum(block[:first]) + sum(block[end:]) + 8 * ord(" "):
        raise ValueError("a header that does not have its checksum: damaged")
    if fields["magic"] == _GNU and fields["prefix"].strip(b"\0"):
        raise ValueError("a GNU header with fields that other programs read as a part of the name")
    parts = [_text(fields[field]) for field in ("prefix", "name")]
    return Header("/".join(part for part in parts if part), fields["kind"], _number(fields["size"]))


def padding(size_bytes: int) -> int:
    """Zeros that follow so many bytes."""
    return -size_bytes % BLOCK_BYTES


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if not found:
        raise ValueError("a number that is not octal, as GNU writes beyond 8 GiB")
    return int(found[1], 8)


def _text(field: bytes) -> str:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise ValueError("a name with more behind its end")
    return text.decode("utf-8", "surrogateescape")
