"""What a dataset will hold and where, before the first pixel is read."""

from dataclasses import dataclass
from typing import Literal

from cryodenoise.config.documents import SplitName
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import STEMS, Stem
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.preprocessing.headers import Shape
from cryodenoise.preprocessing.split import split_folders, split_lines, split_micrographs
from cryodenoise.signal.tiles import grid_shape

FEWEST_TO_HOLD_OUT_WHOLE = 3
Half = Literal["even", "odd"]
_BOTH_WAYS: tuple[Half, ...] = ("even", "odd")


@dataclass(frozen=True)
class RawMicrograph:
    """One micrograph to read, and what its header says."""

    candidate: Candidate
    shape: Shape


@dataclass(frozen=True)
class PlannedSegment:
    """The place of the samples that one micrograph, or one of its halves as the input, gives to one split.

    See `config.documents.Segment`.
    """

    micrograph: int
    split: SplitName
    file: Stem
    first_sample: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    half: Half | None = None

    @property
    def samples(self) -> int:
        """How many samples the segment holds."""
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


@dataclass(frozen=True)
class Plan:
    """The micrographs in order of names, and all segments in the order of the files."""

    micrographs: list[RawMicrograph]
    segments: list[PlannedSegment]
    held_out: Literal["micrographs", "regions"]


def make_plan(micrographs: list[RawMicrograph], parameters: PreprocessParameters) -> Plan:
    """Give every sample its place; of halves, each is the input of a segment of its own.

    Raises:
        InputError: If too little is there to hold anything out.
    """
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    shapes = [micrograph.shape for micrograph in micrographs]
    halves = _BOTH_WAYS if parameters.pairs.kind == "halves" else (None,)
    grids = [grid_shape(shape.height_px, shape.width_px, size, stride) for shape in shapes]
    by_folders = parameters.split.by == "folders"
    if by_folders or len(micrographs) >= FEWEST_TO_HOLD_OUT_WHOLE:
        divided = (
            split_folders([micrograph.candidate.name for micrograph in micrographs], parameters.split)
            if by_folders
            else split_micrographs(len(micrographs), parameters.split)
        )
        parts = [(number, split, (0, grids[number][0]), (0, grids[number][1])) for number, split in divided]
        return Plan(micrographs, _placed(parts, halves), "micrographs")
    splits: tuple[SplitName, ...] = ("train", "validation", "test")
    by_split = []
    for split in splits:
        for number, (rows, columns) in enumerate(grids):
            lines = split_lines(max(rows, columns), size, stride, parameters.split)[split]
            whole = (0, min(rows, columns))
            by_split.append((number, split, lines, whole) if rows >= columns else (number, split, whole, lines))
    return Plan(micrographs, _placed(by_split, halves), "regions")


def _placed(
    parts: list[tuple[int, SplitName, tuple[int, int], tuple[int, int]]], halves: tuple[Half | None, ...]
) -> list[PlannedSegment]:
    filled: dict[Stem, int] = dict.fromkeys(STEMS, 0)
    segments = []
    for number, split, rows, columns in parts:
        file: Stem = "test" if split == "test" else "train"
        for half in halves:
            segment = PlannedSegment(number, split, file, filled[file], rows, columns, half)
            filled[file] += segment.samples
            segments.append(segment)
    return segments
