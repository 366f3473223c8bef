"""Gaussian blur, its width tuned on validation patches."""

import math

import torch

from cryodenoise.baselines.baseline import Fitted, Known
from cryodenoise.baselines.fourier import FilterError, Transfer, filter_by
from cryodenoise.baselines.tuning import lowest

REACH = 8
"""The kernel ends there, in units of its width: what is cut off is below the rounding of float64."""


def transfer_of(sigma_px: float) -> Transfer:
    """The transfer function of a sampled Gaussian kernel of sum 1, standard deviation `sigma_px`.

    That of a continuous one would be another below about one pixel. With the mirrored edges of `filter_by` it is what
    scipy.ndimage.gaussian_filter computes with `mode="reflect", truncate=8`.
    """
    reach_px = math.ceil(REACH * sigma_px)
    weights = [math.exp(-0.5 * (offset / sigma_px) ** 2) for offset in range(1, reach_px + 1)]

    def along(frequency: torch.Tensor) -> torch.Tensor:
        total = torch.ones_like(frequency)
        for offset, weight in enumerate(weights, start=1):
            total += 2 * weight * torch.cos(2 * math.pi * offset * frequency)
        return total / (1 + 2 * math.fsum(weights))

    return lambda rows, columns: along(rows) * along(columns)


def fit(known: Known) -> Fitted:
    """The width with the lowest error on the validation patches."""
    error = FilterError()
    for noisy, targets in known.validation():
        error.add(noisy, targets)
    sigma_px = lowest(lambda sigma_px: error.of(transfer_of(sigma_px)), 0.25, 16, points=13)
    return Fitted(filter_by(transfer_of(sigma_px)), {"sigma_px": sigma_px})
