import numpy as np
import pytest
import torch

from cryodenoise.baselines import affine
from cryodenoise.baselines.affine import AffineFit
from cryodenoise.metrics import pixel
from noisy_pairs import known, pair


@pytest.mark.parametrize("batch_size", [1, 3, 5])
def test_the_affine_fit_is_the_least_squares_solution(batch_size: int) -> None:
    images, targets = pair(7)
    fit = AffineFit()
    for start in range(0, len(images), batch_size):
        fit.add(images[start : start + batch_size], targets[start : start + batch_size])
    slope, offset = np.polyfit(images.numpy().ravel().astype("f8"), targets.numpy().ravel().astype("f8"), 1)
    assert fit.solve().slope == pytest.approx(slope, rel=1e-10)
    assert fit.solve().offset == pytest.approx(offset, rel=1e-10)


def test_no_other_affine_map_has_a_lower_error() -> None:
    images, targets = pair(8)
    fit = AffineFit()
    fit.add(images, targets)
    best = fit.solve()

    def error(slope: float, offset: float) -> float:
        return pixel.mean_squared_error(images.double() * slope + offset, targets).mean().item()

    lowest = error(best.slope, best.offset)
    steps = [(a, b) for a in (-0.01, 0, 0.01) for b in (-0.01, 0, 0.01) if a or b]
    assert all(error(best.slope + a, best.offset + b) > lowest for a, b in steps)


def test_the_affine_fit_of_a_constant_input_is_the_mean_of_the_targets() -> None:
    _, targets = pair(9)
    fit = AffineFit()
    fit.add(torch.full_like(targets, 0.25), targets)
    assert fit.solve().slope == 0
    assert fit.solve().offset == pytest.approx(targets.double().mean().item())


def test_the_baseline_is_the_map_that_is_best_on_training_patches() -> None:
    images, targets = pair(10)
    fitted = affine.fit(known((images, targets), pair(11)))
    fit = AffineFit()
    fit.add(images, targets)
    assert fitted.parameters == pytest.approx({"slope": fit.solve().slope, "offset": fit.solve().offset}, rel=1e-12)
    expected = images * fitted.parameters["slope"] + fitted.parameters["offset"]
    assert torch.equal(fitted.denoise(images), expected)
