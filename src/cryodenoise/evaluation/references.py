"""The classical baselines, fitted to training and validation patches of the dataset that is scored."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from cryodenoise import devices
from cryodenoise.baselines import BASELINES, Baseline, Batches, Fitted, Known
from cryodenoise.config.documents import DatasetRecord, SplitName
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.evaluation.layout import evenly

TRAINING_PATCHES, VALIDATION_PATCHES = 64, 16
"""From which baselines are fitted and tuned: as many pixels as their few numbers need."""
_ROUNDING = 1e-4
_SHOWN_ANYWAY = "identity"  # the noisy input


def known(data_dir: Path, dataset: DatasetRecord, device: torch.device) -> Known:
    """What baselines may learn from: patches spread evenly over the splits, one at a time."""

    def patches(split: SplitName, most: int) -> Batches:
        def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            with SplitReader(data_dir, dataset, split) as reader:
                for index in evenly(reader.samples, most):
                    noisy, target = (torch.from_numpy(images) for images in reader.read(np.array([index])))
                    yield devices.place(noisy, device), devices.place(target, device)

        return batches

    return Known(
        patches("train", TRAINING_PATCHES), patches("validation", VALIDATION_PATCHES), pixel_size_angstrom(dataset)
    )


def pixel_size_angstrom(dataset: DatasetRecord) -> float | None:
    """The pixel size of all micrographs, to 0.01 %, as headers round it; None where it is unknown or not one."""
    sizes = [micrograph.pixel_size_angstrom for micrograph in dataset.micrographs]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes) or max(known) > (1 + _ROUNDING) * min(known):
        return None
    return statistics.median_low(known)


def chosen(with_slow: bool) -> list[Baseline]:
    """The baselines that stand beside every score: all but the noisy input itself, which does so anyway."""
    return [each for each in BASELINES.values() if each.name != _SHOWN_ANYWAY and (with_slow or not each.slow)]


@torch.no_grad()
def fitted(baselines: Sequence[Baseline], known: Known, advance: Callable[[int], None]) -> dict[str, Fitted]:
    """Those baselines that apply to the data, by name; `advance` is told of each that is done."""
    found = {}
    for baseline in baselines:
        if (fit := baseline.fit(known)) is not None:
            found[baseline.name] = fit
        advance(1)
    return found
