"""Streaming the test split through what is scored, and through its references."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cryodenoise import devices
from cryodenoise.baselines import BASELINES
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.scores import BlankProbe, SeedSpread
from cryodenoise.console import Console
from cryodenoise.dataset.layout import has_truth, roles_of
from cryodenoise.dataset.loader import Loader
from cryodenoise.dataset.order import batches
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.evaluation import blank, layout, references
from cryodenoise.evaluation.bootstrap import Bootstrap, student_interval
from cryodenoise.evaluation.gathering import Gathering, Measured
from cryodenoise.evaluation.scored import Scored, finite, require_finite
from cryodenoise.metrics.accumulate import gain_db, mean, psnr_db

EXAMPLE_PX = 512
"""Of the patches that are shown, at most the middle of so many pixels a side is kept."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a test split, and what that took.

    Attributes:
        measured: Scores.
        blank: What is made of blank ice; None for images of another program.
        across_seeds: Over networks of several seeds; None with one.
        intervals_missing: Why there are no intervals; None where there are.
        subset: Patches on which slow filters were scored.
        example_samples: The best, the median and the worst patch.
        examples: Of each the noisy, denoised and reference image, float32 of shape (3, 3, h, w).
        reading_s: Seconds in which a batch was waited for.
        denoising_s: Seconds of the denoiser alone.
        denoised_patches: Patches that it denoised in them.
        elapsed_s: Seconds in all.
    """

    measured: Measured
    blank: BlankProbe | None
    across_seeds: SeedSpread | None
    intervals_missing: str | None
    subset: list[int]
    example_samples: np.ndarray
    examples: np.ndarray
    reading_s: float
    denoising_s: float
    denoised_patches: int
    elapsed_s: float


class _Watch:
    """Seconds of the denoiser alone; its first batch is done twice, since libraries take their time over it."""

    def __init__(self, scored: Scored, device: torch.device) -> None:
        self._scored, self._device = scored, device
        self.elapsed_s, self.patches = 0.0, 0

    def denoise(self, indices: np.ndarray, noisy: torch.Tensor) -> torch.Tensor:
        if self.patches == 0:
            self._scored.images(indices, noisy)
        devices.synchronize(self._device)
        before_s = time.monotonic()
        denoised = self._scored.images(indices, noisy)
        devices.synchronize(self._device)
        self.elapsed_s += time.monotonic() - before_s
        self.patches += len(noisy)
        for index, image in zip(indices.tolist(), denoised, strict=True):
            require_finite(image, self._scored.denoiser.name, f"test patch {index}")
        return denoised


@torch.no_grad()
def evaluate(
    scored: Scored,
    data_dir: Path,
    dataset: DatasetRecord,
    parameters: TestParameters,
    device: torch.device,
    console: Console,
) -> Evaluation:
    """Score the test split in two passes: one for the maps that are fitted to it, one for all else.

    Raises:
        UserError: If a sample is damaged, or what is scored makes values that are not finite.
    """
    began_s = time.monotonic()
    baselines = references.chosen(parameters.slow_patches > 0)
    with console.progress("baselines", len(baselines), "filters") as advance:
        filters = references.fitted(baselines, references.known(data_dir, dataset, device), advance)
    devices.hand_back_memory()
    plan = layout.order(dataset)
    subset = layout.evenly(len(plan), parameters.slow_patches)
    gathering = Gathering(dataset, filters, subset, list(scored.others), device)
    name, watch = scored.denoiser.name, _Watch(scored, device)
    seeds = {seed: finite(denoise, f"{name} of seed {seed}", "test patches") for seed, denoise in scored.others.items()}
    with (
        SplitReader(data_dir, dataset, "test", roles_of("test", has_truth(dataset.segments))) as reader,
        Loader(reader, device, parameters.read_ahead_mib, parameters.batch_size) as loader,
    ):

        def on_device(label: str) -> Iterator[tuple[np.ndarray, torch.Tensor, list[torch.Tensor]]]:
            order = [plan[each] for each in batches(np.arange(len(plan)), parameters.batch_size)]
            with console.progress(label, len(plan), "patches") as advance:
                for indices, (noisy, *others) in zip(order, loader.batches(order), strict=True):
                    yield indices, noisy, others
                    advance(len(noisy))

        for _, noisy, others in on_device("reference"):
            gathering.fit(noisy, others)
        gathering.end_fit()
        devices.hand_back_memory()
        for indices, noisy, others in on_device("score"):
            denoised = watch.denoise(indices, noisy)
            of_seeds = {seed: denoise(noisy) for seed, denoise in seeds.items()}
            devices.hand_back_memory()  # networks take blocks of other sizes than scores; the holes would add up
            gathering.add(indices, noisy, denoised, others, of_seeds)
            devices.hand_back_memory()
        bootstrap = Bootstrap(layout.columns(dataset)["micrograph"], parameters.seed)
        measured = gathering.result(bootstrap)
        order = np.argsort(measured.values["mse"], kind="stable")
        shown = order[[0, (len(order) - 1) // 2, -1]]
        examples = np.stack([_example(scored, reader, index, device) for index in shown])
    probed = None
    if scored.denoise is not None:
        low, high = gathering.main.lowest, gathering.main.highest
        probed = blank.probe(
            finite(scored.denoise, name, "ice that shows nothing"),
            {each: fit.denoise for each, fit in filters.items() if not BASELINES[each].slow},
            gathering.main.mean,
            gathering.noise_power(),
            (0.0, 1.0) if low >= 0 and high <= 1 else (-math.inf, math.inf),
            dataset.sample_shape,
            parameters.seed,
            device,
        )
    return Evaluation(
        measured=measured,
        blank=probed,
        across_seeds=across_seeds(scored.seed, measured) if scored.others else None,
        intervals_missing=bootstrap.missing,
        subset=subset,
        example_samples=shown,
        examples=examples,
        reading_s=loader.waited_s,
        denoising_s=watch.elapsed_s,
        denoised_patches=watch.patches,
        elapsed_s=time.monotonic() - began_s,
    )


def _example(scored: Scored, reader: SplitReader, index: int, device: torch.device) -> np.ndarray:
    """The noisy, the denoised and the reference image of a patch, float32 of shape (3, h, w)."""
    noisy, *others = reader.read(np.array([index]))
    denoised = scored.images(np.array([index]), devices.place(torch.from_numpy(noisy), device))
    images = np.concatenate([noisy, denoised.float().cpu().numpy(), others[-1]])[:, 0]
    top, left = (max(side - EXAMPLE_PX, 0) // 2 for side in images.shape[1:])
    return images[:, top : top + EXAMPLE_PX, left : left + EXAMPLE_PX]


def across_seeds(seed: int, measured: Measured) -> SeedSpread | None:
    """How much the scores of trainings differ that have all but their seed in common; None if one has no error."""
    errors = {seed: measured.values["mse"], **measured.errors}
    psnrs = [psnr_db(mean(values)) for values in errors.values()]
    known = np.isfinite(measured.best_errors)
    best = mean(measured.best_errors[known])
    gains = [gain_db(mean(each[known]), best) for each in errors.values()]
    if None in psnrs or None in gains:
        return None
    values = np.array(psnrs, np.float64)
    return SeedSpread(
        seeds=list(errors),
        psnr_db=values.tolist(),
        mean_db=float(values.mean()),
        standard_deviation_db=float(values.std(ddof=1)),
        interval_db=student_interval(values),
        gain_mean_db=float(np.mean(np.array(gains, np.float64))),
    )
