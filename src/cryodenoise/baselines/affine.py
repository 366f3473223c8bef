"""The best affine map, x → slope · x + offset: a Wiener filter that is one number at all frequencies, and an offset."""

from dataclasses import dataclass

import torch

from cryodenoise.baselines.baseline import Fitted, Known


@dataclass(frozen=True)
class AffineMap:
    """x → slope · x + offset."""

    slope: float
    offset: float


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


def fit(known: Known) -> Fitted:
    """The map that is best on the training patches."""
    sums = AffineFit()
    for noisy, targets in known.training():
        sums.add(noisy, targets)
    best = sums.solve()

    def denoise(images: torch.Tensor) -> torch.Tensor:
        return images * best.slope + best.offset

    return Fitted(denoise, {"slope": best.slope, "offset": best.offset})
