import math

import pytest
import torch

from cryodenoise.evaluation.orders import score
from noisy_pairs import in_batches, mean_squared_error, pair


def test_errors_are_those_of_all_pixels_whatever_the_batches() -> None:
    noisy, target = pair(0)
    readings = {"half": lambda images: images / 2, "same": lambda images: images}
    centred = noisy.double() - noisy.double().mean()
    slope = (centred * (target - target.mean())).sum() / centred.square().sum()
    affine = target.double().mean() + slope * centred
    for batch_size in (1, 2, 5):
        found = score(readings, in_batches(noisy, target, batch_size))
        assert found.samples == 5
        assert found.input_mse == found.mse["same"] == pytest.approx(mean_squared_error(noisy, target), rel=1e-12)
        assert found.mse["half"] == pytest.approx(mean_squared_error(noisy / 2, target), rel=1e-12)
        assert found.affine_mse == pytest.approx(mean_squared_error(affine, target), rel=1e-6)


def test_a_clearly_worse_reading_is_told_from_the_best() -> None:
    noisy, target = pair(1)
    mean = target.mean()
    readings = {"bad": lambda images: 1 - images, "good": lambda images: (images + mean) / 2}
    found = score(readings, in_batches(noisy, target, 2))
    assert (found.best, found.like_best) == ("good", ["good"])
    assert found.beats_input("good")
    assert not found.beats_input("bad")


def test_readings_that_differ_by_chance_or_not_at_all_are_alike() -> None:
    noisy, target = pair(2)
    rng = torch.Generator().manual_seed(1)

    def shaken(images: torch.Tensor) -> torch.Tensor:
        return images + 1e-3 * torch.randn(images.shape, generator=rng)

    readings = {"shaken": shaken, "bad": lambda images: images * 0, "one": lambda images: images, "two": torch.clone}
    found = score(readings, in_batches(noisy, target, 2))
    assert {"one", "two"} <= set(found.like_best)
    assert "bad" not in found.like_best


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reading_without_finite_values_comes_last(value: float) -> None:
    noisy, target = pair(3)
    readings = {"broken": lambda images: images * value, "same": lambda images: images}
    found = score(readings, in_batches(noisy, target, 2))
    assert (found.mse["broken"], found.best, found.like_best) == (math.inf, "same", ["same"])
    assert not found.beats_input("broken")
