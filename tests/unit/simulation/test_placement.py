import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cryodenoise.errors import UserError
from cryodenoise.simulation import placement
from cryodenoise.simulation.placement import place


def overlaps(centres: np.ndarray, radii: np.ndarray) -> int:
    distance = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    pairs = np.triu(distance < radii[:, None] + radii[None], 1)
    return int(pairs.sum())


@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(0, 30), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_two_discs_overlap_and_all_centres_are_inside(seed: int, large: int, small: int, swapped: bool) -> None:
    radii = np.repeat([8.9, 6.1], [large, small])
    radii = radii[::-1] if swapped else radii
    width = max(20.0, math.pi * float((radii**2).sum()) / placement.MOST_COVERED / 120)  # filled as far as it may be
    centres = place(np.random.default_rng(seed), radii, (0, -5, 120, width - 5))
    assert centres.shape == (large + small, 2)
    assert overlaps(centres, radii) == 0
    assert (centres >= (0, -5)).all()
    assert (centres < (120, width - 5)).all()


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_those_around_lie_outside_the_hole_and_touch_none_of_those_there(seed: int) -> None:
    rng, hole = np.random.default_rng(seed), (0.0, 0.0, 60.0, 80.0)
    inner, outer = np.full(6, 7.0), np.full(8, 6.0)
    centres = place(rng, inner, hole)
    beyond = place(rng, outer, (-12, -12, 72, 92), hole, (centres, inner))
    assert not ((beyond >= hole[:2]) & (beyond < hole[2:])).all(axis=1).any()
    assert ((beyond >= -12) & (beyond < (72, 92))).all()
    assert overlaps(np.vstack([centres, beyond]), np.concatenate([inner, outer])) == 0


def test_a_thin_rim_about_a_large_hole_is_found() -> None:
    """What falls into the hole is no vain attempt: here 3999 of 4000 draws do."""
    hole = (0.0, 0.0, 8000.0, 8000.0)
    rim = place(np.random.default_rng(0), np.ones(12), (-0.5, -0.5, 8000.5, 8000.5), hole)
    assert len(rim) == 12


def test_centres_are_uniform() -> None:
    centres = np.vstack([place(np.random.default_rng(seed), np.full(3, 1.0), (0, 0, 100, 50)) for seed in range(2000)])
    for values, length in ((centres[:, 0], 100), (centres[:, 1], 50)):
        assert stats.kstest(values / length, "uniform").pvalue > 1e-6


def test_a_draw_is_repeated_until_it_fits_as_brute_force_does() -> None:
    """The search among neighbours finds what the search among all finds."""
    rng, again = (np.random.default_rng(7) for _ in range(2))
    radii = np.random.default_rng(8).uniform(2, 6, 40)
    expected: list[np.ndarray] = []
    for number, radius in enumerate(radii):
        while True:
            centre = again.uniform((0, 0), (80, 90))
            if all(math.dist(centre, other) >= radius + radii[i] for i, other in enumerate(expected[:number])):
                break
        expected.append(centre)
    assert np.array_equal(place(rng, radii, (0, 0, 80, 90)), expected)


def test_no_discs_need_no_room() -> None:
    assert place(np.random.default_rng(0), np.empty(0), (0, 0, 1, 1)).shape == (0, 2)


def test_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "_MOST_TRIES", 500)
    with pytest.raises(UserError, match=r"synthetic\.specimen: \d+ of 100 particles found room without overlap"):
        place(np.random.default_rng(0), np.full(100, 1.0), (0, 0, 18, 18))
