"""Where in which micrograph a sample comes from."""

from dataclasses import dataclass
from typing import Literal

from cryodenoise.config.documents import DatasetRecord, SplitName
from cryodenoise.dataset.layout import Stem


@dataclass(frozen=True)
class Origin:
    """The place of one sample.

    Attributes:
        segment: Index of its segment in dataset.json.
        split: What it is for.
        micrograph: Name of the micrograph.
        y_px: First row of the patch in it.
        x_px: First column.
        half: Of halves, which of them is the input.
    """

    segment: int
    split: SplitName
    micrograph: str
    y_px: int
    x_px: int
    half: Literal["even", "odd"] | None

    def __str__(self) -> str:
        half = f", input {self.half}" if self.half else ""
        return f"segment {self.segment}, {self.split}, row {self.y_px}, column {self.x_px} of {self.micrograph}{half}"


def origin_of(record: DatasetRecord, stem: Stem, sample: int) -> Origin | None:
    """The origin of a sample of the files of a stem, counted from their start; None if no segment holds it."""
    for number, segment in enumerate(record.segments):
        index = sample - segment.first_sample
        if segment.file == stem and 0 <= index < segment.samples:
            row, column = divmod(index, segment.columns[1] - segment.columns[0])
            y_px, x_px = (
                (first + at) * record.stride_px for first, at in ((segment.rows[0], row), (segment.columns[0], column))
            )
            name = micrograph_name(record, segment.micrograph)
            return Origin(number, segment.split, name, y_px, x_px, segment.half)
    return None


def micrograph_name(record: DatasetRecord, number: int) -> str:
    """The name of a micrograph, also where an edited document names none of that number."""
    return record.micrographs[number].name if number < len(record.micrographs) else f"micrograph {number}"
