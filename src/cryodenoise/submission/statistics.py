"""Scores held against those of the same training under other seeds: what chance explains, and what it does not.

With model and epochs fixed, only the seed makes scores differ, so a submission whose mean is far above that of the
reference did something else. One below is slower or worse by an honest mistake, and no one gains by it: it is told,
not refused. The spread is that of the reference runs alone, and nothing is trimmed:

    bound = mean + t(1 − LEVEL, M − 1) · sd · sqrt(1/M + 1/N)

for M reference runs and N submitted ones: Student's t for the difference of two means whose variance is estimated from
the first sample, exact for normal scores. A submission can neither widen its bound by scattering nor narrow it.

LEVEL is calibrated by `tools/false_rejections.py`: of the levels in steps of 0.001 it is the highest at which no
plausible shape of the scores (normal, uniform, Student's t with 5 degrees of freedom, gamma of shape 4 and its mirror
image, and draws from the measured seeds) has more than 5 % of honest submissions refused, for M = 10 and N from 1 to
100.

MLPerf Training's form (best and worst dropped on both sides, 2N reference runs, k = t(0.95, 3N − 6) · sqrt(1/(2N − 2) +
1/(N − 2)) times their standard deviation) was not taken: what is left after trimming scatters less than the runs do, so
at a nominal 5 % it refuses 8.3 % of honest normal submissions for N = 5, and 7.5 % for N = 10 (same script).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cryodenoise.config.reference import Reference

LEVEL = 0.022
"""Share of honest submissions with normal scores that are above the bound, and of those below the other one."""
OF_SEEDS = 0.99
"""Share of single trainings that fall into `range_db`."""


@dataclass(frozen=True)
class Verdict:
    """Submitted scores and what chance explains.

    Attributes:
        mean_db: Mean PSNR of the submitted runs.
        low_db: Below it, the mean is told for review.
        high_db: Above it, the submission is refused.
    """

    mean_db: float
    low_db: float
    high_db: float

    @property
    def too_good(self) -> bool:
        """Whether the mean is above what chance explains."""
        return self.mean_db > self.high_db

    @property
    def too_low(self) -> bool:
        """Whether the mean is below what chance explains."""
        return self.mean_db < self.low_db


def margin(reference_scores: np.ndarray, submitted: int, level: float = LEVEL) -> np.ndarray:
    """How far the mean of submitted runs may be from that of reference runs.

    Args:
        reference_scores: Of the reference runs, shape (..., M), M at least 2.
        submitted: How many runs are submitted.
        level: Share of honest normal means that are farther above.

    Returns:
        Shape (...).
    """
    runs = reference_scores.shape[-1]
    factor = stats.t.ppf(1 - level, runs - 1) * np.sqrt(1 / runs + 1 / submitted)
    return np.asarray(factor * reference_scores.std(axis=-1, ddof=1))


def judge(reference: Reference, psnr_db: Sequence[float]) -> Verdict | None:
    """Hold the PSNR of submitted trainings of the reference's network against its own.

    Args:
        reference: The set.
        psnr_db: Of each submitted training, against what the set's scores are against.

    Returns:
        None where fewer than two reference runs were measured, so that their spread is unknown.
    """
    if len(reference.runs) < 2:
        return None
    measured = _scores(reference)
    reach = float(margin(measured, len(psnr_db)))
    mean_db = float(measured.mean())
    return Verdict(mean_db=float(np.mean(psnr_db)), low_db=mean_db - reach, high_db=mean_db + reach)


def range_db(reference: Reference) -> tuple[float, float] | None:
    """Mean PSNR of the reference runs, and how far from it one more training falls, in 99 of 100; None as `judge`."""
    if len(reference.runs) < 2:
        return None
    measured = _scores(reference)
    return float(measured.mean()), float(margin(measured, 1, (1 - OF_SEEDS) / 2))


def _scores(reference: Reference) -> np.ndarray:
    return np.array([run.psnr_db for run in reference.runs])
