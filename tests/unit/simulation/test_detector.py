import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.simulation import detector
from simulated import DEVIATIONS


@pytest.mark.parametrize("at_nyquist", [0.2, 0.5, 1.0])
def test_the_transfer_is_as_asked_at_nyquist(at_nyquist: float) -> None:
    transfer = detector.modulation_transfer(at_nyquist, np.array([0, 0.25**2, 0.5**2]))
    assert transfer == pytest.approx([1, at_nyquist**0.25, at_nyquist], rel=1e-14)


@given(st.floats(0, 400, allow_subnormal=False))
def test_expectations_are_rounded_to_the_nearest_part_of_an_electron(expected: float) -> None:
    found = detector.rounded(np.array([expected]))
    assert found.dtype == np.int64
    assert abs(found[0] / 1024 - expected) <= 0.5 / 1024


def test_alike_pixels_need_no_gain_reference() -> None:
    assert detector.gain_of_pixels(0.0, 42, (4, 4)) is None


def test_a_gain_reference_corrects_the_spread_that_is_asked_for() -> None:
    gain = detector.gain_of_pixels(0.05, 42, (200, 200))
    assert gain is not None
    assert gain.dtype == np.float32
    sensitivity = 1 / gain.astype(np.float64)
    assert abs(sensitivity.mean() - 1) < DEVIATIONS * 0.05 / 200
    assert abs(sensitivity.std() / 0.05 - 1) < DEVIATIONS / math.sqrt(2 * 40_000)


def test_a_gain_reference_is_that_of_the_seed_and_never_extreme() -> None:
    gain, again, other = (detector.gain_of_pixels(0.3, seed, (100, 100)) for seed in (1, 1, 2))
    assert gain is not None
    assert again is not None
    assert other is not None
    assert np.array_equal(gain, again)
    assert not np.array_equal(gain, other)
    assert gain.min() == pytest.approx(1 / detector.HIGHEST_SENSITIVITY)
    assert gain.max() == pytest.approx(1 / detector.LEAST_SENSITIVITY)


@given(st.floats(0.1, 100), st.integers(2, 60), st.floats(0, 2 * math.pi))
def test_a_drift_has_its_length_direction_and_no_mean(length: float, frames: int, angle: float) -> None:
    way = detector.drift(length, frames, angle)
    assert way.shape == (frames, 2)
    assert np.allclose(way.mean(axis=0), 0, atol=1e-12 * length)
    assert math.hypot(*(way[-1] - way[0])) == pytest.approx(length)
    assert np.allclose((way[-1] - way[0]) / length, (math.sin(angle), math.cos(angle)), atol=1e-9)
    steps = np.hypot(*np.diff(way, axis=0).T)
    assert steps.sum() == pytest.approx(length)
    assert (np.diff(steps) < 0).all()


def test_one_frame_does_not_drift() -> None:
    assert detector.drift(4.0, 1, 0.5).tolist() == [[0.0, 0.0]]
