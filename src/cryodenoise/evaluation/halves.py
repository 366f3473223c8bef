"""What independent halves tell while a test split is scored."""

import numpy as np
import torch

from cryodenoise.config.scores import HalvesEstimate
from cryodenoise.evaluation import affine_fitted
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.evaluation.comparison import DENOISED, NOISY
from cryodenoise.metrics.accumulate import PatchScores, mean, psnr_db
from cryodenoise.metrics.halves import HalvesSums, estimated_psnr_db
from cryodenoise.metrics.spectral import THRESHOLDS, ShellSums, crossing


class HalvesComparison:
    """The estimate of the error, and how alike both halves are once denoised."""

    def __init__(self, odd_of: dict[int, int], shape: tuple[int, int], device: torch.device) -> None:
        """Expect the patches in an order in which the halves of one place follow one another.

        Args:
            odd_of: The patch of the even frames → that of the odd frames at its place.
            shape: Rows and columns of a patch.
            device: Where they are.
        """
        self._odd_of = odd_of
        self._partner = odd_of | {odd: even for even, odd in odd_of.items()}
        self._waiting: dict[int, dict[str, torch.Tensor]] = {}
        self._sums = {name: ShellSums(shape, device) for name in (DENOISED, NOISY)}
        self._errors = HalvesSums()
        self._order: list[int] = []

    def add(
        self, index: int, denoised: torch.Tensor, noisy: torch.Tensor, other: torch.Tensor, of: dict[str, torch.Tensor]
    ) -> None:
        """Take in a patch.

        Args:
            index: Which.
            denoised: The denoised half, shape (1, 1, h, w).
            noisy: That half.
            other: The other half, in the unit of the first.
            of: Spectra of the denoised and of the noisy half.
        """
        self._order.append(index)
        self._errors.add(denoised, noisy, other)
        partner = self._waiting.pop(self._partner.get(index, -1), None)
        if partner is None:
            if index in self._partner:
                self._waiting[index] = of
            return
        even, odd = (of, partner) if index in self._odd_of else (partner, of)
        for name, sums in self._sums.items():
            sums.add(even[name], odd[name])

    def result(self, values: PatchScores, bootstrap: Bootstrap) -> HalvesEstimate:
        """The estimate over all patches.

        Args:
            values: Scores of the denoised halves against the others.
            bootstrap: Draws of the split's micrographs.
        """
        errors, noise_powers = np.empty((2, len(self._order)))
        errors[self._order], noise_powers[self._order] = self._errors.errors(), self._errors.noise_powers()
        fitted_mse, fitted_interval = affine_fitted.without_the_noise(values, noise_powers, bootstrap)
        mse, frc = mean(errors), self._sums[DENOISED].frc()
        frequencies = self._sums[DENOISED].frequencies_per_px()
        return HalvesEstimate(
            mse=mse,
            mse_interval=bootstrap.interval(lambda mean: mean, errors),
            psnr_db=estimated_psnr_db(mse),
            affine_fitted_mse=fitted_mse,
            affine_fitted_mse_interval=fitted_interval,
            affine_fitted_psnr_db=estimated_psnr_db(fitted_mse),
            noise_power=self._errors.noise_power(),
            input_psnr_db=psnr_db(self._errors.noise_power()),
            frequency_per_px=frequencies,
            frc_denoised=frc,
            frc_noisy=self._sums[NOISY].frc(),
            frc_below_0_143_per_px=crossing(frequencies, frc, THRESHOLDS[1]),
        )
