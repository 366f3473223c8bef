"""The text of a STAR file (Hall 1991, https://doi.org/10.1021/ci00002a020): where each value of its tables stands.

`gemmi` reads STAR files, but keeps neither comments nor the way things were written, and takes letters beyond ASCII for
damage. So the places of the values are found here, and held against what `gemmi` found.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from gemmi import cif

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
    | (?P<text>(?:(?<=\n)|\A);.*?\n;(?=\s|\Z))
    | (?P<single>'(?:[^'\n]|'(?![\s\#]|\Z))*'(?=[\s\#]|\Z))
    | (?P<double>"(?:[^"\n]|"(?![\s\#]|\Z))*"(?=[\s\#]|\Z))
    | (?P<bare>\S+)""",
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_BARE = re.compile(r"[^\s\"'#_$;\[\]][^\s]*")
_KEYWORD = re.compile(r"(data_|save_|loop_|stop_|global_)", re.IGNORECASE)


class StarError(ValueError):
    """A text is no STAR file; says why."""


@dataclass(frozen=True)
class Token:
    """A value and where it stands in the text."""

    start: int
    end: int
    raw: str
    """As it is written, with its quotes."""

    @property
    def value(self) -> str:
        """What it means: as it is written, without quotes."""
        if self.raw[0] == ";" and "\n" in self.raw:
            return self.raw[1:-2]
        return self.raw[1:-1] if self.raw[0] in "'\"" else self.raw


@dataclass
class Table:
    """A loop, or all pairs of a block as a table of one row.

    Attributes:
        block: Name of the block, without `data_`.
        labels: Of the columns, with their leading underscores.
        tokens: The values, row by row.
    """

    block: str
    labels: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Token]]:
        """The values of each row by the labels of their columns."""
        width = len(self.labels)
        starts = range(0, len(self.tokens), width or 1)
        return [dict(zip(self.labels, self.tokens[start : start + width], strict=True)) for start in starts]


def tables(text: str) -> list[Table]:
    """All tables of a STAR file.

    Raises:
        StarError: If it is none, or damaged.
    """
    found = _tables(text)
    ascii_text = _in_ascii(text)
    try:
        document = cif.read_string(ascii_text)
    except (ValueError, RuntimeError) as error:
        raise StarError(str(error).removeprefix("string:")) from error
    read: list[tuple[list[str], list[str]]] = []
    for block in document:
        pairs = [cast(tuple[str, str], item.pair) for item in block if item.pair is not None]
        if pairs:
            read.append(([label for label, _ in pairs], [value for _, value in pairs]))
        read += [(list(item.loop.tags), list(item.loop.values)) for item in block if item.loop is not None]
    if read != [(table.labels, [_in_ascii(token.raw) for token in table.tokens]) for table in found]:
        raise StarError("its tables cannot be told apart")
    return found


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _tables(text: str) -> list[Table]:
    """The tables as they stand; of what is no STAR file, anything."""
    loops: list[Table] = []
    found: list[Table] = []
    pairs, loop, block, label = Table(""), None, "", None
    for match in _TOKEN.finditer(text):
        raw = match.group()
        if match.lastgroup == "comment":
            continue
        lower = raw.lower() if match.lastgroup == "bare" else ""
        if lower.startswith("data_"):
            found += ([pairs] if pairs.labels else []) + loops
            loops, loop, block = [], None, raw[len("data_") :]
            pairs = Table(block)
        elif lower == "loop_":
            loop = Table(block)
            loops.append(loop)
        elif lower.startswith("_"):
            if loop is not None and not loop.tokens:
                loop.labels.append(raw)
            else:
                loop, label = None, raw
        elif loop is not None:
            loop.tokens.append(Token(match.start(), match.end(), raw))
        elif label is not None:
            pairs.labels.append(label)
            pairs.tokens.append(Token(match.start(), match.end(), raw))
            label = None
    return found + ([pairs] if pairs.labels else []) + loops


def edited(text: str, table: Table, column: str, values: Mapping[int, str]) -> str:
    """The text with other values in one column of a table, and without the rows that have none; the rest is as it was.

    Args:
        text: What `table` is from.
        table: One with this column.
        column: Its label.
        values: The new value of each row that stays.
    """
    pieces, done = [], 0
    width = len(table.labels)
    for number, row in enumerate(table.rows):
        token = row[column]
        if number in values:
            pieces += [text[done : token.start], written(values[number], token.raw)]
            done = token.end
        else:
            start, end = table.tokens[number * width].start, table.tokens[number * width + width - 1].end
            line = text.rfind("\n", 0, start) + 1
            start = line if not text[line:start].strip() else start
            rest = re.compile(r"[ \t\r]*\n?").match(text, end)
            pieces.append(text[done:start])
            done = rest.end() if rest else end
    return "".join(pieces) + text[done:]


def written(value: str, instead_of: str = "") -> str:
    """A value as it is written in the place of another: in the same quotes, or in none where none are needed."""
    if not instead_of.startswith(("'", '"')) and _BARE.fullmatch(value) and not _KEYWORD.match(value):
        return value
    for quote in dict.fromkeys(instead_of[:1] + "'\""):
        if quote in "'\"" and not re.search(rf"{quote}([\s#]|$)", value):
            return quote + value + quote
    return f"\n;{value}\n;"
