"""The best curve per intensity: the mean of the target given the noisy pixel alone.

No function of a pixel's own intensity has a lower mean squared error, and where pixels are independent of each other,
as in white shot noise, no denoiser at all has.
"""

import numpy as np
import torch

from cryodenoise.baselines.baseline import Fitted, Known
from cryodenoise.baselines.curve import Curve

BINS_PER_UNIT = 4096
LOWEST, HIGHEST = -2, 4
"""Bins reach that far, since data need not be clipped to [0, 1]; the outermost two take all that lies beyond."""
LEAST_PIXELS = 1000
"""More bins would fit noise: each adds about the variance of one pixel to the sum of squared errors elsewhere."""
_BINS = (HIGHEST - LOWEST) * BINS_PER_UNIT + 2


class PointwiseFit:
    """The mean of targets given inputs, in narrow bins of the input, from sums in float64.

    Exactly 0 and exactly 1 have bins of their own, since clipping collects there what lay beyond. The curve goes
    through the mean input and mean target of each bin, straight in between, and is constant beyond the outermost bins'
    means. Neighbouring bins of fewer than LEAST_PIXELS are merged until they are enough or a bin with enough follows.
    """

    def __init__(self) -> None:
        self._count = torch.zeros(_BINS, dtype=torch.int64)
        self._inputs, self._targets = (torch.zeros(_BINS, dtype=torch.float64) for _ in range(2))

    def add(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch, each of shape (n, 1, h, w).

        Image after image, so that neither the sums nor the memory depend on the batch size.
        """
        for image, target in zip(inputs, targets, strict=True):
            x, y = image.double().flatten(), target.double().flatten()
            bins = _bins_of(x)
            self._count += torch.bincount(bins, minlength=_BINS).cpu()
            for sums, values in ((self._inputs, x), (self._targets, y)):
                sums += torch.zeros_like(sums, device=x.device).index_add_(0, bins, values).cpu()

    def solve(self) -> Curve:
        """The curve with the lowest mean squared error; at least one pixel was taken in."""
        starts = _starts(self._count.tolist())
        count, inputs, targets = (
            torch.from_numpy(np.add.reduceat(sums.numpy(), starts)).double()
            for sums in (self._count, self._inputs, self._targets)
        )
        return Curve(inputs / count, targets / count)


def _bins_of(values: torch.Tensor) -> torch.Tensor:
    low, high = LOWEST * BINS_PER_UNIT, HIGHEST * BINS_PER_UNIT - 1
    bins = (values * BINS_PER_UNIT).floor().clamp(low, high).long() - low
    return bins + (values > 0) + (values > 1)  # leaves one for 0 and one for 1


def _starts(count: list[int]) -> list[int]:
    """Where bins begin once those of few pixels are merged."""
    starts, held = [], LEAST_PIXELS
    for number, pixels in enumerate(count):
        if pixels and max(pixels, held) >= LEAST_PIXELS:
            starts.append(number)
            held = 0
        held += pixels
    return starts


def fit(known: Known) -> Fitted:
    """The curve that is best on the training patches."""
    sums = PointwiseFit()
    for noisy, targets in known.training():
        sums.add(noisy, targets)
    curve = sums.solve()

    def denoise(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([curve(image) for image in images])  # one at a time, for the memory of float64

    return Fitted(denoise, {"points": len(curve.inputs)})
