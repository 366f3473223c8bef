"""Counts of intensities: what was made of which target, and the distributions of all images."""

import numpy as np
import torch

BINS = 128


class JointCounts:
    """Counts of (denoised, target) intensities in 128 × 128 bins, and of noisy intensities and residuals in 128.

    A value x counts in bin ⌊(x − low)·128 / (high − low)⌋, computed in float64: the bins of numpy.histogram, each with
    its lower edge and without its upper one, but for what lies within a rounding of an edge. What lies beyond the first
    or the last bin counts in it, infinities too. Counts are exact integers, so neither batches nor their order change
    them; memory is constant.
    """

    def __init__(self, low: float, high: float, device: torch.device) -> None:
        """Nothing counted yet.

        Args:
            low: Lower edge of the first bin of intensities.
            high: Upper edge of the last. Residuals are counted from low − high to high − low: the difference of two
                intensities of the range lies there.
            device: Where the images lie.

        Raises:
            ValueError: If `high` is not above `low`.
        """
        if not low < high:
            raise ValueError(f"range from {low} to {high}: the second must be larger")
        self._low, self._high = low, high
        self._joint = torch.zeros(BINS * BINS, dtype=torch.int64, device=device)
        self._noisy = torch.zeros(BINS, dtype=torch.int64, device=device)
        self._residual = torch.zeros_like(self._noisy)

    def add(self, denoised: torch.Tensor, noisy: torch.Tensor, target: torch.Tensor) -> None:
        """Count the pixels of a batch, each of shape (n, 1, h, w) and without a NaN.

        Only integers are added, which also on a GPU gives the same sums in any order.
        """
        low, high = self._low, self._high
        pairs = _bins(denoised, low, high) * BINS + _bins(target, low, high)
        self._joint += torch.bincount(pairs, minlength=BINS * BINS)
        self._noisy += torch.bincount(_bins(noisy, low, high), minlength=BINS)
        self._residual += torch.bincount(_bins(noisy.double() - denoised, low - high, high - low), minlength=BINS)

    def edges(self) -> list[float]:
        """Edges of the bins of intensities, 129 values."""
        return _edges(self._low, self._high)

    def residual_edges(self) -> list[float]:
        """Edges of the bins of residuals, 129 values."""
        return _edges(self._low - self._high, self._high - self._low)

    def joint(self) -> list[list[int]]:
        """A row for each bin of the denoised intensity, a column for each of the target's."""
        rows: list[list[int]] = self._joint.view(BINS, BINS).tolist()
        return rows

    def denoised(self) -> list[int]:
        """Counts of the denoised intensity."""
        return _integers(self._joint.view(BINS, BINS).sum(1))

    def target(self) -> list[int]:
        """Counts of the target's intensity."""
        return _integers(self._joint.view(BINS, BINS).sum(0))

    def noisy(self) -> list[int]:
        """Counts of the noisy intensity."""
        return _integers(self._noisy)

    def residual(self) -> list[int]:
        """Counts of noisy less denoised, in the bins of `residual_edges`."""
        return _integers(self._residual)


def _bins(values: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """The bin of each value, of one dimension."""
    return (values.double() - low).mul_(BINS / (high - low)).clamp_(0, BINS - 1).int().flatten()


def _integers(counts: torch.Tensor) -> list[int]:
    found: list[int] = counts.tolist()
    return found


def _edges(low: float, high: float) -> list[float]:
    found: list[float] = np.linspace(low, high, BINS + 1).tolist()
    return found
