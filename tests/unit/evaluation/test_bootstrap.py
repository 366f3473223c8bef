import math

import numpy as np
import pytest

from cryodenoise.evaluation.bootstrap import FEWEST_MICROGRAPHS, Bootstrap


def identity(mean: np.ndarray) -> np.ndarray:
    return mean


def test_the_interval_of_a_mean_is_that_of_the_micrographs_and_not_of_the_patches() -> None:
    rng = np.random.default_rng(0)
    micrographs, patches = 60, 25
    of_micrograph = rng.normal(0.0, 1.0, micrographs)
    values = np.repeat(of_micrograph, patches) + rng.normal(0.0, 0.1, micrographs * patches)
    interval = Bootstrap(np.repeat(np.arange(micrographs), patches), seed=1).interval(identity, values)
    assert interval is not None
    half = 1.96 * of_micrograph.std() / math.sqrt(micrographs)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)
    assert interval.low < values.mean() < interval.high
    apart = Bootstrap(np.arange(len(values)), seed=1).interval(identity, values)
    assert apart is not None
    assert apart.high - apart.low < (interval.high - interval.low) / 3


@pytest.mark.parametrize("micrographs", [FEWEST_MICROGRAPHS, 8, 40])
def test_intervals_cover_the_truth_about_as_often_as_they_say(micrographs: int) -> None:
    rng = np.random.default_rng(3)
    covered, trials = 0, 300
    for trial in range(trials):
        values = rng.normal(0.0, 1.0, micrographs)
        interval = Bootstrap(np.arange(micrographs), seed=trial).interval(identity, values)
        assert interval is not None
        covered += interval.low <= 0.0 <= interval.high
    assert (
        0.9 <= covered / trials <= 0.985
    )  # 0.95, and some four standard deviations of 300 trials below and three above


def test_micrographs_count_by_their_patches() -> None:
    micrographs = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    bootstrap = Bootstrap(micrographs, seed=0)
    values = np.arange(21.0)
    (means,) = bootstrap.means(values)
    (ones,) = bootstrap.means(np.ones(21))
    assert ones == pytest.approx(np.ones(len(ones)))
    assert means.mean() == pytest.approx(values.mean(), abs=0.5)


def test_a_gain_keeps_what_both_errors_have_in_common() -> None:
    rng = np.random.default_rng(5)
    errors = rng.uniform(0.5, 2.0, 30)
    interval = Bootstrap(np.arange(30), seed=0).interval(
        lambda ours, theirs: 10 * np.log10(theirs / ours), errors, 2 * errors
    )
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((10 * math.log10(2),) * 2)


def test_the_same_seed_draws_the_same() -> None:
    values = np.random.default_rng(0).normal(size=20)
    intervals = [Bootstrap(np.arange(20), seed).interval(identity, values) for seed in (1, 1, 2)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_too_few_micrographs_have_none_and_a_reason() -> None:
    few = Bootstrap(np.repeat(np.arange(FEWEST_MICROGRAPHS - 1), 50), seed=0)
    assert few.missing is not None
    assert f"{FEWEST_MICROGRAPHS - 1} test micrographs" in few.missing
    assert few.interval(identity, np.ones(50 * (FEWEST_MICROGRAPHS - 1))) is None
    assert Bootstrap(np.arange(FEWEST_MICROGRAPHS), seed=0).missing is None


def test_a_statistic_without_a_value_in_some_draw_has_none() -> None:
    errors = np.zeros(10)
    assert Bootstrap(np.arange(10), seed=0).interval(lambda mse: -10 * np.log10(mse), errors) is None
