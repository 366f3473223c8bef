"""Noise models: a clean patch and a random generator in, a noisy patch out.

Each is clipped to [0, 1], as the reference does, so mean and variance are those of the clipped law.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

Model = Callable[[np.ndarray, int, float, Generator], np.ndarray]


def _clipped(noisy: np.ndarray) -> np.ndarray:
    clipped: np.ndarray = np.clip(noisy, 0, 1).astype(np.float32)
    return clipped


def poisson_gaussian(clean: np.ndarray, electrons_at_one: int, sigma: float, rng: Generator) -> np.ndarray:
    """Shot noise, then read-out noise: Poisson(n·clean) / n + Normal(0, sigma), with n the electrons at 1.

    Args:
        clean: Noise-free intensities in [0, 1], shape (h, w).
        electrons_at_one: Electrons per unit of intensity; the shot noise has the variance clean / electrons_at_one.
        sigma: Standard deviation of the read-out noise, in units of intensity.
        rng: Source of the draws, all shot noise first.

    Returns:
        float32 of the same shape, in [0, 1].

    Raises:
        ValueError: If `clean` holds a value that is negative or not finite.
    """
    counts = rng.poisson(clean.astype(np.float64) * electrons_at_one)
    return _clipped(counts / electrons_at_one + rng.normal(0, sigma, clean.shape))


def poisson(clean: np.ndarray, electrons_at_one: int, _sigma: float, rng: Generator) -> np.ndarray:
    """Shot noise alone: Poisson(n·clean) / n; see `poisson_gaussian`."""
    return _clipped(rng.poisson(clean.astype(np.float64) * electrons_at_one) / electrons_at_one)


def gaussian(clean: np.ndarray, _electrons_at_one: int, sigma: float, rng: Generator) -> np.ndarray:
    """Read-out noise alone: clean + Normal(0, sigma); see `poisson_gaussian`."""
    return _clipped(clean + rng.normal(0, sigma, clean.shape))


def none(clean: np.ndarray, _electrons_at_one: int, _sigma: float, _rng: Generator) -> np.ndarray:
    """No noise: the input is the target."""
    return clean.copy()


MODELS: dict[str, Model] = {
    "poisson_gaussian": poisson_gaussian,
    "poisson": poisson,
    "gaussian": gaussian,
    "none": none,
}
