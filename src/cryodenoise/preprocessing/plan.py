"""What a dataset will hold and where, before the first pixel is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryodenoise.config.documents import DownloadRecord, SplitName
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import STEMS, Stem
from cryodenoise.errors import UserError
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.split import split_lines, split_micrographs
from cryodenoise.signal.tiles import grid_shape

FEWEST_TO_HOLD_OUT_WHOLE = 3


@dataclass(frozen=True)
class RawMicrograph:
    """One micrograph to read: its file, what its header says, and the digest it must have where that is known."""

    path: Path
    header: mrc.MrcHeader
    expected_digest: str | None


@dataclass(frozen=True)
class PlannedSegment:
    """The place of the samples that one micrograph gives to one split; see `config.documents.Segment`."""

    micrograph: int
    split: SplitName
    file: Stem
    first_sample: int
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def samples(self) -> int:
        """How many samples the segment holds."""
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


@dataclass(frozen=True)
class Plan:
    """All segments in the order of the files."""

    segments: list[PlannedSegment]
    held_out: Literal["micrographs", "regions"]


def find_micrographs(raw_dir: Path, download: DownloadRecord | None) -> list[RawMicrograph]:
    """The micrographs in raw/, sorted by name, their headers checked.

    Args:
        raw_dir: Folder of MRC files.
        download: What `download` put there; without it, every `.mrc` file counts.

    Raises:
        UserError: If there are none, one that download.json names is missing, or a file is unsound.
    """
    if download:
        named = {file.name for file in download.files}
        others = [path.name for path in _mrc_files(raw_dir) if path.name not in named]
        if others:
            raise UserError(
                f"{raw_dir}: holds {others[0]}, which download.json does not name: move it to a folder of its own"
            )
        files: dict[Path, str | None] = {raw_dir / file.name: file.pixel_digest for file in download.files}
        missing = [path for path in files if not path.is_file()]
        if missing:
            raise UserError(f"{missing[0]}: missing, though download.json names it: {DownloadRecord.remedy()}")
    else:
        files = dict.fromkeys(_mrc_files(raw_dir))
    if not files:
        others = sorted({path.suffix for path in raw_dir.iterdir() if path.is_file() and path.suffix})
        found = f"only files ending in {', '.join(others)}" if others else "no files at all"
        raise UserError(
            f"{raw_dir}: holds no {mrc.SUFFIX} file ({found}): run `cryodenoise download` first, or give the folder of "
            "your micrographs as raw_dir (mlcube_docker creates a mistyped folder empty, and takes a relative path "
            "under the workspace)"
        )
    for path in files:
        if not path.name.isprintable():  # nor are bytes that are no UTF-8
            raise UserError(f"{str(path)!a}: its name is not printable UTF-8: rename the file")
    return [RawMicrograph(path, mrc.read_header(path), digest) for path, digest in sorted(files.items())]


def _mrc_files(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.suffix.lower() == mrc.SUFFIX and not path.is_dir()]


def make_plan(micrographs: list[RawMicrograph], parameters: PreprocessParameters) -> Plan:
    """Give every sample its place.

    Raises:
        UserError: If a micrograph is smaller than a patch, or too little is there to hold anything out.
    """
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    grids = []
    for micrograph in micrographs:
        header = micrograph.header
        grid = grid_shape(header.height_px, header.width_px, size, stride)
        if 0 in grid:
            raise UserError(
                f"{micrograph.path}: {header.height_px} × {header.width_px} pixels, smaller than a patch of {size} × "
                f"{size}: lower patches.size_px or move the file out of the folder"
            )
        grids.append(grid)
    if len(micrographs) >= FEWEST_TO_HOLD_OUT_WHOLE:
        parts = [
            (number, split, (0, grids[number][0]), (0, grids[number][1]))
            for number, split in split_micrographs(len(micrographs), parameters.split)
        ]
        return Plan(_placed(parts), "micrographs")
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    by_split = []
    for split in splits:
        for number, (rows, columns) in enumerate(grids):
            lines = split_lines(max(rows, columns), size, stride, parameters.split)[split]
            whole = (0, min(rows, columns))
            by_split.append((number, split, lines, whole) if rows >= columns else (number, split, whole, lines))
    return Plan(_placed(by_split), "regions")


def _placed(parts: list[tuple[int, SplitName, tuple[int, int], tuple[int, int]]]) -> list[PlannedSegment]:
    filled: dict[Stem, int] = dict.fromkeys(STEMS, 0)
    segments = []
    for number, split, rows, columns in parts:
        file: Stem = "test" if split == "test" else "train"
        segment = PlannedSegment(number, split, file, filled[file], rows, columns)
        filled[file] += segment.samples
        segments.append(segment)
    return segments
