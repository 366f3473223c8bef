"""Counts of integer rates: Poisson's, the noise model's own, and independent between frames."""

import math

import numpy as np
import pytest
from scipy import stats

from cryodenoise.signal import noise
from cryodenoise.signal.noise_tables import HIGHEST_RATE

KEY = noise.Key(0x12345678, 0x9ABCDEF0, 0x0F1E2D3C, 0x4B5A6978)
FALSE_ALARM_DEVIATIONS = 5.0


def test_counts_are_those_that_the_poisson_noise_adds() -> None:
    """At 256 electrons at one, a rate in units of 1/1024 and an intensity are the same number, exactly."""
    rates = np.random.default_rng(0).integers(0, 256 * 1024 + 1, (37, 600))
    clean = (rates / (256 * 1024)).astype(np.float32)
    noisy = noise.add_noise(clean, "poisson", 256, 0.0, KEY)
    assert np.array_equal(np.minimum(noise.count(rates, KEY), 256), np.rint(noisy * 256))


@pytest.mark.parametrize("rate", [0.001, 0.5, 16.1, 200.0, 399.999])
def test_counts_follow_poissons_law(rate: float) -> None:
    units, draws = round(rate * 1024), 200_000
    counts = noise.count(np.full(draws, units), KEY)
    exact = units / 1024
    assert abs(counts.mean() - exact) < FALSE_ALARM_DEVIATIONS * math.sqrt(exact / draws)
    spread = math.sqrt((2 * exact**2 + exact) / draws)
    assert abs(counts.var() - exact) < FALSE_ALARM_DEVIATIONS * spread
    for quantile in (0.01, 0.5, 0.99):
        border = int(stats.poisson.ppf(quantile, exact))
        share = float(stats.poisson.cdf(border, exact))
        error = math.sqrt(share * (1 - share) / draws)
        assert abs((counts <= border).mean() - share) < FALSE_ALARM_DEVIATIONS * error + 1e-9


def test_no_rate_no_counts() -> None:
    assert not noise.count(np.zeros((20, 30), np.int64), KEY).any()


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_parts_of_an_image_give_what_the_whole_gives(rows: int) -> None:
    rates = np.random.default_rng(1).integers(0, 400 * 1024, (100, 53))
    whole = noise.count(rates, KEY, 3)
    parts = [noise.count(rates[top : top + rows], KEY, 3, top * 53) for top in range(0, 100, rows)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.int64])
def test_counts_go_where_they_are_asked_to(kind: type[np.integer]) -> None:
    rates, out = np.full((5, 700), 300 * 1024), np.empty((5, 700), kind)
    assert noise.count(rates, KEY, out=out) is out
    assert np.array_equal(out, noise.count(rates, KEY))


def test_the_first_pixel_may_have_any_number_of_32_bits() -> None:
    rates = np.full(3, 100 * 1024)
    far = 2**32 - 3
    assert noise.count(rates, KEY, 0, far)[2] == noise.count(rates[:1], KEY, 0, far + 2)[0]


def test_frames_keys_and_neighbours_are_independent() -> None:
    size = 100_000
    rates = np.full(size, 20 * 1024)

    def deviations(key: noise.Key, frame: int) -> np.ndarray:
        return np.asarray((noise.count(rates, key, frame) - 20) / math.sqrt(20))

    here = deviations(KEY, 0)
    others = [deviations(KEY, frame) for frame in (1, 2, 37, 2**32 - 1)] + [deviations(KEY._replace(key_0=1), 0)]
    products = [here * other for other in others] + [here[1:] * here[:-1], others[0] * others[1]]
    for product in products:
        assert abs(product.mean()) < FALSE_ALARM_DEVIATIONS / math.sqrt(product.size)


@pytest.mark.parametrize("rate", [-1, -(2**40), HIGHEST_RATE * 1024 + 1, 2**40])
def test_a_rate_out_of_range_is_refused(rate: int) -> None:
    rates = np.full((3, 600), 5)
    rates[2, 599] = rate
    with pytest.raises(ValueError, match="a rate is negative or above 400"):
        noise.count(rates, KEY)


def test_the_highest_rate_is_none_out_of_range() -> None:
    assert noise.count(np.full(1000, HIGHEST_RATE * 1024), KEY).mean() == pytest.approx(400, abs=5 * math.sqrt(0.4))
