"""Correlation of neighbouring pixels: numpy's own, known answers, and no copy of the image."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryodenoise.signal.neighbours import neighbour_correlation


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000), height=st.integers(1, 40), width=st.integers(3, 40), offset=st.floats(-2, 2, width=32)
)
def test_it_is_what_numpy_says_of_the_pairs(seed: int, height: int, width: int, offset: float) -> None:
    image = (np.random.default_rng(seed).normal(size=(height, width)) * 0.2 + offset).astype(np.float32)
    exact = image.astype(np.float64)
    expected = np.corrcoef(exact[:, :-1].ravel(), exact[:, 1:].ravel())[0, 1]
    assert neighbour_correlation(image) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_known_answers() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32), (64, 1))
    assert neighbour_correlation(ramp) == pytest.approx(1)
    stripes = np.tile(np.array([0, 1], np.float32), (32, 32))
    assert neighbour_correlation(stripes) == pytest.approx(-1)
    noise = np.random.default_rng(1).normal(size=(512, 512)).astype(np.float32)
    assert abs(neighbour_correlation(noise)) < 5 / 512
    assert neighbour_correlation(ndimage.uniform_filter1d(noise, 2, axis=1)) == pytest.approx(0.5, abs=5 / 512)
    assert abs(neighbour_correlation(ndimage.uniform_filter1d(noise, 2, axis=0))) < 10 / 512


@pytest.mark.parametrize(
    "image", [np.full((5, 7), 0.3, np.float32), np.zeros((5, 7), np.float32), np.ones((9, 1), np.float32)]
)
def test_without_variation_or_neighbours_it_is_0(image: np.ndarray) -> None:
    assert neighbour_correlation(image) == 0


def test_images_may_be_put_one_above_the_other() -> None:
    first, second = np.random.default_rng(2).random((2, 8, 16), np.float32)
    exact = [np.stack([each[:, :-1].ravel(), each[:, 1:].ravel()]) for each in (first, second)]
    expected = np.corrcoef(np.concatenate(exact, axis=1).astype("f8"))[0, 1]
    assert neighbour_correlation(np.concatenate([first, second])) == pytest.approx(expected, rel=1e-9)


def test_it_makes_no_copy_of_the_image() -> None:
    image = np.random.default_rng(3).random((1024, 1024), np.float32)
    tracemalloc.start()
    neighbour_correlation(image)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < image.nbytes / 4
