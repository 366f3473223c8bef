import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.training import ObjectiveParameters
from cryodenoise.errors import UserError
from cryodenoise.training.objectives import amplitude_difference, losses, require_suits

SIZES = [(8, 8), (8, 7), (7, 8), (5, 5), (1, 1), (1, 6), (4, 1), (2, 2)]
sides = st.integers(1, 9)
seeds = st.integers(0, 1000)


def images(seed: int, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def whole_plane(denoised: Tensor, target: Tensor) -> Tensor:
    """The definition, frequency by frequency."""
    moduli = [torch.fft.fft2(image, norm="ortho").abs() for image in (denoised, target)]
    mean: Tensor = (moduli[0] - moduli[1]).square().mean(dim=(1, 2, 3))
    return mean


def test_mse_and_l1_of_known_images() -> None:
    denoised = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[0.0, 0.0], [0.0, 1.0]]]])
    target = torch.zeros(2, 1, 2, 2)
    assert losses(ObjectiveParameters(name="mse"))(denoised, target).tolist() == [7.5, 0.25]
    assert losses(ObjectiveParameters(name="l1"))(denoised, target).tolist() == [2.5, 0.25]


@pytest.mark.parametrize("parameters", [{}, {"name": "l1"}, {"fourier_amplitude_weight": 0.5}])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_losses_are_float32_whatever_comes_in(parameters: dict[str, object], dtype: torch.dtype) -> None:
    of = losses(ObjectiveParameters.model_validate(parameters))
    denoised, target = images(1, 3, 1, 8, 8, dtype=dtype), images(2, 3, 1, 8, 8, dtype=dtype)
    found = of(denoised, target)
    assert (found.dtype, found.shape) == (torch.float32, (3,))
    assert torch.equal(found, of(denoised.float(), target.float()))


@pytest.mark.parametrize("parameters", [{}, {"name": "l1"}, {"fourier_amplitude_weight": 0.5}])
def test_a_samples_loss_does_not_depend_on_its_batch(parameters: dict[str, object]) -> None:
    of = losses(ObjectiveParameters.model_validate(parameters))
    denoised, target = images(1, 4, 1, 12, 9), images(2, 4, 1, 12, 9)
    alone = torch.cat([of(denoised[k : k + 1], target[k : k + 1]) for k in range(4)])
    torch.testing.assert_close(of(denoised, target), alone, rtol=1e-6, atol=0)


def test_the_mean_of_the_losses_is_pytorchs() -> None:
    denoised, target = images(1, 4, 1, 16, 16).float(), images(2, 4, 1, 16, 16).float()
    for name, theirs in (("mse", torch.nn.functional.mse_loss), ("l1", torch.nn.functional.l1_loss)):
        ours = losses(ObjectiveParameters.model_validate({"name": name}))(denoised, target).mean()
        torch.testing.assert_close(ours, theirs(denoised, target), rtol=1e-6, atol=0)


def test_a_weight_of_zero_leaves_the_first_term_bit_for_bit() -> None:
    denoised, target = images(1, 2, 1, 8, 8), images(2, 2, 1, 8, 8)
    plain = losses(ObjectiveParameters())(denoised, target)
    assert torch.equal(losses(ObjectiveParameters(fourier_amplitude_weight=0.0))(denoised, target), plain)
    both = losses(ObjectiveParameters(fourier_amplitude_weight=2.0))(denoised, target)
    torch.testing.assert_close(both - plain, 2 * amplitude_difference(denoised, target).float(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_half_the_plane_tells_the_mean_over_all_frequencies(height: int, width: int) -> None:
    denoised, target = images(1, 3, 1, height, width), images(2, 3, 1, height, width)
    torch.testing.assert_close(amplitude_difference(denoised, target), whole_plane(denoised, target))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_against_an_empty_target_it_is_the_mean_square(height: int, width: int) -> None:
    """Parseval: the transform keeps the sum of squares."""
    image = images(1, 2, 1, height, width)
    found = amplitude_difference(image, torch.zeros_like(image))
    torch.testing.assert_close(found, image.square().mean(dim=(1, 2, 3)))


def test_a_difference_of_means_is_told_exactly() -> None:
    """All of a constant image lies in one frequency, with modulus side · value."""
    denoised, target = torch.full((1, 1, 8, 8), 0.75), torch.full((1, 1, 8, 8), 0.25)
    assert amplitude_difference(denoised, target).item() == pytest.approx(0.25, rel=1e-6)
    assert amplitude_difference(-denoised, target).item() == pytest.approx(0.25, rel=1e-6)  # blind to the sign


@settings(deadline=None, max_examples=50)
@given(sides, sides, seeds, st.integers(-9, 9), st.integers(-9, 9))
def test_a_shifted_or_turned_image_has_the_same_moduli(
    height: int, width: int, seed: int, down: int, right: int
) -> None:
    image = images(seed, 1, 1, height, width)
    for other in (image.roll((down, right), (2, 3)), image.flip((2, 3)), -image):
        assert amplitude_difference(image, other).item() < 1e-25


@settings(deadline=None, max_examples=50)
@given(sides, sides, seeds)
def test_it_is_symmetric_and_never_above_the_mean_squared_error(height: int, width: int, seed: int) -> None:
    a, b = images(seed, 2, 1, height, width), images(seed + 1, 2, 1, height, width)
    found = amplitude_difference(a, b)
    torch.testing.assert_close(found, amplitude_difference(b, a))
    assert (found <= (a - b).square().mean(dim=(1, 2, 3)) * (1 + 1e-12)).all()


@pytest.mark.parametrize(("height", "width"), [(4, 4), (4, 5), (5, 3), (1, 4)])
def test_the_gradient_is_that_of_finite_differences(height: int, width: int) -> None:
    denoised = images(3, 2, 1, height, width).requires_grad_()
    target = images(4, 2, 1, height, width)
    assert gradcheck(lambda image: amplitude_difference(image, target), (denoised,))


@pytest.mark.parametrize("name", ["mse", "l1"])
def test_gradients_are_finite_where_a_modulus_is_zero(name: str) -> None:
    of = losses(ObjectiveParameters.model_validate({"name": name, "fourier_amplitude_weight": 1.0}))
    for denoised in (torch.zeros(1, 1, 6, 6), torch.full((1, 1, 6, 6), 0.5), torch.full((1, 1, 6, 6), 1e-30)):
        denoised.requires_grad_()
        (gradient,) = torch.autograd.grad(of(denoised, images(1, 1, 1, 6, 6)).mean(), denoised)
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


def test_following_the_gradient_brings_the_power_of_the_target() -> None:
    target = images(1, 1, 1, 8, 8)
    image = images(2, 1, 1, 8, 8).requires_grad_()
    for _ in range(200):
        (gradient,) = torch.autograd.grad(amplitude_difference(image, target).sum(), image)
        with torch.no_grad():
            image -= 16 * gradient
    assert amplitude_difference(image, target).item() < 1e-6
    assert (image - target).square().mean() > 1e-3  # the moduli alone do not tell the image


@pytest.mark.parametrize("name", ["mse", "l1"])
def test_losses_repeat_themselves_where_pytorch_must(name: str) -> None:
    of = losses(ObjectiveParameters.model_validate({"name": name, "fourier_amplitude_weight": 0.1}))
    denoised, target = images(1, 2, 1, 64, 48).float().requires_grad_(), images(2, 2, 1, 64, 48).float()
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        found = [torch.autograd.grad(of(denoised, target).mean(), denoised)[0] for _ in range(2)]
    finally:
        torch.use_deterministic_algorithms(before)
    assert torch.equal(*found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_tells_the_same() -> None:
    of = losses(ObjectiveParameters(fourier_amplitude_weight=0.5))
    denoised, target = images(1, 2, 1, 64, 48).float(), images(2, 2, 1, 64, 48).float()
    torch.testing.assert_close(of(denoised.cuda(), target.cuda()).cpu(), of(denoised, target))


def test_moduli_of_noisy_targets_are_refused() -> None:
    amplitude = ObjectiveParameters(fourier_amplitude_weight=0.5)
    with pytest.raises(UserError, match=r"^train\.yaml: objective\.fourier_amplitude_weight: found 0\.5 .*halves"):
        require_suits(amplitude, "halves", "train.yaml: objective")
    others: list[PairsKind] = ["added_noise", "given", "truth"]
    assert [require_suits(amplitude, kind, "x") for kind in others] == [[], [], []]


def test_noise_adds_to_the_moduli_and_not_to_the_mean_squared_error() -> None:
    """Why they are refused: the optimum against noisy targets has too much power."""
    truth = images(1, 1, 1, 32, 32)
    noisy = truth + torch.randn(400, 1, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    amplitude = {gain: amplitude_difference(gain * truth, noisy).mean().item() for gain in (1.0, 1.1)}
    squared = {gain: (gain * truth - noisy).square().mean().item() for gain in (1.0, 1.1)}
    assert amplitude[1.1] < amplitude[1.0]
    assert squared[1.1] > squared[1.0]


def test_the_median_of_halves_is_remarked_on() -> None:
    (remark,) = require_suits(ObjectiveParameters(name="l1"), "halves", "x")
    assert "median" in remark
    assert require_suits(ObjectiveParameters(), "halves", "x") == []
    assert require_suits(ObjectiveParameters(name="l1"), "truth", "x") == []


def test_the_median_of_counts_is_below_their_mean() -> None:
    """The sixth of a count of which the documentation tells: over means that are spread evenly."""
    means = torch.arange(20, 30, 0.01, dtype=torch.float64)
    counts = torch.arange(100, dtype=torch.float64)
    log_p = counts * means[:, None].log() - means[:, None] - torch.lgamma(counts + 1)
    medians = (log_p.exp().cumsum(1) < 0.5).sum(1)
    assert (medians - means).mean().item() == pytest.approx(-1 / 6, abs=0.02)
    assert (medians - means).abs().max().item() < math.log(2)
