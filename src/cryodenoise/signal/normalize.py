"""Rules that bring the intensities of a micrograph to [0, 1].

A rule finds an offset and a scale; the normalised image is clip((image − offset) / scale, 0, 1) in float32.
Percentiles interpolate linearly, at the float64 rank, between exact order statistics, and are rounded once to float32:
what `numpy.float32(numpy.percentile(values.astype("f8"), q))` gives, without the float64 copy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cryodenoise.errors import InputError

MINIMUM_SPREAD = 0.02
"""Standard deviation below which a normalised image is refused: the reference's read-out noise is 0.05."""


@dataclass(frozen=True)
class Scaling:
    """An affine map of intensities; both values are exact float32."""

    offset: float
    scale: float


def percentile(values: np.ndarray, percent: float) -> np.float32:
    """One percentile of a flat float32 array of at least one value, as the module says."""
    rank = (values.size - 1) * (percent / 100)
    below = int(rank)
    above = min(below + 1, values.size - 1)
    ordered = np.partition(values, (below, above))
    low, high, fraction = float(ordered[below]), float(ordered[above]), rank - below
    # The two branches are numpy's: each is exact at its end of the interval.
    between = low + (high - low) * fraction if fraction < 0.5 else high - (high - low) * (1 - fraction)
    return np.float32(between)


def moments(image: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of an image of shape (h, w), summed in float64 without a float64 copy."""
    mean = float(image.mean(dtype=np.float64))
    square = float(np.einsum("ij,ij->", image, image, dtype=np.float64)) / image.size
    return mean, max(square - mean * mean, 0.0) ** 0.5


def p95(image: np.ndarray) -> Scaling:
    """The reference rule: divide by the 95th percentile of the positive pixels."""
    positive = image[image > 0]
    if positive.size == 0:
        raise InputError("normalization p95 needs positive pixels, and there are none: use `normalization: p1_p99`")
    return Scaling(0.0, float(percentile(positive, 95)))


def p1_p99(image: np.ndarray) -> Scaling:
    """From the 1st percentile to the 99th, over all pixels: holds for data with an offset or of either sign."""
    pixels = image.ravel()
    low, high = percentile(pixels, 1), percentile(pixels, 99)
    if high <= low:
        raise InputError(f"98 % of the pixels have the one value {low:g}, nothing to denoise: remove this micrograph")
    return Scaling(float(low), float(high - low))


RULES: dict[str, Callable[[np.ndarray], Scaling]] = {"p95": p95, "p1_p99": p1_p99}


def normalize(image: np.ndarray, rule: str) -> tuple[np.ndarray, Scaling]:
    """Normalise a micrograph.

    Args:
        image: Finite float32 intensities, shape (h, w).
        rule: A name of `RULES`.

    Returns:
        The image in [0, 1], float32, and the scaling that made it (before clipping).

    Raises:
        InputError: If the image is constant, or the rule leaves hardly any contrast or cannot be computed.
    """
    if image.min() == image.max():
        raise InputError(f"all pixels are {image.flat[0]:g}: remove this micrograph")
    scaling = RULES[rule](image)
    normalized = image - np.float32(scaling.offset)
    normalized /= np.float32(scaling.scale)
    np.clip(normalized, 0, 1, out=normalized)
    _, spread = moments(normalized)
    if spread < MINIMUM_SPREAD:
        mean_before, spread_before = moments(image)
        advice = "use `normalization: p1_p99`" if rule == "p95" else "remove this micrograph"
        raise InputError(
            f"normalization {rule} leaves hardly any contrast: standard deviation {spread:.4f}, at least "
            f"{MINIMUM_SPREAD} expected (before: mean {mean_before:.4g}, standard deviation {spread_before:.4g}): "
            f"{advice}"
        )
    return normalized, scaling
