"""The error that is left under the best slope and offset: for denoisers that predict up to an affine map.

One map x → slope · x + offset for all pixels of a set minimises the mean squared error against y (least squares):

    slope = cov(x, y) / var(x),    offset = mean(y) − slope · mean(x),    error = var(y) − slope · cov(x, y).

Patches are kept as means, variances and covariance, each about the patch's own mean; those of a set follow from them as
sums of centred squares are merged (Chan, Golub, LeVeque, The American Statistician 37, 242 (1983)), so neither pixels
nor a further pass are needed.
"""

from collections.abc import Mapping

import numpy as np
import torch

MOMENTS = ("image_mean", "other_mean", "image_variance", "other_variance", "covariance")
"""What is kept of a patch."""
_ROUNDING = 1e-13
"""An error below this share of the variance is what rounding leaves of none."""


def moments(images: torch.Tensor, others: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The `MOMENTS` of each patch, in float64, each of shape (n,); of images and others of shape (n, 1, h, w)."""
    (mean_x, x), (mean_y, y) = (_about_the_mean(values) for values in (images, others))
    return mean_x, mean_y, x.square().mean(1), y.square().mean(1), (x * y).mean(1)


def _about_the_mean(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    flat = values.double().flatten(1)
    lowest, highest = flat.amin(1), flat.amax(1)
    mean = torch.where(lowest == highest, lowest, flat.mean(1))  # of equal values it may be off by a rounding
    return mean, flat - mean[:, None]


def centred(patches: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Moments of patches of one size about the set's means: what `fit` takes the means of.

    Args:
        patches: The `MOMENTS` of a set's patches, each of shape (n,).

    Returns:
        Of each patch its means, less the set's, and its second moments about the set's means: x, y, xx, yy, xy.
    """
    x, y = (_less_the_mean(patches[name]) for name in MOMENTS[:2])
    xx, yy, xy = (patches[name] for name in MOMENTS[2:])
    return x, y, xx + x * x, yy + y * y, xy + x * y


def _less_the_mean(means: np.ndarray) -> np.ndarray:
    shifted = means - means[0]  # equal means then differ by exactly 0
    return np.asarray(shifted - shifted.mean())


def fit(x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares from mean moments, those of one set or, elementwise, of many.

    Args:
        x: Means of the images.
        y: Means of what they are held against.
        xx: Mean squares of the images.
        yy: Mean squares of what they are held against.
        xy: Mean products.

    Returns:
        The slope, 0 of images that are one constant; and the mean squared error under the best map.
    """
    variance_x, variance_y, covariance = xx - x * x, yy - y * y, xy - x * y
    constant = variance_x <= 0
    slope = np.where(constant, 0.0, covariance / np.where(constant, 1.0, variance_x))
    error = variance_y - slope * covariance
    return slope, np.where(error > _ROUNDING * variance_y, error, 0.0)
