"""Which patch of the test split shows what."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cryodenoise.config.documents import DatasetRecord, Segment
from cryodenoise.config.schema import canonical


@dataclass(frozen=True)
class Place:
    """Patches of one micrograph, or of a half of it, that follow one another in the test split.

    Attributes:
        segment: What dataset.json says.
        first: Index of the first of them in the split.
    """

    segment: Segment
    first: int

    @property
    def indices(self) -> np.ndarray:
        """Their indices in the split."""
        return np.arange(self.first, self.first + self.segment.samples)

    def index(self, row: int, column: int) -> int:
        """The index of a patch by its place in the grid."""
        across = self.segment.columns[1] - self.segment.columns[0]
        return self.first + (row - self.segment.rows[0]) * across + column - self.segment.columns[0]


def places(dataset: DatasetRecord) -> list[Place]:
    """What the test split holds, in the order of its files."""
    start = dataset.splits["test"].first_sample
    of_test = [segment for segment in dataset.segments if segment.split == "test"]
    return [Place(segment, segment.first_sample - start) for segment in of_test]


def columns(dataset: DatasetRecord) -> dict[str, np.ndarray]:
    """Of each patch of the test split its micrograph and its row and column in the grid, int64 of shape (n,)."""
    found = {name: np.empty(dataset.splits["test"].samples, np.int64) for name in ("micrograph", "row", "column")}
    for place in places(dataset):
        rows, across = (range(*ends) for ends in (place.segment.rows, place.segment.columns))
        found["micrograph"][place.indices] = place.segment.micrograph
        found["row"][place.indices] = np.repeat(rows, len(across))
        found["column"][place.indices] = np.tile(across, len(rows))
    return found


def partners(dataset: DatasetRecord) -> dict[int, int]:
    """Of halves: the patch of the even frames → that of the odd frames at the same place; else nothing."""
    of_place: dict[tuple[int, tuple[int, int], tuple[int, int]], dict[str | None, Place]] = {}
    for place in places(dataset):
        key = place.segment.micrograph, place.segment.rows, place.segment.columns
        of_place.setdefault(key, {})[place.segment.half] = place
    return {
        int(even): int(odd)
        for halves in of_place.values()
        if halves.keys() == {"even", "odd"}
        for even, odd in zip(halves["even"].indices, halves["odd"].indices, strict=True)
    }


def order(dataset: DatasetRecord) -> np.ndarray:
    """The patches of the test split so that the two halves of one place follow one another."""
    odd_of = partners(dataset)
    return np.array(list(_in_pairs(odd_of, dataset.splits["test"].samples)), np.int64)


def _in_pairs(odd_of: dict[int, int], samples: int) -> Iterator[int]:
    odd = set(odd_of.values())
    for index in range(samples):
        if index not in odd:
            yield index
            if index in odd_of:
                yield odd_of[index]


def known_sha256(dataset: DatasetRecord) -> str:
    """SHA-256 over what scores depend on that the identity of a dataset does not tell: it is of the samples alone."""
    of_micrographs = [
        each.model_dump(mode="json", include={"particles", "pixel_size_angstrom"}) for each in dataset.micrographs
    ]
    known = {"pairs": dataset.pairs, "stride_px": dataset.stride_px, "micrographs": of_micrographs}
    return hashlib.sha256(canonical(known)).hexdigest()


def evenly(samples: int, count: int) -> list[int]:
    """At most so many of the indices 0 … samples − 1, evenly spread."""
    count = min(samples, count)
    return [(2 * number + 1) * samples // (2 * count) for number in range(count)]
