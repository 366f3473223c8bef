"""What a checker finds: rules with an identifier and a sentence, which yield findings instead of a first failure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

F = TypeVar("F")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        place: The file or folder.
        problem: What was found there and what was expected, in one line.
    """

    place: Path
    problem: str


@dataclass(frozen=True)
class Rule(Generic[F]):
    """A rule that a folder must keep.

    Attributes:
        identifier: Short and stable, such as `DATA-3`.
        sentence: What must hold.
        findings: Yields what does not, for one folder.
    """

    identifier: str
    sentence: str
    findings: Callable[[F], Iterator[Finding]]


def rule(identifier: str, sentence: str) -> Callable[[Callable[[F], Iterator[Finding]]], Rule[F]]:
    """Make a function that yields findings a rule."""
    return lambda findings: Rule(identifier, sentence, findings)
