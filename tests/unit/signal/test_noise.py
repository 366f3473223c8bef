"""The noise has the mean and variance of the clipped law.

Each statistic is compared with its exact value at 5 standard errors; a normal deviate exceeds that once in 1.7 million,
so the 40 comparisons here raise a false alarm less than once in 40,000 choices of the seed (and the seed is fixed).
"""

import math

import numpy as np
import pytest

from cryodenoise import seeds
from cryodenoise.signal import noise

SIGMA, ELECTRONS, DRAWS = 0.05, 100, 400_000
FALSE_ALARM_DEVIATIONS = 5.0


def clipped_moments(model: str, clean: float, power: int) -> float:
    """E[clip(noisy, 0, 1)^power] by summing over counts and integrating the read-out noise on a fine grid."""
    shot = model != "gaussian"
    rate = clean * ELECTRONS
    counts = np.arange(0, 400) if shot else np.array([rate])
    log_factorials = np.array([math.lgamma(count + 1) for count in counts])
    weights = np.exp(counts * math.log(rate) - rate - log_factorials) if shot else np.ones(1)
    if model == "poisson":
        return float((weights * np.clip(counts / ELECTRONS, 0, 1) ** power).sum())
    z = np.linspace(-9, 9, 7201)
    density = np.exp(-0.5 * z * z)
    density /= density.sum()
    values = np.clip(counts[:, None] / ELECTRONS + SIGMA * z, 0, 1) ** power
    return float((weights[:, None] * density * values).sum())


@pytest.mark.parametrize("model", ["poisson_gaussian", "poisson", "gaussian"])
@pytest.mark.parametrize("clean", [0.01, 0.05, 0.3, 0.7, 0.95, 1.0])
def test_noise_has_mean_and_variance_of_the_clipped_law(model: str, clean: float) -> None:
    rng = seeds.generator(7, "test", model, round(clean * 100))
    patch = np.full((1, DRAWS), clean, np.float32)
    noisy = noise.MODELS[model](patch, ELECTRONS, SIGMA, rng).astype(np.float64)
    exact = float(np.float32(clean))
    first, second, third, fourth = (clipped_moments(model, exact, power) for power in (1, 2, 3, 4))
    variance = second - first**2
    assert abs(noisy.mean() - first) < FALSE_ALARM_DEVIATIONS * math.sqrt(variance / DRAWS)
    central_fourth = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    error_of_variance = math.sqrt((central_fourth - variance**2) / DRAWS)
    assert abs(noisy.var() - variance) < FALSE_ALARM_DEVIATIONS * error_of_variance


@pytest.mark.parametrize("model", sorted(noise.MODELS))
def test_noise_stays_within_range_and_type(model: str) -> None:
    clean = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    noisy = noise.MODELS[model](clean, ELECTRONS, SIGMA, seeds.generator(1))
    assert noisy.dtype == np.float32
    assert noisy.shape == clean.shape
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert noisy is not clean
    assert np.array_equal(noisy, clean) == (model == "none")


def test_neighbouring_pixels_are_independent() -> None:
    noisy = noise.poisson_gaussian(np.full((512, 512), 0.5, np.float32), ELECTRONS, SIGMA, seeds.generator(3))
    residual = noisy.astype("f8") - noisy.mean(dtype="f8")
    for shifted in (residual[:, 1:] * residual[:, :-1], residual[1:] * residual[:-1]):
        correlation = shifted.mean() / residual.var()
        assert abs(correlation) < FALSE_ALARM_DEVIATIONS / math.sqrt(shifted.size)


def test_a_negative_clean_value_is_refused() -> None:
    with pytest.raises(ValueError, match="lam"):
        noise.poisson(np.full((4, 4), -0.1, np.float32), ELECTRONS, SIGMA, seeds.generator(1))
