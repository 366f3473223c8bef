"""The detector: what it transfers, and the electrons that it counts, frame by frame.

Counts are exact: an expected number is rounded to 1/1024 of an electron, and from there on all is done in integers
(`signal.noise.count`), so that differences between machines in the last bits of the images change no count.
"""

import math

import numpy as np

from cryodenoise import seeds

UNITS = 1024
"""Parts of an electron that expectations are rounded to."""
LEAST_SENSITIVITY, HIGHEST_SENSITIVITY = 0.5, 1.5
"""Of a pixel, over the mean."""


def modulation_transfer(at_nyquist: float, square: np.ndarray) -> np.ndarray:
    """A Gaussian modulation transfer function.

    It acts on the expectation, not on the counts: a counting detector adds each electron once, so its noise is white
    and its detective quantum efficiency falls as the square of the transfer (McMullan et al., Ultramicroscopy 147, 156
    (2014)).

    Args:
        at_nyquist: Its value at 0.5 cycles per pixel.
        square: Square of the frequency in cycles per pixel.
    """
    return np.asarray(np.exp(4 * math.log(at_nyquist) * square))


def gain_of_pixels(spread: float, seed: int, shape: tuple[int, int]) -> np.ndarray | None:
    """What corrects counts for the pixels' sensitivities, as a factor: float32 of shape (h, w); None if all are alike.

    Args:
        spread: Standard deviation of the sensitivities, whose mean is 1.
        seed: One detector takes all micrographs of a seed.
        shape: Rows and columns.
    """
    if not spread:
        return None
    sensitivity = 1 + spread * seeds.generator(seed, "simulation", "gain").standard_normal(shape)
    return np.asarray(1 / np.clip(sensitivity, LEAST_SENSITIVITY, HIGHEST_SENSITIVITY), np.float32)


def rounded(expected: np.ndarray) -> np.ndarray:
    """Electrons expected, float64, in units of 1/1024, int64: to nearest."""
    return np.asarray(np.rint(expected * UNITS), np.int64)


def drift(length_angstrom: float, frames: int, angle_rad: float) -> np.ndarray:
    """Where each frame shows the specimen: along a line, fast at first and slower later, about the mean place.

    Args:
        length_angstrom: From the first frame to the last.
        frames: How many.
        angle_rad: Direction, from x to y.

    Returns:
        (y, x) in Å, shape (frames, 2).
    """
    time = np.arange(frames) / max(frames - 1, 1)
    way = length_angstrom * (1 - np.exp(-3 * time)) / (1 - math.exp(-3))
    direction = np.array([math.sin(angle_rad), math.cos(angle_rad)])
    return np.asarray((way - way.mean())[:, None] * direction)
