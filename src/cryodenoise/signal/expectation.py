"""Whether an image can be what another shows without its noise, and whether two can be halves of one exposure."""

import numpy as np

from cryodenoise.errors import InputError

MEAN_TOLERANCE = 0.1
"""By how much the means may differ, as a share of the larger: detectors are not always calibrated better than that."""
SLOPE_TOLERANCE = 0.5
"""By how much the slope of the image over its truth may differ from 1."""
NOISE_TOLERANCE = 6.0
"""Standard errors, beside these tolerances."""
_CORRELATED_PX = 100
"""Pixels that the noise counts as one: far more than any detector blurs together."""
_BLOCK_ROWS = 64


def require_expectation(image: np.ndarray, truth: np.ndarray) -> None:
    """Refuse a truth that cannot be an image's expectation, such as one in other units or of another micrograph.

    Both rules are blind to what honest data may have: noise of any strength, correlated over neighbouring pixels, and a
    truth without any contrast.

    Args:
        image: Noisy intensities, float32, shape (h, w).
        truth: Noise-free intensities, likewise.

    Raises:
        InputError: If the means differ, or the slope of the regression of the image on the truth differs from 1, by
            more than the tolerances and the noise explain. The message tells of the truth.
    """
    mean, level = (float(each.mean(dtype=np.float64)) for each in (image, truth))
    variance, covariance, variance_of_truth = _moments(image, mean, truth, level)
    if variance == 0:
        return  # no rule of normalisation takes a constant image
    slope = covariance / variance_of_truth if variance_of_truth > 0 else 1.0
    noise = max(variance - slope * covariance, 0.0)  # what no multiple of the truth explains
    error = (noise * _CORRELATED_PX / image.size) ** 0.5
    if abs(mean - level) > MEAN_TOLERANCE * max(abs(mean), abs(level)) + NOISE_TOLERANCE * error:
        raise InputError(
            f"its mean is {level:.4g}, that of the micrograph {mean:.4g}, which no noise explains: give the "
            "expectation of the micrograph in the micrograph's own units (counts, after the gain reference)"
        )
    if abs(slope - 1) * variance_of_truth**0.5 > SLOPE_TOLERANCE * variance_of_truth**0.5 + NOISE_TOLERANCE * error:
        raise InputError(
            f"the micrograph follows it with a slope of {slope:.3g}, expected 1: it is in other units or of another "
            "micrograph: give the expectation of the micrograph in the micrograph's own units"
        )


def require_one_dose(even: np.ndarray, odd: np.ndarray) -> None:
    """Refuse halves of different doses or units, such as a half beside the whole.

    Their means alone are compared: the rule is blind to images that were made to have a mean of 0.

    Args:
        even: Intensities of one half, float32, shape (h, w).
        odd: Those of the other.

    Raises:
        InputError: If the means differ by more than the tolerance and the noise explain. The message tells of `odd`.
    """
    mean, level = (float(each.mean(dtype=np.float64)) for each in (even, odd))
    variance, covariance, variance_of_odd = _moments(even, mean, odd, level)
    if variance == 0 or variance_of_odd == 0:
        return  # no rule of normalisation takes a constant image
    noise = max(variance - 2 * covariance + variance_of_odd, 0.0)  # of the difference, in which what both show cancels
    error = (noise * _CORRELATED_PX / even.size) ** 0.5
    if abs(mean - level) > MEAN_TOLERANCE * max(abs(mean), abs(level)) + NOISE_TOLERANCE * error:
        raise InputError(
            f"the mean of the odd half is {level:.4g}, that of the even one {mean:.4g}, which no noise explains: give "
            "sums of equally many frames, in the same units"
        )


def _moments(image: np.ndarray, mean: float, truth: np.ndarray, level: float) -> tuple[float, float, float]:
    """Variance of the image, covariance with the truth, variance of the truth; no float64 copy is whole."""
    total = np.zeros(3)
    for top in range(0, len(image), _BLOCK_ROWS):
        x, t = (
            each[top : top + _BLOCK_ROWS].astype(np.float64) - middle
            for each, middle in ((image, mean), (truth, level))
        )
        total += [np.square(x).sum(), (x * t).sum(), np.square(t).sum()]
    variance, covariance, variance_of_truth = (total / image.size).tolist()
    return variance, covariance, variance_of_truth
