"""Sums over a set of patches, in float64, that do not depend on how the set was cut into batches."""

import math
import statistics
from collections.abc import Callable

import torch

from cryodenoise.config.report import AffineMap, Scores, Spread
from cryodenoise.metrics import pixel

_PER_PATCH: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mse": pixel.mean_squared_error,
    "mae": pixel.mean_absolute_error,
    "ssim": pixel.structural_similarity,
    "correlation": pixel.correlation,
}


def psnr_db(mse: float) -> float | None:
    """Peak signal-to-noise ratio 10·log10(1 / mse) for a data range of 1; None for an error of 0."""
    return -10 * math.log10(mse) if mse > 0 else None


class ScoreSums:
    """The scores of images against targets, patch by patch."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {name: [] for name in _PER_PATCH}

    def add(self, images: torch.Tensor, targets: torch.Tensor) -> None:
        """Score a batch, each of shape (n, 1, h, w); all patches of a set have one shape, so all count the same."""
        for name, score in _PER_PATCH.items():
            self._values[name] += score(images, targets).tolist()

    def scores(self) -> Scores:
        """The scores of all patches so far, at least one."""
        mse, mae = (math.fsum(self._values[name]) / len(self._values[name]) for name in ("mse", "mae"))
        return Scores(
            mse=mse,
            rmse=math.sqrt(mse),
            mae=mae,
            psnr_db=psnr_db(mse),
            ssim=_spread(self._values["ssim"]),
            correlation=_spread(self._values["correlation"]),
        )


def _spread(values: list[float]) -> Spread:
    return Spread(mean=statistics.fmean(values), median=statistics.median(values), min=min(values), max=max(values))


class AffineFit:
    """The least-squares affine map from one set of pixels to another, from centred sums (Chan, Golub, LeVeque 1983)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean_x = self._mean_y = self._xx = self._xy = 0.0

    def add(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch of any shape."""
        x, y = inputs.double().flatten(), targets.double().flatten()
        mean_x, mean_y = x.mean().item(), y.mean().item()
        x, y = x - mean_x, y - mean_y
        count = self._count + len(x)
        shift_x, shift_y = mean_x - self._mean_x, mean_y - self._mean_y
        between = self._count * len(x) / count
        self._xx += x.square().sum().item() + shift_x * shift_x * between
        self._xy += (x * y).sum().item() + shift_x * shift_y * between
        self._mean_x += shift_x * len(x) / count
        self._mean_y += shift_y * len(x) / count
        self._count = count

    def solve(self) -> AffineMap:
        """The map with the lowest mean squared error; of a constant input, the targets' mean."""
        slope = self._xy / self._xx if self._xx > 0 else 0.0
        return AffineMap(slope=slope, offset=self._mean_y - slope * self._mean_x)
