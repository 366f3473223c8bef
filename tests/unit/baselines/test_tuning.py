import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.baselines.tuning import lowest


class Valley:
    """An error whose logarithmic distance from the best parameter counts, steeper above; and what was asked of it."""

    def __init__(self, best: float) -> None:
        self.best = best
        self.asked: list[float] = []

    def __call__(self, parameter: float) -> float:
        self.asked.append(parameter)
        away = math.log(parameter / self.best)
        return 3 + away**2 * (2 if away > 0 else 1)


@settings(deadline=None)
@given(st.floats(0.25, 16), st.integers(3, 20))
def test_the_best_parameter_is_found_to_a_hundredth(best: float, points: int) -> None:
    valley = Valley(best)
    assert lowest(valley, 0.25, 16, points) == pytest.approx(best, rel=0.01)
    assert len(valley.asked) == len(set(valley.asked))


@settings(deadline=None)
@given(st.floats(0.3, 1.9))
def test_eight_tries_find_it_to_a_quarter(best: float) -> None:
    valley = Valley(best)
    assert lowest(valley, 0.25, 2, points=4, precision=0.4) == pytest.approx(best, rel=0.25)
    assert len(valley.asked) <= 10


@pytest.mark.parametrize("best", [0.05, 60.0])
def test_the_grid_goes_on_once_beyond_its_ends(best: float) -> None:
    assert lowest(Valley(best), 0.25, 16, points=7) == pytest.approx(best, rel=0.01)


@pytest.mark.parametrize(("best", "end"), [(1e-9, 0.25 / 8), (1e9, 16 * 8)])
def test_beyond_that_the_end_is_taken(best: float, end: float) -> None:
    valley = Valley(best)
    assert lowest(valley, 0.25, 16, points=7) == pytest.approx(end, rel=0.01)
    assert min(valley.asked) > 0.03
    assert max(valley.asked) < 130


def test_of_equals_on_the_grid_the_smallest_is_taken() -> None:
    assert lowest(lambda _: 1.0, 0.5, 4, points=4) == pytest.approx(0.125)
    assert lowest(lambda parameter: float(parameter < 0.9), 0.5, 4, points=4) == pytest.approx(1)
