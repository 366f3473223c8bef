"""Reading logs, which may be anybody's files: whatever is in them becomes an event or a sentence about it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cryodenoise.submission.log import PREFIX

_MOST_BYTES, _MOST_LINES, _LINE_BYTES, _DEPTH = 16 << 20, 50_000, 64 << 10, 8  # an epoch takes 1 KiB, in 5 lines
_NAMED = 20  # faulty lines of a log; those beyond are counted
_SHOWN = 300  # characters of what a log holds
_KEYS = {"namespace", "time_ms", "event_type", "key", "value", "metadata"}
_KINDS = ("POINT_IN_TIME", "INTERVAL_START", "INTERVAL_END")


@dataclass(frozen=True)
class Event:
    """A line of a log.

    Attributes:
        line: Its number, counted from 1.
        time_ms: When, in milliseconds since the start of 1970, UTC.
        key: What it tells of.
        value: What it tells: JSON values.
        metadata: What else.
        text: The line.
    """

    line: int
    time_ms: int
    key: str
    value: Any
    metadata: dict[str, Any]
    text: str

    def told(self) -> tuple[int, str, Any, dict[str, Any]]:
        """All but the line of the program that wrote it."""
        place = ("file", "lineno")
        return self.time_ms, self.key, self.value, {k: value for k, value in self.metadata.items() if k not in place}


def read(path: Path) -> tuple[list[Event], list[str]]:
    """The events of a log, and in one sentence each what is wrong with its other lines."""
    try:
        if not path.is_file():
            return [], ["no file, expected a log"]
        with path.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        return [], [f"cannot be read ({error.strerror}), expected a log"]
    if len(content) > _MOST_BYTES:
        return [], [f"longer than {_MOST_BYTES >> 20} MiB, expected a log"]
    if content.count(b"\n") > _MOST_LINES:
        return [], [f"more than {_MOST_LINES} lines, expected a log"]
    return parse(content)


def parse(content: bytes) -> tuple[list[Event], list[str]]:
    """As `read`, of a log's content."""
    events, problems = [], []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
        try:
            events.append(_event(number, line))
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: {shown(str(error))}")
    more = len(problems) - _NAMED
    return events, problems[:_NAMED] + [f"and {more} more lines that are no events"] * (more > 0)


def _event(number: int, line: bytes) -> Event:
    if len(line) > _LINE_BYTES:
        raise ValueError(f"longer than {_LINE_BYTES >> 10} KiB")
    text = line.decode("ascii")
    if not text.startswith(PREFIX):
        raise ValueError(f"found {text[:40]!r}, expected {PREFIX!r} and a JSON object")
    found = json.loads(
        text.removeprefix(PREFIX), parse_constant=_refused, parse_float=_finite, object_pairs_hook=_without_repeats
    )
    if not isinstance(found, dict) or found.keys() != _KEYS:
        raise ValueError(f"expected an object with the keys {', '.join(sorted(_KEYS))}")
    key, time_ms, metadata = found["key"], found["time_ms"], found["metadata"]
    if not isinstance(key, str) or not key or found["namespace"] != "" or found["event_type"] not in _KINDS:
        raise ValueError("key, namespace or event_type is none that mllog writes")
    if type(time_ms) is not int or not 0 <= time_ms < 2**53:
        raise ValueError("time_ms is no count of milliseconds")
    if not isinstance(metadata, dict) or not isinstance(file := metadata.get("file"), str):
        raise ValueError("metadata names no file")
    if file != file.strip() or ".." in (place := PurePosixPath(file)).parts or place.is_absolute() or "\\" in file:
        raise ValueError(f"metadata.file: {file!r}, expected a place in the program")
    if _is_deeper(found, _DEPTH):
        raise ValueError(f"nested more than {_DEPTH} deep")
    return Event(number, time_ms, key, found["value"], metadata, text)


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:40]} is not finite")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(found := dict(pairs)) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _is_deeper(value: Any, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels < 0 or any(_is_deeper(each, levels - 1) for each in inside)


def shown(text: str, most: int = _SHOWN) -> str:
    """Somebody else's text as one printable line of bounded length."""
    line = "".join(letter if letter.isprintable() else " " for letter in text)
    return line if len(line) <= most else line[: most - 1] + "…"
