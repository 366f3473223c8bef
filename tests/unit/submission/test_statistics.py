"""Scores held against a reference: known margins, and honest submissions that pass."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from cryodenoise.config.reference import Reference, ReferenceRun
from cryodenoise.submission import reference_sets, statistics


def reference(*scores: float) -> Reference:
    runs = [ReferenceRun(seed=seed, psnr_db=psnr_db) for seed, psnr_db in enumerate(scores)]
    return reference_sets.of("smoke").model_copy(update={"runs": runs})


@pytest.mark.parametrize("submitted", [1, 5, 40])
def test_the_margin_of_two_runs_is_a_quantile_of_cauchys_distribution(submitted: int) -> None:
    quantile = math.tan(math.pi * (0.5 - statistics.LEVEL))
    expected = quantile * math.sqrt(2) * math.sqrt(1 / 2 + 1 / submitted)
    assert statistics.margin(np.array([24.0, 26.0]), submitted) == pytest.approx(expected, rel=1e-9)


def test_the_factor_for_ten_runs_and_five() -> None:
    scores = np.array([1.0, -1.0] * 5)
    table = 2.34028  # Student's t with 9 degrees of freedom, one-sided 2.2 %
    assert stats.t.cdf(table, 9) == pytest.approx(1 - statistics.LEVEL, abs=1e-6)
    expected = table * math.sqrt(10 / 9) * math.sqrt(1 / 10 + 1 / 5)
    assert statistics.margin(scores, 5) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("submitted", [1, 5, 10])
@pytest.mark.parametrize("shape", ["normal", "uniform", "t", "gamma"])
def test_at_most_one_honest_submission_in_twenty_is_refused(shape: str, submitted: int) -> None:
    rng, trials = np.random.default_rng(42), 40_000
    draws: dict[str, Callable[[tuple[int, int]], np.ndarray]] = {
        "normal": lambda size: rng.standard_normal(size),
        "uniform": lambda size: rng.random(size),
        "t": lambda size: rng.standard_t(5, size),
        "gamma": lambda size: rng.standard_gamma(4, size),
    }
    of_reference, ours = draws[shape]((trials, 10)), draws[shape]((trials, submitted))
    above = ours.mean(axis=1) - of_reference.mean(axis=1)
    refused = float((above > statistics.margin(of_reference, submitted)).mean())
    assert refused <= 0.05
    if shape == "normal":
        assert refused == pytest.approx(statistics.LEVEL, abs=4 * math.sqrt(statistics.LEVEL / trials))


def test_a_mean_above_the_margin_is_too_good_and_one_below_too_low() -> None:
    measured = reference(25.0, 25.2, 24.8, 25.1, 24.9)
    reach = float(statistics.margin(np.array([25.0, 25.2, 24.8, 25.1, 24.9]), 2))
    for shift, good, low in ((1.01, True, False), (0.99, False, False), (-0.99, False, False), (-1.01, False, True)):
        verdict = statistics.judge(measured, [25 + shift * reach - 0.3, 25 + shift * reach + 0.3])
        assert verdict is not None
        assert (verdict.too_good, verdict.too_low) == (good, low)
        assert verdict.mean_db == pytest.approx(25 + shift * reach)


def test_submissions_that_scatter_do_not_widen_their_bound() -> None:
    measured = reference(25.0, 25.2, 24.8, 25.1, 24.9)
    narrow, wide = statistics.judge(measured, [25.0, 25.0]), statistics.judge(measured, [20.0, 30.0])
    assert narrow == wide


def test_the_references_own_seeds_pass() -> None:
    for each in reference_sets.all():
        if each.runs:
            verdict = statistics.judge(each, [run.psnr_db for run in each.runs])
            assert verdict is not None
            assert not verdict.too_good
            assert not verdict.too_low


@pytest.mark.parametrize("scores", [(), (25.0,)])
def test_without_a_spread_nothing_is_judged(scores: tuple[float, ...]) -> None:
    assert statistics.judge(reference(*scores), [25.0]) is None
    assert statistics.range_db(reference(*scores)) is None


def test_the_range_of_trainings_is_a_prediction_interval() -> None:
    scores = np.random.default_rng(1).normal(25, 0.2, 10)
    found = statistics.range_db(reference(*scores))
    expected = stats.t.ppf(0.995, 9) * scores.std(ddof=1) * math.sqrt(1.1)
    assert found == pytest.approx((scores.mean(), expected), rel=1e-9)
