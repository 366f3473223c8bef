"""Micrographs listed in a STAR file of RELION 3.0, 3.1, 4 or 5, and the same file for what became of them.

Labels: https://relion.readthedocs.io/en/release-5.0/Reference/Conventions.html and `relion_refine
--print_metadata_labels`. Names in it are relative to RELION's project folder, in which RELION itself runs.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.errors import UserError
from cryodenoise.files import write_atomically
from cryodenoise.inference.star_text import StarError, Table, Token, edited, tables
from cryodenoise.micrographs.image import plausible

SUFFIX = ".star"
_NAME, _EVEN, _ODD = "_rlnMicrographName", "_rlnMicrographNameEven", "_rlnMicrographNameOdd"
_GROUP = "_rlnOpticsGroup"
_PIXEL_SIZES = ("_rlnMicrographPixelSize", "_rlnImagePixelSize")
_DETECTOR_UM, _MAGNIFICATION = "_rlnDetectorPixelSize", "_rlnMagnification"
_NONE = ("None", "none", "")
_OF_PARTICLES = ("_rlnImageName", "_rlnCoordinateX")
_OTHER_KINDS = {
    "_rlnImageName": "particles",
    "_rlnCoordinateX": "coordinates of particles",
    "_rlnTomoTiltSeriesStarFile": "tilt series",
    "_rlnMicrographMovieName": "movies",
    "_rlnTomoName": "tomograms",
}
_REMEDY = "give the micrographs.star or corrected_micrographs.star of a job"


@dataclass(frozen=True)
class Row:
    """A micrograph of a STAR file.

    Attributes:
        path: Its file.
        pixel_size_angstrom: That the file gives it, itself or by its optics group; None where it does not say.
        even: The sum of its even frames, if the file names one.
        odd: That of its odd frames.
    """

    path: Path
    pixel_size_angstrom: float | None
    even: Path | None
    odd: Path | None


@dataclass(frozen=True)
class MicrographsStar:
    """A STAR file with micrographs.

    Attributes:
        path: The file.
        project_dir: The folder that its names are relative to; None where all are absolute.
        rows: Its micrographs, in its order.
        text: All of it.
        table: The part of it that lists the micrographs.
    """

    path: Path
    project_dir: Path | None
    rows: tuple[Row, ...]
    text: str
    table: Table


def read_star(path: Path) -> MicrographsStar:
    """Read the micrographs that a STAR file lists.

    Names are taken as relative to the current folder, or to the nearest folder above the file: the first of these where
    the first micrograph exists.

    Raises:
        UserError: If it is no STAR file, lists no micrographs, or its first micrograph is nowhere.
    """
    try:
        text = path.read_bytes().decode()  # with its line ends
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: no STAR file, it is no text in UTF-8: {_REMEDY}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): correct the name or its permissions") from error
    try:
        found = tables(text)
    except StarError as error:
        raise UserError(f"{path}: no STAR file, or a damaged one ({error}): {_REMEDY}") from error
    table = _micrographs(path, found)
    optics = _optics(path, found)
    names = [row[_NAME].value for row in table.rows]
    project_dir = _project_dir(path, names)

    def place(row: Mapping[str, Token], label: str) -> Path | None:
        name = row[label].value if label in row else ""
        return None if name in _NONE else (project_dir or Path()) / name

    rows = []
    for name, row in zip(names, table.rows, strict=True):
        group = row[_GROUP].value if _GROUP in row else next(iter(optics), "")
        size = _pixel_size(path, row) or optics.get(group)
        rows.append(Row((project_dir or Path()) / name, size, place(row, _EVEN), place(row, _ODD)))
    return MicrographsStar(path, project_dir, tuple(rows), text, table)


def write_star(path: Path, star: MicrographsStar, outputs: Mapping[Path, Path]) -> None:
    """Write a STAR file again with other micrographs, whole or not at all; all else is as it was, comments, too.

    Args:
        path: Where to.
        star: The file as it was read.
        outputs: The new file of each micrograph; rows of others are left out. A file within the project folder is
            named relative to it, any other by its absolute path.
    """
    base = Path.cwd() if star.project_dir is None else star.project_dir.absolute()
    files = {micrograph.resolve(): output for micrograph, output in outputs.items()}
    names = {}
    for number, row in enumerate(star.rows):
        if (micrograph := row.path.resolve()) in files:
            place = files[micrograph].absolute()
            within = star.project_dir is not None and place.is_relative_to(base)
            names[number] = str(place.relative_to(base) if within else place)
    write_atomically(path, edited(star.text, star.table, _NAME, names).encode())


def _micrographs(path: Path, found: list[Table]) -> Table:
    """The table that lists the micrographs: of the block `micrographs`, or the only one that names any."""
    naming = [table for table in found if _NAME in table.labels]
    candidates = [table for table in naming if table.block == "micrographs"] or naming
    for label, kind in _OTHER_KINDS.items():
        others = [table for table in found if label in table.labels]
        if others and (not candidates or (label in _OF_PARTICLES and others == candidates)):
            raise UserError(f"{path}: lists {kind}, expected micrographs: {_REMEDY}")
    if not candidates:
        labels = ", ".join(label for table in found for label in table.labels) or "no table"
        raise UserError(f"{path}: expected a column {_NAME}, found {labels[:300]}: {_REMEDY}")
    if len(candidates) > 1:
        blocks = ", ".join(f"data_{table.block}" for table in candidates)
        raise UserError(f"{path}: several tables name micrographs ({blocks}), expected one: {_REMEDY}")
    if not candidates[0].tokens:
        raise UserError(f"{path}: its table of micrographs is empty: {_REMEDY} that found some")
    return candidates[0]


def _optics(path: Path, found: list[Table]) -> dict[str, float | None]:
    """Pixel size of each optics group."""
    rows = [row for table in found if table.block == "optics" for row in table.rows]
    return {row[_GROUP].value: _pixel_size(path, row) for row in rows if _GROUP in row}


def _pixel_size(path: Path, row: Mapping[str, Token]) -> float | None:
    """In Å; the detector's pixel in µm over the magnification, as RELION 3.0 writes it, where nothing else is given."""
    for label in _PIXEL_SIZES:
        if label in row:
            return plausible(_number(path, label, row[label]))
    if _DETECTOR_UM in row and _MAGNIFICATION in row:
        magnification = _number(path, _MAGNIFICATION, row[_MAGNIFICATION])
        detector_um = _number(path, _DETECTOR_UM, row[_DETECTOR_UM])
        return plausible(1e4 * detector_um / magnification) if magnification else None
    return None


def _number(path: Path, label: str, token: Token) -> float:
    try:
        number = float(token.value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{path}: {label} is {token.raw}, expected a number: correct it")
    return number


def _project_dir(path: Path, names: list[str]) -> Path | None:
    relative = next((name for name in names if not Path(name).is_absolute()), None)
    if relative is None:
        return None
    tried = list(dict.fromkeys([Path.cwd(), *path.absolute().parents]))
    for folder in tried:
        if (folder / relative).is_file():
            return folder
    raise UserError(
        f"{path}: its micrograph {relative} is in none of the folders {', '.join(map(str, tried))}: run it in RELION's "
        "project folder, or bring the micrographs back"
    )
