"""The noise has the mean and variance of the clipped law.

Each statistic is compared with its exact value at 5 standard errors; a normal deviate exceeds that once in 1.7 million,
so the 50 comparisons here raise a false alarm less than once in 30,000 choices of the seed (and the seed is fixed).
"""

import math

import numpy as np
import pytest
from scipy import stats

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


def noisy_of(clean: np.ndarray, model: str, seed: int = 0, electrons: int = ELECTRONS) -> np.ndarray:
    return noise.add_noise(clean.astype(np.float32), model, electrons, SIGMA, noise.key_of(seed, "digest", 0, 0))


@pytest.mark.parametrize("model", ["poisson_gaussian", "poisson", "gaussian"])
@pytest.mark.parametrize("clean", [0.01, 0.05, 0.3, 0.7, 0.95, 1.0])
def test_noise_has_mean_and_variance_of_the_clipped_law(model: str, clean: float) -> None:
    noisy = noisy_of(np.full((1, DRAWS), clean), model, seed=round(clean * 100)).astype(np.float64)
    exact = float(np.float32(clean))
    first, second, third, fourth = (clipped_moments(model, exact, power) for power in (1, 2, 3, 4))
    variance = second - first**2
    assert abs(noisy.mean() - first) < FALSE_ALARM_DEVIATIONS * math.sqrt(variance / DRAWS)
    central_fourth = fourth - 4 * first * third + 6 * first**2 * second - 3 * first**4
    error_of_variance = math.sqrt((central_fourth - variance**2) / DRAWS)
    assert abs(noisy.var() - variance) < FALSE_ALARM_DEVIATIONS * error_of_variance


@pytest.mark.parametrize("rate", [0.25, 1.0, 3.7, 16.1, 60.0, 99.9, 180.5])
def test_counts_follow_poissons_law(rate: float) -> None:
    counts = np.rint(noisy_of(np.full((1, DRAWS), rate / 400), "poisson", seed=5, electrons=400) * 400).astype(int)
    rounded = round(float(np.float32(rate / 400)) * 400 * 1024) / 1024
    expected = DRAWS * stats.poisson.pmf(np.arange(counts.max() + 1), rounded)
    cells = np.cumsum(expected) // 50  # neighbouring counts share a cell until some fifty draws are expected in each
    observed = np.bincount(counts.ravel(), minlength=expected.size)
    inside = [(observed[cells == cell].sum(), expected[cells == cell].sum()) for cell in np.unique(cells)]
    seen, wanted = np.array(inside).T
    seen, wanted = np.append(seen, 0), np.append(wanted, DRAWS - wanted.sum())
    chi_square = float(((seen - wanted) ** 2 / np.maximum(wanted, 1e-9))[wanted > 5].sum())
    assert stats.chi2.sf(chi_square, int((wanted > 5).sum()) - 1) > 1e-6


def test_the_normal_part_is_normal_into_its_tails() -> None:
    # With a width of 1/16 around 1/2, nothing within eight deviations is clipped.
    key = noise.key_of(1, "digest", 0, 0)
    noisy = noise.add_noise(np.full((1, 4_000_000), 0.5, np.float32), "gaussian", 1, 1 / 16, key)
    deviations = (noisy.astype(np.float64).ravel() - 0.5) * 16
    assert stats.kstest(deviations[:200_000], "norm").pvalue > 1e-6
    for beyond in (3.0, 4.0, 4.75):
        expected = deviations.size * stats.norm.sf(beyond)
        for seen in ((deviations > beyond).sum(), (deviations < -beyond).sum()):
            assert stats.poisson.sf(seen - 1, expected) > 1e-6
            assert stats.poisson.cdf(seen, expected) > 1e-6


@pytest.mark.parametrize("model", sorted(noise.MODELS))
def test_noise_stays_within_range_and_type(model: str) -> None:
    clean = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    noisy = noisy_of(clean, model)
    assert noisy.dtype == np.float32
    assert noisy.shape == clean.shape
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert noisy is not clean
    assert np.array_equal(noisy, clean) == (model == "none")


def _residual(model: str, key: noise.Key) -> np.ndarray:
    noisy = noise.add_noise(np.full((512, 512), 0.5, np.float32), model, ELECTRONS, SIGMA, key).astype(np.float64)
    deviations: np.ndarray = (noisy - noisy.mean()) / noisy.std()
    return deviations


def test_pixels_patches_and_kinds_of_noise_are_independent() -> None:
    here = noise.key_of(1, "digest", 0, 0)
    residual = _residual("poisson_gaussian", here)
    products = [residual[:, 1:] * residual[:, :-1], residual[1:] * residual[:-1]]
    others = [(1, "digest", 0, 512), (1, "digest", 512, 0), (1, "other", 0, 0), (2, "digest", 0, 0)]
    products += [residual * _residual("poisson_gaussian", noise.key_of(*other)) for other in others]
    products += [_residual("poisson", here) * _residual("gaussian", here)]
    for product in products:
        assert abs(product.mean()) < FALSE_ALARM_DEVIATIONS / math.sqrt(product.size)


@pytest.mark.parametrize("value", [-0.1, 1.0000001, math.nan, math.inf, -0.0])
def test_a_clean_value_out_of_range_is_refused(value: float) -> None:
    clean = np.full((4, 600), 0.5, np.float32)
    clean[3, 599] = value
    with pytest.raises(ValueError, match="outside"):
        noisy_of(clean, "poisson")


@pytest.mark.parametrize(("electrons", "sigma"), [(0, 0.05), (401, 0.05), (100, 1.5), (100, -0.1)])
def test_a_parameter_out_of_range_is_refused(electrons: int, sigma: float) -> None:
    with pytest.raises(ValueError, match="out of range"):
        noise.add_noise(np.zeros((2, 2), np.float32), "poisson", electrons, sigma, noise.key_of(1, "", 0, 0))
