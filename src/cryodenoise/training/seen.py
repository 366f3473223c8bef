"""What the inputs of a training are like, so that whoever uses its network can tell whether it is at home."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cryodenoise.config.documents import DatasetRecord, Segment
from cryodenoise.config.run_files import PairsKind, is_clipped
from cryodenoise.config.training_record import Extent, TrainedOn
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.signal.neighbours import neighbour_correlation
from cryodenoise.signal.normalize import spread

_Item = TypeVar("_Item")
_SAMPLES_OF_EACH = 4  # of a micrograph: from all over it, for its ice is not the same everywhere
_SAMPLES = 256  # of all: a gigabyte of the reference's patches, some seconds of reading
_PIXELS_AT_A_TIME = 1 << 26
_DIGITS = 6  # below them, sums show which machine made them
_SHARE_OF_DOSE: Mapping[PairsKind, float] = {"truth": 1.0, "halves": 0.5}
"""Of a simulated exposure, by pairs. Noise that is added takes the input away from any dose, and what folders given
pairs come from is not told."""


def trained_on(dataset: DatasetRecord, data_dir: Path) -> TrainedOn:
    """Describe the inputs of the training split: a function of the dataset alone.

    Pixels are looked at in at most 4 samples of a micrograph and 256 in all, spread evenly over the training's.

    Args:
        dataset: What `open_dataset` gives.
        data_dir: Its folder.

    Raises:
        UserError: If a sample is not what was written, or cannot be read.
    """
    with SplitReader(data_dir, dataset, "train", roles=("input",)) as reader:
        spreads, correlations = [], []
        for numbers in _looked_at(dataset):
            (samples,) = reader.read(np.array(numbers))
            rows = samples.reshape(-1, samples.shape[-1])  # patch above patch
            spreads.append(round(spread(rows), _DIGITS))
            correlations.append(round(neighbour_correlation(rows), _DIGITS))
    return TrainedOn(
        **told_by(dataset),
        standard_deviation=(min(spreads), max(spreads)),
        neighbour_correlation=(min(correlations), max(correlations)),
    )


def told_by(dataset: DatasetRecord) -> dict[str, Any]:
    """The fields of `TrainedOn` that follow from dataset.json alone, also from one that somebody else made up."""
    of_training, held = {segment.micrograph for segment in _segments(dataset)}, len(dataset.micrographs)
    sizes = [dataset.micrographs[number].pixel_size_angstrom for number in of_training if number < held]
    known = [size for size in sizes if size is not None]
    return {
        "normalization": dataset.made_from.parameters.get("normalization"),
        "clipped": is_clipped(dataset.pairs, dataset.made_from.parameters.get("normalization")),
        "pairs": dataset.pairs,
        "micrographs": len(of_training),
        "pixel_size_angstrom": (min(known), max(known)) if known and len(known) == len(of_training) else None,
        "dose_e_per_a2": _dose(dataset),
    }


def _dose(dataset: DatasetRecord) -> Extent | None:
    """Only the simulation tells the dose of its micrographs; no other source asks for one."""
    share, value = _SHARE_OF_DOSE.get(dataset.pairs), dataset.source and dataset.source.parameters
    for key in ("synthetic", "detector", "dose_e_per_a2"):
        value = value.get(key) if isinstance(value, dict) else None
    if share is None or not isinstance(value, int | float):
        return None
    return share * value, share * value


def _segments(dataset: DatasetRecord) -> list[Segment]:
    return [segment for segment in dataset.segments if segment.split == "train"]


def _looked_at(dataset: DatasetRecord) -> Iterator[list[int]]:
    """Of each micrograph that is looked at, numbers of samples, counted from the start of the training split."""
    first = dataset.splits["train"].first_sample
    samples_of: dict[int, list[int]] = {}
    for segment in _segments(dataset):
        start = segment.first_sample - first
        samples_of.setdefault(segment.micrograph, []).extend(range(start, start + segment.samples))
    height, width = dataset.sample_shape
    chosen = _evenly(list(samples_of.values()), _SAMPLES)
    each = max(1, min(_SAMPLES_OF_EACH, _SAMPLES // len(chosen), _PIXELS_AT_A_TIME // (height * width)))
    for samples in chosen:
        yield _evenly(samples, each)


def _evenly(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most so many of them: the middle one of each of as many equal parts."""
    count = min(count, len(items))
    return [items[(2 * part + 1) * len(items) // (2 * count)] for part in range(count)]
