"""What is to be denoised: files, folders, patterns and STAR files become micrographs with names for their outputs."""

import glob
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cryodenoise import micrographs
from cryodenoise.errors import UserError
from cryodenoise.inference import star
from cryodenoise.inference.star import MicrographsStar

Stacks = Literal["sum", "each"]

_EVEN_SUFFIXES = ("", "_EVN", "_even", "_A")
_ODD_SUFFIXES = ("", "_ODD", "_odd", "_B")
"""What MotionCor3, RELION and people put behind the name of a half."""
_SHOWN = 10


@dataclass(frozen=True)
class Input:
    """A micrograph.

    Attributes:
        path: Its file.
        name: Of its file in the output folder.
        pixel_size_angstrom: That a STAR file gives it; None where none says.
        even: The sum of its even frames, if it is known.
        odd: That of its odd frames; there are both or none.
    """

    path: Path
    name: str
    pixel_size_angstrom: float | None = None
    even: Path | None = None
    odd: Path | None = None


@dataclass(frozen=True)
class Inputs:
    """All that is to be denoised.

    Attributes:
        micrographs: Each once, in the order that they were given in.
        output_dir: Where the outputs will be.
        stars: The STAR files that list some of them.
    """

    micrographs: tuple[Input, ...]
    output_dir: Path
    stars: tuple[MicrographsStar, ...] = ()


def gather(given: Sequence[str], output_dir: Path, stacks: Stacks = "sum") -> Inputs:
    """Find what was given, and name what will be written.

    Args:
        given: Files, folders (the micrographs directly within, sorted by name, but for hidden ones), patterns with `*`,
            `?`, `[…]` or `**`, and STAR files.
        output_dir: Where the outputs will be; need not exist.
        stacks: With `each`, the output of a file with several images is a stack, whose name ends in `.mrcs`.

    Raises:
        UserError: If something given is missing or no micrograph, two outputs would have one name, or an output would
            lie among the inputs.
    """
    if not given:
        raise UserError("no input: give micrographs, folders or patterns of them, or a STAR file")
    found: dict[Path, Input] = {}
    stars: list[MicrographsStar] = []
    for text in given:
        for path in _expanded(text):
            if path.suffix.lower() == star.SUFFIX:
                stars.append(star.read_star(path))
                found |= {one.path.resolve(): one for one in _listed(stars[-1])}  # which knows more than a name does
            else:
                found.setdefault(path.resolve(), Input(path, ""))
    named = tuple(replace(one, name=_output_name(one.path, stacks)) for one in found.values())
    _require_names(named)
    _require_apart(named, output_dir)
    return Inputs(named, output_dir, tuple(stars))


def with_halves(inputs: Inputs, even_dir: Path, odd_dir: Path) -> Inputs:
    """Find both halves of every micrograph, by its name without suffix.

    The name of a half may end in `_EVN`, `_even` or `_A`, and in `_ODD`, `_odd` or `_B`; within one folder it must.
    Halves of others among the inputs, as of a folder that holds all, are left out.

    Raises:
        UserError: If a folder is none, halves are missing, a name could be meant for several files, or an output would
            lie among the halves.
    """
    sides = []
    for folder, suffixes in ((even_dir, _EVEN_SUFFIXES), (odd_dir, _ODD_SUFFIXES)):
        stems: dict[str, list[Path]] = {}
        for path in _of_folder(folder):
            stems.setdefault(micrographs.stem(path), []).append(path)
        sides.append((stems, suffixes[1:] if even_dir.resolve() == odd_dir.resolve() else suffixes))
    found = {}
    for one in inputs.micrographs:
        stem = micrographs.stem(one.path)
        found[one] = [
            _only([path for end in suffixes for path in stems.get(stem + end, ())]) for stems, suffixes in sides
        ]
        if one.path.resolve() in _resolved(found[one]):
            raise UserError(f"{one.path}: is a half of itself: give the sum of all frames as the micrograph")
    every_half = {path for halves in found.values() for path in _resolved(halves)}
    wholes = [one for one in inputs.micrographs if one.path.resolve() not in every_half]
    if missing := [micrographs.stem(one.path) for one in wholes if None in found[one]]:
        raise UserError(
            f"{even_dir}, {odd_dir}: no two halves of {_some(missing)}: their names must be those of the micrographs, "
            "or end in _EVN, _even or _A and in _ODD, _odd or _B"
        )
    paired = tuple(replace(one, even=found[one][0], odd=found[one][1]) for one in wholes)
    _require_apart(paired, inputs.output_dir)
    return replace(inputs, micrographs=paired)


def _resolved(paths: Iterable[Path | None]) -> set[Path]:
    return {path.resolve() for path in paths if path}


def _expanded(text: str) -> list[Path]:
    """The files that an argument stands for."""
    path = Path(text)
    if path.is_dir():
        return _of_folder(path)
    if not path.exists() and glob.has_magic(text):
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 absolute ones, too
        files = [match for match in matches if _is_file(match) and _is_input(match)]
        if not files:
            raise UserError(f"{text}: matches {len(matches)} files and folders, no micrograph: correct the pattern")
        return files
    if not path.exists():
        raise UserError(f"{text}: does not exist, expected a micrograph, a folder of them or a STAR file: correct it")
    if not path.is_file() or not _is_input(path):
        raise UserError(
            f"{text}: its name ends in none of {', '.join(micrographs.SUFFIXES)}, {star.SUFFIX}: convert it, "
            "or leave it out"
        )
    return [path]


def _is_file(path: Path) -> bool:
    """Whether it is a file, or a link to one that is gone, which is then told of as others that cannot be read."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_input(path: Path) -> bool:
    return path.suffix.lower() == star.SUFFIX or micrographs.is_micrograph(path)


def _of_folder(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no folder, expected one with micrographs: correct it")
    inside = sorted(folder.iterdir(), key=lambda path: path.name)
    found = [path for path in inside if path.name[0] != "." and micrographs.is_micrograph(path) and _is_file(path)]
    if not found:
        raise UserError(
            f"{folder}: no micrograph directly in this folder, expected names that end in "
            f"{', '.join(micrographs.SUFFIXES)}: give the folder that holds them"
        )
    return found


def _listed(listing: MicrographsStar) -> list[Input]:
    """The micrographs of a STAR file, with the halves that are there."""
    inputs = []
    for row in listing.rows:
        if not micrographs.is_micrograph(row.path):
            raise UserError(f"{listing.path}: {row.path} ends in none of {', '.join(micrographs.SUFFIXES)}: convert it")
        both = row.even is not None and row.odd is not None and row.even.is_file() and row.odd.is_file()
        even, odd = (row.even, row.odd) if both else (None, None)
        inputs.append(Input(row.path, "", row.pixel_size_angstrom, even, odd))
    return inputs


def _output_name(path: Path, stacks: Stacks) -> str:
    stem = micrographs.stem(path)
    return f"{stem}.mrcs" if stacks == "each" and _images(path) > 1 else f"{stem}.mrc"


def _images(path: Path) -> int:
    """How many images a file holds; of one that cannot be read, which will be told when its turn comes, 1."""
    try:
        return micrographs.read_header(path).frames
    except (UserError, OSError):
        return 1


def _require_names(inputs: Iterable[Input]) -> None:
    taken: dict[str, Path] = {}
    for one in inputs:
        if not str(one.path).isprintable():  # nor are bytes that are no UTF-8
            raise UserError(f"{str(one.path)!a}: its name is not printable UTF-8: rename the file")
        if one.name in taken:
            raise UserError(
                f"{taken[one.name]} and {one.path}: both would be written as {one.name}: rename one, or denoise them "
                "into folders of their own"
            )
        taken[one.name] = one.path


def _require_apart(inputs: Iterable[Input], output_dir: Path) -> None:
    """See that no output replaces an input, or is taken for one the next time."""
    folder = output_dir.resolve()
    for one in inputs:
        for path in (one.path, one.even, one.odd):
            if path and folder in (path.absolute().parent.resolve(), path.resolve().parent):
                raise UserError(
                    f"{output_dir}: holds the input {path.name}: choose another output folder, as inputs are never "
                    "touched"
                )


def _only(paths: list[Path]) -> Path | None:
    if len(paths) > 1:
        raise UserError(f"{paths[0]} and {paths[1]}: both could be the half that is looked for: move one away")
    return paths[0] if paths else None


def _some(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} others" if rest > 0 else "")
