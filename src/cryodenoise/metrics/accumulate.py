"""Scores of a set from those of its patches, in float64; they do not depend on how the set was cut into batches."""

import math
import statistics
from collections.abc import Callable, Mapping

import numpy as np
import torch

from cryodenoise.config.scores import Scores, Spread
from cryodenoise.metrics import affine_fit, pixel
from cryodenoise.metrics.edges import edge_preservation

_PER_PATCH: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": pixel.mean_squared_error,
    "mae": pixel.mean_absolute_error,
    "ssim": pixel.structural_similarity,
    "correlation": pixel.correlation,
    "edge_preservation": edge_preservation,
}
PatchScores = Mapping[str, np.ndarray]
"""Of each score and of the moments of `affine_fit`, one float64 value a patch, shape (n,)."""


def psnr_db(mse: float) -> float | None:
    """Peak signal-to-noise ratio 10·log10(1 / mse) for a data range of 1; None for an error of 0."""
    return -10 * math.log10(mse) if mse > 0 else None


def gain_db(mse: float, other_mse: float) -> float | None:
    """PSNR of an error less that of another; None where either is 0."""
    return 10 * math.log10(other_mse / mse) if mse > 0 and other_mse > 0 else None


class PatchTable:
    """Scores of images against others, a row a patch."""

    def __init__(self, samples: int) -> None:
        """Make room for so many patches."""
        self._values = {name: np.full(samples, np.nan) for name in (*_PER_PATCH, *affine_fit.MOMENTS)}

    def set(self, first: int, images: torch.Tensor, others: torch.Tensor) -> None:
        """Score a batch, each of shape (n, 1, h, w), whose patches have the rows from `first` on."""
        found = {name: score(images, others) for name, score in _PER_PATCH.items()}
        found |= zip(affine_fit.MOMENTS, affine_fit.moments(images, others), strict=True)
        for name, values in found.items():
            self._values[name][first : first + len(images)] = values.cpu().numpy()

    def values(self) -> PatchScores:
        """All scores and moments; a row that was not set is NaN."""
        return self._values


def scores_of(values: PatchScores) -> Scores:
    """The scores of a set of at least one patch; all have one shape, so all count the same."""
    mse, mae = (mean(values[name]) for name in ("mse", "mae"))
    of_patches = [psnr_db(float(value)) for value in values["mse"]]
    finite = [value for value in of_patches if value is not None]
    return Scores(
        mse=mse,
        rmse=math.sqrt(mse),
        mae=mae,
        psnr_db=psnr_db(mse),
        patch_psnr_db=spread(finite) if len(finite) == len(of_patches) else None,
        ssim=spread(values["ssim"]),
        correlation=spread(values["correlation"]),
        edge_preservation=spread(values["edge_preservation"]),
    )


def mean(values: np.ndarray) -> float:
    """The mean of values, of shape (n,), whose sum is exactly rounded: it does not depend on their order."""
    return math.fsum(values.tolist()) / len(values)


def spread(values: np.ndarray | list[float]) -> Spread:
    """What a report tells of one value a patch, at least one."""
    each = [float(value) for value in values]
    return Spread(mean=statistics.fmean(each), median=statistics.median(each), min=min(each), max=max(each))
