"""Everything that is gathered of a test split, patch by patch, in constant memory but for a few numbers a patch."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from cryodenoise.baselines import BASELINES, Fitted
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.scores import AgainstReference, HalvesEstimate, RegionSnr
from cryodenoise.dataset.layout import has_truth
from cryodenoise.evaluation import layout
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.evaluation.comparison import DENOISED, NOISY, Comparison
from cryodenoise.evaluation.halves import HalvesComparison
from cryodenoise.evaluation.particles import Regions
from cryodenoise.metrics.accumulate import PatchScores
from cryodenoise.metrics.joint import JointCounts
from cryodenoise.metrics.pixel import mean_squared_error
from cryodenoise.metrics.spectral import spectra

_REFERENCE = "reference"


@dataclass(frozen=True)
class Measured:
    """What was gathered.

    Attributes:
        against_target: Scores against the targets.
        against_truth: Scores against the truth that was carried along; None without one.
        halves: What halves tell; None where inputs are none.
        region_snr: Of particles; None where none can be measured.
        values: Scores a patch of what was scored, against the truth where there is one, else against the target.
        noisy: Those of the noisy input.
        counts: Histograms, likewise.
        errors: Squared error a patch of the networks of other seeds, by seed.
        best_errors: That of the best baseline; NaN where it was not scored.
    """

    against_target: AgainstReference
    against_truth: AgainstReference | None
    halves: HalvesEstimate | None
    region_snr: RegionSnr | None
    values: PatchScores
    noisy: PatchScores
    counts: JointCounts
    errors: dict[int, np.ndarray]
    best_errors: np.ndarray


class Gathering:
    """Two passes: `fit` takes the maps that are fitted to the split itself, `add` the scores.

    Attributes:
        main: Against the truth where there is one, else against the target.
    """

    def __init__(
        self,
        dataset: DatasetRecord,
        filters: Mapping[str, Fitted],
        subset: list[int],
        seeds: list[int],
        device: torch.device,
    ) -> None:
        """Make room.

        Args:
            dataset: What is scored.
            filters: The baselines, by name.
            subset: Patches on which slow ones are scored.
            seeds: Of other networks.
            device: Where patches are.
        """
        samples, shape = dataset.splits["test"].samples, dataset.sample_shape
        carried = has_truth(dataset.segments)
        self._filters, self._subset, self._device = filters, set(subset), device
        self._comparisons = [Comparison(samples, shape, device) for _ in range(1 + carried)]
        self._halves = HalvesComparison(layout.partners(dataset), shape, device) if dataset.pairs == "halves" else None
        self._regions, self._is_true = Regions(dataset), carried or dataset.pairs == "truth"
        self._errors = {seed: np.empty(samples) for seed in seeds}
        self._counts: JointCounts | None = None
        self.main = self._comparisons[-1]

    def fit(self, noisy: torch.Tensor, others: list[torch.Tensor]) -> None:
        """Take in a batch, (n, 1, h, w), and what it is held against; patch by patch, as `add` does."""
        for comparison, other in zip(self._comparisons, others, strict=True):
            for number in range(len(noisy)):
                one = slice(number, number + 1)
                comparison.fit(noisy[one], other[one])

    def end_fit(self) -> None:
        """Before the first score."""
        for comparison in self._comparisons:
            comparison.end_fit()
        low, high = self.main.lowest, self.main.highest
        self._counts = JointCounts(low, high if high > low else low + 1, self._device)

    def add(
        self,
        indices: np.ndarray,
        noisy: torch.Tensor,
        denoised: torch.Tensor,
        others: list[torch.Tensor],
        of_seeds: Mapping[int, torch.Tensor],
    ) -> None:
        """Score a batch; patches one at a time, since in float64 a batch would take much memory.

        Args:
            indices: Which patches, shape (n,).
            noisy: Their inputs, (n, 1, h, w).
            denoised: What was made of them, likewise.
            others: What they are held against: the target, then the truth if one is carried along.
            of_seeds: What networks of other seeds made of them.
        """
        assert self._counts is not None, "end_fit comes first"
        for number, index in enumerate(indices.tolist()):
            one = slice(number, number + 1)
            self._counts.add(denoised[one], noisy[one], others[-1][one])
            for seed, image in of_seeds.items():
                self._errors[seed][index] = mean_squared_error(image[one], others[-1][one]).item()
            images = {DENOISED: denoised[one], NOISY: noisy[one]}
            transforms = {name: spectra(image) for name, image in images.items()}
            self._regions.add(index, {**images, _REFERENCE: others[-1][one]} if self._is_true else images)
            if self._halves:
                self._halves.add(index, images[DENOISED], images[NOISY], others[0][one], transforms)
            for name, fit in self._filters.items():
                if not BASELINES[name].slow or index in self._subset:
                    images[name] = fit.denoise(noisy[one])
            for comparison, other in zip(self._comparisons, others, strict=True):
                comparison.add(index, images, other[one], transforms)

    def noise_power(self) -> list[float]:
        """Radial power of the inputs' noise, as far as it is known: of halves half the power of their difference."""
        power = self.main.noise_power()
        if self._halves and len(self._comparisons) == 1:
            return [value / 2 for value in power]
        return power

    def result(self, bootstrap: Bootstrap) -> Measured:
        """All scores.

        Args:
            bootstrap: Draws of the split's micrographs.
        """
        assert self._counts is not None, "end_fit comes first"
        described = {name: (BASELINES[name].title, fit.parameters) for name, fit in self._filters.items()}
        against_target, *against_truth = (each.result(described, bootstrap) for each in self._comparisons)
        best = (*against_truth, against_target)[0].best_baseline
        return Measured(
            against_target=against_target,
            against_truth=against_truth[0] if against_truth else None,
            halves=self._halves.result(self._comparisons[0].values(), bootstrap) if self._halves else None,
            region_snr=self._regions.result(DENOISED, NOISY, _REFERENCE),
            values=self.main.values(DENOISED),
            noisy=self.main.values(NOISY),
            counts=self._counts,
            errors=self._errors,
            best_errors=self.main.values(best)["mse"],
        )
