"""95 % intervals by drawing micrographs with replacement: patches of one micrograph overlap, micrographs do not.

Percentile bootstrap over clusters (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), expanded
for few of them: means of n draws of n vary by (n − 1)/n of what they should, and Student's t is wider than the normal
distribution, so percentiles further out are taken (Hesterberg, The American Statistician 69, 371 (2015)).
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtr, stdtrit

from cryodenoise import seeds
from cryodenoise.config.scores import Interval

FEWEST_MICROGRAPHS = 5
"""With fewer, drawing them again says nothing of others."""
DRAWS = 2000
_TAIL = 0.025


class Bootstrap:
    """The same draws of micrographs for every score, so that differences keep what scores have in common.

    Attributes:
        missing: Why there are no intervals; None where there are.
        patches: How many there are.
    """

    def __init__(self, micrographs: np.ndarray, seed: int) -> None:
        """Draw.

        Args:
            micrographs: Index of each patch's micrograph, shape (n,).
            seed: Of the draws.
        """
        _, self._groups = np.unique(micrographs, return_inverse=True)
        count = int(self._groups.max()) + 1
        self.patches, self.missing = len(micrographs), None
        if count < FEWEST_MICROGRAPHS:
            self.missing = (
                f"{count} test micrograph{'s' * (count > 1)}: intervals are over micrographs, and take "
                f"{FEWEST_MICROGRAPHS} at least"
            )
            return
        self._tail = float(ndtr(stdtrit(count - 1, _TAIL) * math.sqrt(count / (count - 1))))
        drawn = seeds.generator(seed, "bootstrap").integers(0, count, (DRAWS, count))
        self._times = np.apply_along_axis(np.bincount, 1, drawn, minlength=count).astype(np.float64)
        """How often each draw took each micrograph, shape (draws, micrographs)."""

    def means(self, *values: np.ndarray) -> list[np.ndarray]:
        """Of one value a patch, shape (n,), its mean in each draw, shape (draws,)."""
        patches = self._times @ np.bincount(self._groups).astype(np.float64)
        return [self._times @ np.bincount(self._groups, each) / patches for each in values]

    def interval(self, statistic: Callable[..., np.ndarray], *values: np.ndarray) -> Interval | None:
        """The interval of a function of means.

        Args:
            statistic: Takes the mean of each of the values in all draws, each of shape (draws,), to shape (draws,).
            values: One value a patch, each of shape (n,).

        Returns:
            The interval; None where there are too few micrographs, or the statistic is not finite in some draw.
        """
        if self.missing:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            found = statistic(*self.means(*values))
        if not np.isfinite(found).all():
            return None
        low, high = np.quantile(found, (self._tail, 1 - self._tail))
        return Interval(low=float(low), high=float(high))


def student_interval(values: np.ndarray) -> Interval:
    """95 % interval of the mean of independent normal values, two at least, of shape (n,), by Student's t."""
    half = float(stdtrit(len(values) - 1, 1 - _TAIL) * values.std(ddof=1)) / math.sqrt(len(values))
    middle = float(values.mean())
    return Interval(low=middle - half, high=middle + half)
