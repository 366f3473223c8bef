"""Scores of a test split against one kind of image, while they are gathered."""

from collections.abc import Mapping

import numpy as np
import torch

from cryodenoise.baselines.affine import AffineFit
from cryodenoise.baselines.baseline import Fitted
from cryodenoise.baselines.pointwise import PointwiseFit
from cryodenoise.config.scores import AgainstReference, Curve, Interval, Intervals, Method, Spectra
from cryodenoise.evaluation import affine_fitted
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.metrics.accumulate import PatchScores, PatchTable, gain_db, mean, scores_of
from cryodenoise.metrics.spectral import THRESHOLDS, ShellSums, crossing, spectra

DENOISED, NOISY = "denoised", "noisy_input"
BOUNDS = {"scalar_wiener": "Scalar Wiener (bound)", "pointwise_optimum": "Pointwise optimum (bound)"}
"""Maps that are fitted to the test split itself."""


class Comparison:
    """What was scored, and the methods beside it, against targets or against the truth.

    Attributes:
        lowest: The darkest pixel of inputs and references.
        highest: The brightest.
        mean: Mean of the references.
    """

    def __init__(self, samples: int, shape: tuple[int, int], device: torch.device) -> None:
        """Make room for the scores of so many patches of a shape."""
        self._samples = samples
        self._affine, self._curve = AffineFit(), PointwiseFit()
        self._tables: dict[str, PatchTable] = {}
        self._bounds: dict[str, Fitted] = {}
        self._sums = {name: ShellSums(shape, device) for name in (DENOISED, NOISY)}
        self._residual = ShellSums(shape, device)
        self._sum = 0.0
        self.lowest, self.highest = np.inf, -np.inf

    def fit(self, noisy: torch.Tensor, others: torch.Tensor) -> None:
        """Take in a batch for the maps that are fitted to the split itself; before any score."""
        self._affine.add(noisy, others)
        self._curve.add(noisy, others)
        self._sum += others.double().mean(dim=(1, 2, 3)).sum().item()
        for images in (noisy, others):
            self.lowest = min(self.lowest, images.amin().item())
            self.highest = max(self.highest, images.amax().item())

    def end_fit(self) -> None:
        """Solve for the maps."""
        affine = self._affine.solve()
        self._bounds["scalar_wiener"] = Fitted(
            lambda noisy: noisy.double() * affine.slope + affine.offset,
            {"slope": affine.slope, "offset": affine.offset},
        )
        self._bounds["pointwise_optimum"] = Fitted(self._curve.solve(), {})

    @property
    def mean(self) -> float:
        """Mean of the references, after the fit."""
        return self._sum / self._samples

    def add(
        self,
        index: int,
        images: Mapping[str, torch.Tensor],
        other: torch.Tensor,
        transforms: Mapping[str, torch.Tensor],
    ) -> None:
        """Score a patch.

        Args:
            index: Which.
            images: By name, what was scored, the noisy input and baselines, each (1, 1, h, w).
            other: What they are held against, likewise.
            transforms: Spectra of what was scored and of the noisy input.
        """
        bounds = {name: bound.denoise(images[NOISY]) for name, bound in self._bounds.items()}
        for name, image in {**images, **bounds}.items():
            self._table(name).set(index, image, other)
        of_other = spectra(other)
        for name, sums in self._sums.items():
            sums.add(transforms[name], of_other)
        self._residual.add(transforms[NOISY], transforms[DENOISED])

    def _table(self, name: str) -> PatchTable:
        if name not in self._tables:
            self._tables[name] = PatchTable(self._samples)
        return self._tables[name]

    def values(self, name: str = DENOISED) -> PatchScores:
        """All scores of a method, a row a patch; NaN where it was not scored."""
        return self._tables[name].values()

    def noise_power(self) -> list[float]:
        """Radial power of the noisy input less what it is held against."""
        return self._sums[NOISY].power_of_difference()

    def result(
        self, baselines: Mapping[str, tuple[str, Mapping[str, float]]], bootstrap: Bootstrap
    ) -> AgainstReference:
        """The scores of all patches.

        Args:
            baselines: Of each baseline among the images, its title and what was found for it.
            bootstrap: Draws of the split's micrographs.
        """
        ours = self.values()
        methods = {NOISY: self._method(NOISY, "Noisy input", "input", {}, bootstrap)}
        for name, title in BOUNDS.items():
            methods[name] = self._method(name, title, "bound", self._bounds[name].parameters, bootstrap)
        for name, (title, found) in baselines.items():
            methods[name] = self._method(name, title, "baseline", found, bootstrap)
        psnr = bootstrap.interval(lambda mse: -10 * np.log10(mse), ours["mse"])
        intervals = None
        if not bootstrap.missing:
            mse, ssim, correlation = (_interval(bootstrap, ours[name]) for name in ("mse", "ssim", "correlation"))
            intervals = Intervals(mse=mse, psnr_db=psnr, ssim=ssim, correlation=correlation)
        baseline_errors, fitted_errors = {}, {}
        for name in (NOISY, *baselines):
            ours_there, theirs = self._on_the_same(name)
            baseline_errors[name] = mean(ours_there["mse"]), methods[name].scores.mse
            fitted_errors[name] = affine_fitted.error(ours_there), affine_fitted.error(theirs)
        return AgainstReference(
            denoised=scores_of(ours),
            intervals=intervals,
            methods=methods,
            best_baseline=_best(baseline_errors),
            affine_fitted=affine_fitted.scores(ours, bootstrap),
            affine_fitted_best_baseline=_best(fitted_errors),
            spectra=self._spectra(),
        )

    def _on_the_same(self, name: str) -> tuple[PatchScores, PatchScores]:
        """The scores of what was scored and of a method, on the patches on which both were."""
        theirs = self.values(name)
        scored = np.isfinite(theirs["mse"])
        ours_there, theirs_there = (
            {score: each[scored] for score, each in values.items()} for values in (self.values(), theirs)
        )
        return ours_there, theirs_there

    def _method(self, name: str, title: str, kind: str, found: Mapping[str, float], bootstrap: Bootstrap) -> Method:
        ours, theirs = self._on_the_same(name)
        of_method, samples = scores_of(theirs), len(theirs["mse"])
        interval = None
        if samples == self._samples:
            interval = bootstrap.interval(lambda our, their: 10 * np.log10(their / our), ours["mse"], theirs["mse"])
        fitted_gain_db, fitted_interval = affine_fitted.gain(ours, theirs, bootstrap)
        return Method(
            title=title,
            kind=kind,  # type: ignore[arg-type]
            found=dict(found),
            samples=samples,
            scores=of_method,
            gain_db=gain_db(mean(ours["mse"]), of_method.mse),
            gain_interval=interval,
            affine_fitted=affine_fitted.scores(theirs, bootstrap),
            affine_fitted_gain_db=fitted_gain_db,
            affine_fitted_gain_interval=fitted_interval,
        )

    def _spectra(self) -> Spectra:
        return Spectra(
            frequency_per_px=self._residual.frequencies_per_px(),
            denoised=_curve(self._sums[DENOISED]),
            noisy_input=_curve(self._sums[NOISY]),
            reference_power=self._sums[NOISY].power_of_second(),
            residual_power=self._residual.power_of_difference(),
        )


def _best(errors: Mapping[str, tuple[float, float]]) -> str:
    """The method whose error is the smallest beside that of what was scored on the same patches: (ours, theirs)."""

    def beside_ours(name: str) -> tuple[float, float]:
        ours, theirs = errors[name]
        if ours:
            return theirs / ours, theirs
        return (np.inf if theirs else 1.0), theirs

    return min(errors, key=beside_ours)


def _interval(bootstrap: Bootstrap, values: np.ndarray) -> Interval:
    interval = bootstrap.interval(lambda mean: mean, values)
    assert interval, "means of finite values are finite"
    return interval


def _curve(sums: ShellSums) -> Curve:
    frequencies, frc = sums.frequencies_per_px(), sums.frc()
    at_half, at_seventh = (crossing(frequencies, frc, threshold) for threshold in THRESHOLDS)
    return Curve(
        frc=frc,
        ssnr=sums.ssnr(),
        power=sums.power_of_first(),
        frc_below_0_5_per_px=at_half,
        frc_below_0_143_per_px=at_seventh,
    )
