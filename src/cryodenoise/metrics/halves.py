"""The error against an unknown clean image, estimated without bias from two exposures of it.

Two halves of a movie's frames show one clean image s under independent noise: a = s + n_a, b = s + n_b. What a denoiser
makes of the one is held against the other (Noise2Noise: Lehtinen et al., ICML 2018; as a score without its own
reference: Batson & Royer, ICML 2019):

    E (f(a) − b)² = E (f(a) − s)² + E n_b²,    and for equal dose    E n_b² = ½ E (a − b)².

So mean (f(a) − b)² − ½ mean (a − b)² has the expectation E (f(a) − s)² whatever f is, also where the noise depends on
s, as shot noise does. It holds as far as the halves keep to three conditions:

- Their noise is independent. If it has the covariance c = E n_a·n_b (from a common gain reference, or interpolation
  between frames), the estimate is off by c − 2 E f(a)·n_b: for f(a) = g·a + h that is c (1 − 2g), so what leaves the
  noise in looks better than it is by c, and what removes it looks worse by c.
- Their dose is equal. Else the estimate is off by ½ (E n_b² − E n_a²), the same for every f: differences between
  denoisers of the same half keep their expectation.
- The mean of the noise is 0. Where values are clipped, the estimate is of the error against the mean of the clipped b,
  which is not s.
"""

import math

import torch

from cryodenoise.metrics.accumulate import psnr_db
from cryodenoise.metrics.pixel import mean_squared_error


class HalvesSums:
    """Unbiased squared errors patch by patch: two numbers a patch are kept."""

    def __init__(self) -> None:
        self._against_other: list[float] = []
        self._noise_power: list[float] = []

    def add(self, denoised: torch.Tensor, noisy: torch.Tensor, other: torch.Tensor) -> None:
        """Take in a batch, each of shape (n, 1, h, w).

        Args:
            denoised: f(a), in the unit of the halves.
            noisy: a, what the denoiser was given.
            other: b, what it did not see.
        """
        self._against_other += mean_squared_error(denoised, other).tolist()
        self._noise_power += (mean_squared_error(noisy, other) / 2).tolist()

    def errors(self) -> list[float]:
        """Of each patch mean (f(a) − b)² − ½ mean (a − b)², the estimate of its mean (f(a) − s)².

        Near a perfect denoiser some are negative: only so is their mean without bias.
        """
        return [error - noise for error, noise in zip(self._against_other, self._noise_power, strict=True)]

    def noise_powers(self) -> list[float]:
        """Of each patch ½ mean (a − b)², the noise power of one half."""
        return list(self._noise_power)

    def noise_power(self) -> float:
        """The noise power of one half over all patches, at least one: their mean."""
        return math.fsum(self._noise_power) / len(self._noise_power)


def estimated_psnr_db(mean_error: float) -> float | None:
    """PSNR against the unknown clean image for a data range of 1, from the mean of the errors of a set's patches.

    None if that mean is not positive: the error is then too small for this many patches to show.
    """
    return psnr_db(mean_error) if mean_error > 0 else None
