"""What the files of a package hold, read as somebody else's: within limits, and never run.

Each of these raises a UserError that begins with the path, whatever the file holds; none follows a link.
"""

import io
import json
import math
import os
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

import yaml

from cryodenoise.config.schema import YamlLoader
from cryodenoise.errors import UserError
from cryodenoise.evaluation import npz

MAX_TEXT_BYTES = 1 << 24
"""Length of a JSON document, a log or another text at most."""
MAX_YAML_BYTES = 1 << 18
"""Length of a YAML file at most: PyYAML takes seconds for as much."""
MAX_NESTING = 40
"""Lists and mappings within each other at most."""
MAX_TENSORS_HEADER_BYTES = 1 << 20
"""Length of the header of a file of weights at most."""
MAX_METADATA_CHARACTERS = 1 << 16
"""Length of a text in such a header at most."""

_REMEDY = "pack it again with `cryodenoise submit`"
_PICKLED = re.compile(rb"PK\x03\x04|PK\x05\x06|\x80[\x02-\x05]")  # torch.save writes a zip archive, or once a pickle
_ITEM_BYTES = {"F16": 2, "BF16": 2, "F32": 4}
_COUNT_BYTES = {"I64": 8}  # batch normalisation counts its batches in a tensor without axes
_MAX_AXES = 8
_TENSOR_KEYS = {"dtype", "shape", "data_offsets"}
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|([\[{])|([\]}])', re.DOTALL)
_YAML_BEGINS = (
    yaml.BlockMappingStartToken, yaml.BlockSequenceStartToken, yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken,
)  # fmt: skip
_YAML_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_SHOWN = 200


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file for reading, and its length.

    Raises:
        UserError: If it is missing, no regular file, or cannot be read.
    """
    try:
        with open(path, "rb", opener=_open) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path}: no file, expected one: {_REMEDY}")
            yield stream, status.st_size
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing: {_REMEDY}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}), expected a file: {_REMEDY}") from error


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # a FIFO would be waited for


def read_bytes(path: Path, most_bytes: int) -> bytes:
    """A regular file of a limited length.

    Raises:
        UserError: If it cannot be read or is longer.
    """
    with opened(path) as (stream, size_bytes):
        if size_bytes > most_bytes:
            raise UserError(f"{path}: {size_bytes} bytes, expected at most {most_bytes}: {_REMEDY}")
        return stream.read(size_bytes)


def read_text(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> str:
    """A text in UTF-8.

    Raises:
        UserError: If the file cannot be read within the limit, or is no such text.
    """
    try:
        return read_bytes(path, most_bytes).decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no text in UTF-8 (byte {error.start}): {_REMEDY}") from error


def read_json(path: Path, most_bytes: int = MAX_TEXT_BYTES) -> Any:
    """A JSON document.

    Raises:
        UserError: If the file cannot be read within the limit, or is no JSON; or has a key twice, NaN, infinity, a
            number beyond float64, half a character, or nests too deep.
    """
    text = read_text(path, most_bytes)
    try:
        return _json(text)
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({_said(error)}): {_REMEDY}") from error


def read_yaml(path: Path) -> Any:
    """What a YAML file holds, as values that JSON knows.

    Raises:
        UserError: If the file cannot be read within the limit, or is no YAML; or has a key twice, anchors, aliases or
            tags, values that JSON does not know, or nests too deep.
    """
    text = read_text(path, MAX_YAML_BYTES)
    try:
        _require_plain_yaml(text)
        content = yaml.load(text, YamlLoader)  # noqa: S506  a SafeLoader
        as_json = json.dumps(content, allow_nan=False, ensure_ascii=False)
        as_json.encode()  # half a character cannot be written
        return json.loads(as_json)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not plain YAML ({_said(error)}): write plain keys and values") from error


def require_npz(path: Path) -> list[str]:
    """See that a file is a plain archive of arrays of numbers, as measures.npz is; nothing is unpacked.

    Returns:
        The names of its members.

    Raises:
        UserError: If it is anything else.
    """
    content = read_bytes(path, npz.MAX_BYTES)
    if problem := npz.problem_of(content):
        raise UserError(f"{path}: {problem}: {_REMEDY}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


def require_safetensors(path: Path) -> dict[str, Any]:
    """See that a file is one of weights: numbers of float16, bfloat16 or float32, and short texts; nothing else.

    The layout is that of https://huggingface.co/docs/safetensors: the length of the header (u64), the header in JSON,
    the tensors one behind the other. Only the header is read.

    Returns:
        The header: tensors by name, and texts under `__metadata__`.

    Raises:
        UserError: If it is anything else; a pickled file is named as such.
    """
    try:
        with opened(path) as (stream, size_bytes):
            start = stream.read(8)
            if _PICKLED.match(start):
                raise ValueError("pickled weights, which may hold a program: expected safetensors")
            if len(start) < 8:
                raise ValueError(f"{size_bytes} bytes, expected safetensors")
            (length,) = struct.unpack("<Q", start)
            if length > min(size_bytes - 8, MAX_TENSORS_HEADER_BYTES):
                raise ValueError(f"a header of {length} bytes in a file of {size_bytes}, expected safetensors")
            header = _json(stream.read(length).decode())
        _require_tensors(header, size_bytes - 8 - length)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {_said(error)}: {_REMEDY}") from error
    return cast(dict[str, Any], header)


def _require_tensors(header: Any, content_bytes: int) -> None:
    """Raise a ValueError unless a header tells of tensors that fill the rest of the file without gap or overlap."""
    if not isinstance(header, dict):
        raise ValueError("a header that is no mapping, expected that of safetensors")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("__metadata__: expected texts alone")
    for key, text in metadata.items():
        if len(key) + len(text) > MAX_METADATA_CHARACTERS:
            raise ValueError(f"__metadata__: {len(text)} characters, expected at most {MAX_METADATA_CHARACTERS}")
    spans = sorted(_span(name, tensor) for name, tensor in header.items() if name != "__metadata__")
    position = 0
    for begin, end, name in spans:
        if begin != position:
            raise ValueError(f"{name!r}: begins at byte {begin}, expected {position}: tensors overlap or leave a gap")
        position = end
    if position != content_bytes:
        raise ValueError(f"{content_bytes} bytes of tensors, expected {position} by the header")


def _span(name: str, tensor: Any) -> tuple[int, int, str]:
    """Where a tensor begins and ends, and its name; raises a ValueError unless it is of numbers and so long."""
    if not isinstance(tensor, dict) or tensor.keys() != _TENSOR_KEYS:
        raise ValueError(f"{name!r}: expected {', '.join(sorted(_TENSOR_KEYS))}")
    dtype, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    if not (_are_lengths(shape) and _are_lengths(offsets) and len(offsets) == 2 and len(shape) <= _MAX_AXES):
        raise ValueError(f"{name!r}: shape or data_offsets are no lengths")
    known = {**_ITEM_BYTES, **({} if shape else _COUNT_BYTES)}
    if not isinstance(dtype, str) or dtype not in known:
        raise ValueError(f"{name!r}: found dtype {dtype!r}, expected {', '.join(sorted(known))}")
    begin, end = offsets
    if end - begin != (expected := math.prod(shape) * known[dtype]):
        raise ValueError(f"{name!r}: {end - begin} bytes, expected {expected} by its shape")
    return begin, end, name


def _are_lengths(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _json(text: str) -> Any:
    """Parse JSON; raises a ValueError for all that `read_json` refuses."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        depth += bool(match[1]) - bool(match[2])
        if depth > MAX_NESTING:
            raise ValueError(f"more than {MAX_NESTING} lists and mappings within each other")
    content = json.loads(text, object_pairs_hook=_mapping, parse_constant=_refuse, parse_float=_finite)
    if r"\u" in text:
        json.dumps(content, ensure_ascii=False).encode()  # half a character cannot be written
    return content


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} given twice")
    return content


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"found {text[:_SHOWN]}, expected a number")


def _require_plain_yaml(text: str) -> None:
    """Raise a ValueError if a YAML text can grow when it is read, names types, or nests too deep."""
    depth = 0
    for token in yaml.scan(text, YamlLoader):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken):
            raise ValueError(f"line {line}: an anchor, an alias or a tag")
        depth += isinstance(token, _YAML_BEGINS) - isinstance(token, _YAML_ENDS)
        if depth > MAX_NESTING:
            raise ValueError(f"line {line}: more than {MAX_NESTING} lists and mappings within each other")


def _said(error: Exception) -> str:
    """What an error says, in one line that can be shown whatever it quotes."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        said = f"line {error.problem_mark.line + 1}: {error.problem or error.context}"
    else:
        said = " ".join(str(error).split())
    shown = "".join(character if character.isprintable() else "?" for character in said)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
