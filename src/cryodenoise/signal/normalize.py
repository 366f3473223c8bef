"""Rules that bring the intensities of a micrograph to [0, 1].

A rule finds an offset and a scale; the normalised image is clip((image − offset) / scale, 0, 1) in float32, or without
the clipping, where that would bias what is compared.
Percentiles interpolate linearly, at the float64 rank, between exact order statistics, and are rounded once to float32:
what `numpy.float32(numpy.percentile(values.astype("f8"), q))` gives, without the float64 copy.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numba import njit

from cryodenoise.errors import InputError
from cryodenoise.signal.compiled import KEEP

MINIMUM_SPREAD = 0.02
"""Standard deviation below which a normalised image is refused: the reference's read-out noise is 0.05."""


@dataclass(frozen=True)
class Scaling:
    """An affine map of intensities; both values are exact float32."""

    offset: float
    scale: float


def percentile(values: np.ndarray, percent: float, positive: bool = False) -> np.float32:
    """One percentile of a float32 array, as the module says; of its positive values alone if `positive`.

    Two counts of the values' bits, high and low half, find the order statistics in constant memory.
    """
    flat = values.ravel()  # a view: micrographs are contiguous
    counts = np.zeros(_HALF_RANGE, np.int64)
    _count_high(flat.view(np.uint32), positive, counts)
    reached = np.cumsum(counts)
    rank = (int(reached[-1]) - 1) * (percent / 100)
    below, fraction = int(rank), rank - int(rank)
    low, high = (
        _order_statistic(flat, positive, counts, reached, number)
        for number in (below, min(below + 1, int(reached[-1]) - 1))
    )
    # The two branches are numpy's: each is exact at its end of the interval.
    between = low + (high - low) * fraction if fraction < 0.5 else high - (high - low) * (1 - fraction)
    return np.float32(between)


_HALF_RANGE = 1 << 16
_POSITIVE = 0x80000000  # in the order of keys, positive values begin after this


def _order_statistic(flat: np.ndarray, positive: bool, counts: np.ndarray, reached: np.ndarray, number: int) -> float:
    """The value with `number` values before it, as float64."""
    high = int(np.searchsorted(reached, number, side="right"))
    lows = np.zeros(_HALF_RANGE, np.int64)
    _count_low(flat.view(np.uint32), positive, high, lows)
    before = int(reached[high] - counts[high])
    key = high << 16 | int(np.searchsorted(before + np.cumsum(lows), number, side="right"))
    bits = key ^ _POSITIVE if key >= _POSITIVE else key ^ 0xFFFFFFFF
    return float(np.uint32(bits).view(np.float32))


@njit(cache=KEEP, nogil=True)
def _key(bits: np.uint32) -> np.uint32:
    """Maps the bits of finite floats to integers of the same order."""
    return bits ^ np.uint32(0xFFFFFFFF) if bits >> np.uint32(31) else bits | np.uint32(_POSITIVE)


@njit(cache=KEEP, nogil=True)
def _count_high(values: np.ndarray, positive: bool, counts: np.ndarray) -> None:
    for bits in values:
        key = _key(bits)
        if key > _POSITIVE or not positive:
            counts[key >> 16] += 1


@njit(cache=KEEP, nogil=True)
def _count_low(values: np.ndarray, positive: bool, high: int, counts: np.ndarray) -> None:
    for bits in values:
        key = _key(bits)
        if key >> 16 == high and (key > _POSITIVE or not positive):
            counts[key & 0xFFFF] += 1


@njit(cache=KEEP, nogil=True, error_model="numpy")
def _scale(values: np.ndarray, offset: np.float32, scale: np.float32) -> None:
    """Scale and clip in place; a zero is positive, whatever its sign was."""
    for i in range(len(values)):
        values[i] = max(min((values[i] - offset) / scale, np.float32(1)), np.float32(0)) + np.float32(0)


def spread(image: np.ndarray) -> float:
    """Standard deviation of an image of shape (h, w), summed in float64 without a float64 copy."""
    mean = float(image.mean(dtype=np.float64))
    square = float(np.einsum("ij,ij->", image, image, dtype=np.float64)) / image.size
    return float(max(square - mean * mean, 0.0) ** 0.5)


def p95(image: np.ndarray) -> Scaling:
    """The reference rule: divide by the 95th percentile of the positive pixels."""
    if image.max() <= 0:
        raise InputError("normalization p95 needs positive pixels, and there are none: use `normalization: p1_p99`")
    return Scaling(0.0, float(percentile(image, 95, positive=True)))


def p1_p99(image: np.ndarray) -> Scaling:
    """From the 1st percentile to the 99th, over all pixels: holds for data with an offset or of either sign."""
    low, high = float(percentile(image, 1)), float(percentile(image, 99))
    if high - low > float(np.finfo(np.float32).max):
        raise InputError(f"98 % of the pixels lie within {low:g} and {high:g}, too far apart: remove this micrograph")
    if high <= low:
        raise InputError(f"98 % of the pixels have the one value {low:g}, nothing to denoise: remove this micrograph")
    return Scaling(low, float(np.float32(high - low)))


def none(image: np.ndarray) -> Scaling:  # noqa: ARG001  a rule like the others
    """As they are: for intensities that come normalised, within [0, 1] or about that."""
    return Scaling(0.0, 1.0)


RULES: dict[str, Callable[[np.ndarray], Scaling]] = {"p95": p95, "p1_p99": p1_p99, "none": none}


def normalize(image: np.ndarray, rule: str) -> Scaling:
    """Normalise a micrograph in place: a second copy would double what a worker needs.

    Args:
        image: Finite float32 intensities, shape (h, w), C order; comes back in [0, 1].
        rule: A name of `RULES`.

    Returns:
        The scaling that was applied (before clipping).

    Raises:
        InputError: If the image is constant, or the rule leaves hardly any contrast or cannot be computed.
    """
    scaling = _scaling_of(image, rule)
    apply(image, scaling)
    _require_contrast(spread(image), rule, scaling)
    return scaling


def find_scaling(image: np.ndarray, rule: str) -> Scaling:
    """The scaling of a micrograph that is not to be clipped; it is left as it is.

    Args:
        image: Finite float32 intensities, shape (h, w), C order.
        rule: A name of `RULES`.

    Raises:
        InputError: As of `normalize`.
    """
    scaling = _scaling_of(image, rule)
    _require_contrast(spread(image) / scaling.scale, rule, scaling)
    return scaling


def _scaling_of(image: np.ndarray, rule: str) -> Scaling:
    if image.min() == image.max():
        raise InputError(f"all pixels are {image.flat[0]:g}: remove this micrograph")
    return RULES[rule](image)


def _require_contrast(left: float, rule: str, scaling: Scaling) -> None:
    if left < MINIMUM_SPREAD:
        advice = "remove this micrograph" if rule == "p1_p99" else "use `normalization: p1_p99`"
        raise InputError(
            f"normalization {rule} leaves hardly any contrast: standard deviation {left:.4f}, at least "
            f"{MINIMUM_SPREAD} expected (its offset is {scaling.offset:.4g}, its scale {scaling.scale:.4g}): {advice}"
        )


def apply(image: np.ndarray, scaling: Scaling) -> None:
    """Scale and clip a float32 image of shape (h, w), C order, in place."""
    _scale(image.reshape(-1), np.float32(scaling.offset), np.float32(scaling.scale))


def scaled(image: np.ndarray, scaling: Scaling, out: np.ndarray) -> np.ndarray:
    """(image − offset) / scale without clipping, each operation rounded once; a zero is positive.

    Args:
        image: float32, shape (h, w).
        scaling: The map.
        out: Gets the result: float32 of the same shape.

    Returns:
        `out`.
    """
    np.subtract(image, np.float32(scaling.offset), out=out)
    np.divide(out, np.float32(scaling.scale), out=out)
    np.add(out, np.float32(0), out=out)
    return out
