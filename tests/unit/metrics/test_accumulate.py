"""Scores of a set from those of its patches: known answers, and nothing that order or batches change."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.metrics.accumulate import PatchTable, gain_db, mean, psnr_db, scores_of, spread
from cryodenoise.metrics.affine_fit import MOMENTS
from noisy_pairs import pair

NAMES = {"mse", "mae", "ssim", "correlation", "edge_preservation", *MOMENTS}
numbers = st.floats(-1e6, 1e6)


def table(order: list[int], batch_size: int = 1) -> PatchTable:
    """Scores of five patches, set in an order."""
    images, others = pair(1)
    found = PatchTable(len(images))
    for start in order:
        batch = slice(start, start + batch_size)
        found.set(start, images[batch], others[batch])
    return found


def test_a_row_that_was_not_set_is_not_a_number() -> None:
    values = table([1, 3]).values()
    assert values.keys() == NAMES
    for of_score in values.values():
        assert of_score.dtype == np.float64
        assert np.isnan(of_score).tolist() == [True, False, True, False, True]


def test_rows_do_not_depend_on_the_order_in_which_they_are_set() -> None:
    plain = table([0, 1, 2, 3, 4]).values()
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        other = table(order).values()
        assert all(np.array_equal(other[name], plain[name]) for name in NAMES)
    in_batches = table([0, 2, 4], batch_size=2).values()
    for name in NAMES:
        assert in_batches[name] == pytest.approx(plain[name], rel=1e-12)


def test_setting_a_row_again_replaces_it() -> None:
    twice, (images, others) = table([0, 1, 2, 3, 4]), pair(2)
    twice.set(2, images[2:3], others[2:3])
    alone = PatchTable(5)
    alone.set(2, images[2:3], others[2:3])
    assert twice.values()["mse"][2] == alone.values()["mse"][2] != table([2]).values()["mse"][2]


def made_up(mse: list[float]) -> dict[str, np.ndarray]:
    others = {name: np.linspace(0.1, 0.9, len(mse)) for name in NAMES - {"mse"}}
    return {"mse": np.array(mse), **others}


def test_the_psnr_of_a_set_is_that_of_its_error_and_not_the_mean_of_the_patches() -> None:
    scores = scores_of(made_up([0.1, 0.001]))
    assert scores.mse == pytest.approx(0.0505)
    assert scores.rmse == pytest.approx(math.sqrt(0.0505))
    assert scores.psnr_db == pytest.approx(-10 * math.log10(0.0505))
    assert scores.patch_psnr_db is not None
    assert scores.patch_psnr_db.mean == pytest.approx(20)
    assert (scores.patch_psnr_db.min, scores.patch_psnr_db.max) == pytest.approx((10, 30))
    assert scores.mae == pytest.approx(0.5)


def test_one_patch_is_its_own_mean_median_and_extremes() -> None:
    scores = scores_of(made_up([0.01]))
    assert scores.ssim.model_dump() == {"mean": 0.1, "median": 0.1, "min": 0.1, "max": 0.1}


def test_a_patch_without_error_leaves_the_set_its_psnr_and_the_patches_none() -> None:
    scores = scores_of(made_up([0.0, 0.02]))
    assert scores.psnr_db == pytest.approx(20)
    assert scores.patch_psnr_db is None


@given(st.lists(numbers, min_size=1, max_size=30), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_means_and_spreads_do_not_depend_on_the_order(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean(np.array(values)) == mean(np.array(shuffled))
    assert spread(values) == spread(np.array(shuffled))


@given(st.lists(numbers, min_size=1, max_size=30))
@settings(deadline=None)
def test_spreads_are_those_of_numpy(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    assert found.median == pytest.approx(np.median(values), rel=1e-12, abs=1e-12)
    assert (found.min, found.max) == (min(values), max(values))
    assert found.min <= found.median <= found.max


def test_a_mean_keeps_what_large_values_would_round_away() -> None:
    for order in itertools.permutations([1e16, 1.0, -1e16, 1.0]):
        assert mean(np.array(order)) == 0.5


def test_gains_are_differences_of_psnrs() -> None:
    assert gain_db(0.01, 0.1) == pytest.approx(10)
    assert gain_db(0.1, 0.01) == pytest.approx(-10)
    assert gain_db(0.3, 0.3) == 0
    assert gain_db(0.0, 0.1) is gain_db(0.1, 0.0) is gain_db(0.0, 0.0) is None
    ours, theirs = psnr_db(0.02), psnr_db(0.07)
    assert ours is not None
    assert theirs is not None
    assert gain_db(0.02, 0.07) == pytest.approx(ours - theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_any_type_are_scored_by_their_values_in_double_precision(dtype: torch.dtype) -> None:
    images, others = pair(3)
    given = images.to(dtype)
    found, exact = PatchTable(5), PatchTable(5)
    found.set(0, given, others)
    exact.set(0, given.double(), others.double())
    assert all(np.array_equal(found.values()[name], exact.values()[name]) for name in NAMES)
