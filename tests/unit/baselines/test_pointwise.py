"""The best curve per intensity, held against priors whose conditional mean is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.baselines import pointwise
from cryodenoise.baselines.affine import AffineFit
from cryodenoise.baselines.curve import Curve
from cryodenoise.baselines.pointwise import LEAST_PIXELS, PointwiseFit
from each_device import DEVICES
from noisy_pairs import known, mean_squared_error, pair

ELECTRONS_AT_ONE = 40
PIXELS = 1 << 20


def counted(clean: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts of a clean image in electrons, and that image, in units of intensity, shape (n, 1, 1024, 256)."""
    counts = rng.poisson(clean)
    noisy, target = (torch.from_numpy(values / ELECTRONS_AT_ONE).view(-1, 1, 1024, 256) for values in (counts, clean))
    return noisy, target


def solved(images: torch.Tensor, targets: torch.Tensor) -> Curve:
    fit = PointwiseFit()
    fit.add(images, targets)
    return fit.solve()


def frequent_counts(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts that came up often enough for a curve of their own, and how often."""
    counts, often = (images * ELECTRONS_AT_ONE).round().unique(return_counts=True)  # type: ignore[no-untyped-call]
    return counts[often > 10 * LEAST_PIXELS], often[often > 10 * LEAST_PIXELS]


def test_of_a_gamma_prior_it_is_the_affine_map_of_the_posterior_mean() -> None:
    rng = np.random.default_rng(1)
    shape, scale = 9.0, 1.6
    images, targets = counted(rng.gamma(shape, scale, PIXELS), rng)
    counts, often = frequent_counts(images)
    expected = (shape + counts) * scale / (1 + scale)
    posterior_sd = (shape + counts).sqrt() * scale / (1 + scale)
    deviation = solved(images, targets)(counts / ELECTRONS_AT_ONE) * ELECTRONS_AT_ONE - expected
    assert len(counts) > 15
    assert (deviation.abs() < 5 * posterior_sd / often.sqrt()).all()


def test_of_two_levels_it_is_the_logistic_curve_of_the_posterior_mean() -> None:
    rng = np.random.default_rng(2)
    low, high, share = 8.0, 20.0, 0.3
    images, targets = counted(np.where(rng.random(PIXELS) < share, high, low), rng)
    counts, often = frequent_counts(images)
    odds = math.log(share / (1 - share)) + counts * math.log(high / low) - (high - low)
    chance = torch.sigmoid(odds)
    expected = low + (high - low) * chance
    curve = solved(images, targets)
    deviation = curve(counts / ELECTRONS_AT_ONE) * ELECTRONS_AT_ONE - expected
    posterior_sd = (high - low) * (chance * (1 - chance)).sqrt()
    assert len(counts) > 15
    assert (deviation.abs() < 5 * posterior_sd / often.sqrt() + 0.01).all()
    affine = AffineFit()
    affine.add(images, targets)
    straight = images * affine.solve().slope + affine.solve().offset
    assert mean_squared_error(curve(images), targets) < 0.9 * mean_squared_error(straight, targets)


def test_clipped_values_have_the_mean_of_their_own_targets() -> None:
    rng = torch.Generator().manual_seed(3)
    targets = torch.rand(2, 1, 200, 200, generator=rng, dtype=torch.float64)
    images = (targets + 0.3 * torch.randn(targets.shape, generator=rng, dtype=torch.float64)).clamp(0, 1)
    curve = solved(images, targets)
    for value in (0.0, 1.0):
        assert curve(torch.tensor([value])).item() == pytest.approx(targets[images == value].mean().item(), rel=1e-6)
    mean_above, mean_below = targets[images > 0.99].mean(), targets[images < 0.01].mean()
    assert (
        curve(torch.tensor([7.0])).item() > mean_above - 0.01 > mean_below + 0.01 > curve(torch.tensor([-7.0])).item()
    )


def test_data_need_not_be_clipped() -> None:
    images = torch.linspace(-1.5, 3.5, 500 * 400, dtype=torch.float64).view(1, 1, 500, 400)
    within = images[(images > -1.48) & (images < 3.48)]
    assert torch.allclose(solved(images, 2 - images)(within), 2 - within, atol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("device", DEVICES)
def test_the_curve_does_not_depend_on_the_batch_size(batch_size: int, device: str) -> None:
    images, targets = (value.to(device) for value in pair(4))
    fit = PointwiseFit()
    for start in range(0, len(images), batch_size):
        fit.add(images[start : start + batch_size], targets[start : start + batch_size])
    whole = solved(images, targets)
    assert torch.equal(fit.solve().inputs, whole.inputs)
    assert torch.equal(fit.solve().outputs, whole.outputs)


def test_a_constant_input_gets_the_mean_of_the_targets() -> None:
    _, targets = pair(5)
    curve = solved(torch.full_like(targets, 0.25), targets)
    values = torch.tensor([-9.0, 0.0, 0.25, 9.0])
    assert curve(values).tolist() == pytest.approx([targets.double().mean().item()] * 4, rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0.01, 5), st.sampled_from([torch.float32, torch.float64]))
def test_the_curve_rises_to_no_higher_than_its_targets(
    seed: int, offset: float, scale: float, dtype: torch.dtype
) -> None:
    images, targets = (value.to(dtype) for value in pair(seed, samples=2))
    images = images * scale + offset
    curve = solved(images, targets)
    assert bool((curve.inputs.diff() > 0).all())
    denoised = curve(images)
    assert denoised.dtype == dtype
    assert targets.min() <= denoised.min() <= denoised.max() <= targets.max()


def test_the_baseline_is_the_curve_of_the_training_patches() -> None:
    images, targets = pair(6)
    fitted = pointwise.fit(known((images, targets), pair(7)))
    curve = solved(images, targets)
    assert torch.equal(fitted.denoise(images), curve(images))
    assert fitted.parameters == {"points": len(curve.inputs)}
