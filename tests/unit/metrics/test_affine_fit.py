"""The best slope and offset from moments of patches, held against least squares over all pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.metrics.affine_fit import MOMENTS, centred, fit, moments

SHAPE = (7, 1, 12, 10)


def solved(images: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Slope and error by way of the moments, taken a patch at a time."""
    rows = [moments(*(torch.from_numpy(each[None]) for each in pair)) for pair in zip(images, others, strict=True)]
    patches = {name: np.array([row[column].item() for row in rows]) for column, name in enumerate(MOMENTS)}
    slope, error = fit(*(values.mean() for values in centred(patches)))
    return float(slope), float(error)


def least_squares(images: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The same by numpy over all pixels."""
    columns = np.stack([images.ravel().astype("f8"), np.ones(images.size)], axis=1)
    best, residual, *_ = np.linalg.lstsq(columns, others.ravel().astype("f8"))
    return float(best[0]), float(residual[0] / images.size)


@given(
    st.integers(0, 2**32 - 1), st.floats(-3, 3), st.floats(-50, 50), st.floats(0.01, 2), st.floats(0, 5)
)  # fmt: skip
@settings(deadline=None, max_examples=50)
def test_it_is_the_least_squares_of_all_pixels(
    seed: int, slope: float, offset: float, noise: float, between: float
) -> None:
    """Patches differ in their means, so that those count, too."""
    rng = np.random.default_rng(seed)
    others = rng.normal(0, 1, SHAPE) + rng.normal(0, between, (SHAPE[0], 1, 1, 1))
    images = slope * others + offset + rng.normal(0, noise, SHAPE)
    for one, other in ((images, others), (images.astype("f4"), others.astype("f4"))):
        assert solved(one, other) == pytest.approx(least_squares(one, other), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (2.0, 0.0), (-0.3, 7.0), (1e-3, 1e3)])
def test_what_is_an_affine_map_of_the_truth_has_no_error(slope: float, offset: float) -> None:
    others = np.random.default_rng(1).normal(0, 1, SHAPE)
    found, error = solved(slope * others + offset, others)
    assert found == pytest.approx(1 / slope, rel=1e-9)
    assert error < 1e-18
    assert solved(others, others) == (1.0, 0.0)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_one_constant_has_the_slope_0_and_the_error_of_the_mean(value: float) -> None:
    others = np.random.default_rng(2).normal(0, 1, SHAPE)
    slope, error = solved(np.full(SHAPE, value), others)
    assert slope == 0.0
    assert error == pytest.approx(others.var(), rel=1e-12)


def test_constants_that_differ_from_patch_to_patch_still_explain_the_means() -> None:
    others = np.random.default_rng(3).normal(0, 1, SHAPE)
    images = np.broadcast_to(3 * others.mean(axis=(1, 2, 3), keepdims=True), SHAPE).copy()
    slope, error = solved(images, others)
    assert slope == pytest.approx(1 / 3, rel=1e-9)
    assert error == pytest.approx(others.var(axis=(1, 2, 3)).mean(), rel=1e-9)


def test_a_large_offset_takes_no_digits_from_the_error() -> None:
    rng = np.random.default_rng(4)
    others = rng.normal(0, 1, SHAPE)
    images = others + rng.normal(0, 1e-2, SHAPE)
    plain, shifted = solved(images, others), solved(images + 1e5, others + 1e5)
    assert shifted == pytest.approx(plain, rel=1e-6)


def test_one_patch_is_a_set() -> None:
    rng = np.random.default_rng(5)
    others = rng.normal(0, 1, (1, *SHAPE[1:]))
    images = others + rng.normal(0, 1, others.shape)
    assert solved(images, others) == pytest.approx(least_squares(images, others), rel=1e-9)


def test_many_sets_are_fitted_at_once() -> None:
    rng = np.random.default_rng(6)
    drawn = rng.normal(0, 1, (5, 3, 400))
    x, y = drawn[:, 0], drawn[:, 0] + drawn[:, 1]
    given_ = (x.mean(1), y.mean(1), (x * x).mean(1), (y * y).mean(1), (x * y).mean(1))
    slopes, errors = fit(*given_)
    for one, other, slope, error in zip(x, y, slopes, errors, strict=True):
        assert (slope, error) == pytest.approx(least_squares(one, other), rel=1e-9)
