"""Gradients over micro-batches, and losses that are no numbers."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cryodenoise.config.training import ObjectiveParameters, OptimizerParameters
from cryodenoise.models import MODELS
from cryodenoise.training import objectives, optimizers
from cryodenoise.training.step import LossWatch, Step, Where, apply, compiled

CPU = torch.device("cpu")


SCALE = 1024.0


def scaler(enabled: bool = False) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", init_scale=SCALE, enabled=enabled)


def step_of(module: nn.Module, micro_batch_size: int, precision: str = "fp32", world: int = 1) -> Step:
    losses = objectives.losses(ObjectiveParameters())
    return Step(module, losses, scaler(precision == "fp16"), CPU, precision, micro_batch_size, world)


def batch(samples: int, side_px: int = 16, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return tuple(torch.rand(samples, 1, side_px, side_px, generator=source) for _ in range(2))  # type: ignore[return-value]


def flat(module: nn.Module, of_gradients: bool) -> torch.Tensor:
    values = [value.grad if of_gradients else value for value in module.parameters()]
    return torch.cat([value.detach().flatten().double() for value in values if value is not None])


@settings(deadline=None, max_examples=12)
@given(st.sampled_from(["cnn3", "dncnn12", "unet"]), st.integers(1, 9), st.integers(1, 9))
def test_micro_batches_and_one_batch_give_the_same_gradients(model: str, samples: int, micro_batch_size: int) -> None:
    torch.manual_seed(0)
    module = MODELS[model].build()
    inputs, targets = batch(samples)
    whole = step_of(module, samples).gradients(inputs, targets, samples, 0)
    expected = flat(module, of_gradients=True)
    total = step_of(module, micro_batch_size).gradients(inputs, targets, samples, 0)
    found = flat(module, of_gradients=True)
    assert torch.linalg.norm(found - expected) <= 1e-6 * torch.linalg.norm(expected)
    assert math.isclose(total, whole, rel_tol=1e-6)


def test_gradients_are_those_of_the_mean_over_the_batch() -> None:
    module = MODELS["cnn3"].build()
    inputs, targets = batch(3)
    expected_loss = nn.functional.mse_loss(module(inputs), targets)
    expected_loss.backward()  # type: ignore[no-untyped-call]
    expected = flat(module, of_gradients=True)
    total = step_of(module, 2).gradients(inputs, targets, 3, 0)
    torch.testing.assert_close(flat(module, of_gradients=True), expected, rtol=1e-5, atol=1e-9)
    assert float(total) / 3 == pytest.approx(expected_loss.item(), rel=1e-6)


def test_micro_batches_and_one_batch_give_the_same_weights_after_100_steps() -> None:
    torch.manual_seed(0)
    whole = MODELS["cnn3"].build()
    parts = copy.deepcopy(whole)
    for module, micro_batch_size in ((whole, 8), (parts, 3)):
        optimizer = optimizers.build(OptimizerParameters(name="sgd", learning_rate=0.05), module)
        step = step_of(module, micro_batch_size)
        for number in range(100):
            step.gradients(*batch(8, seed=number), 8, number)
            assert apply(optimizer, scaler(), 0.05, None)
    difference = flat(whole, of_gradients=False) - flat(parts, of_gradients=False)
    assert torch.linalg.norm(difference) <= 1e-6 * torch.linalg.norm(flat(whole, of_gradients=False))


def test_shares_of_processes_sum_up_to_the_batch() -> None:
    """Processes average their gradients, so each one's is `world` times its part of the mean."""
    module = MODELS["cnn3"].build()
    inputs, targets = batch(5)
    step_of(module, 5).gradients(inputs, targets, 5, 0)
    expected = flat(module, of_gradients=True)
    shares = []
    for part in (slice(0, 3), slice(3, 5), slice(5, 5)):
        step_of(module, 2, world=3).gradients(inputs[part], targets[part], 5, 0)
        shares.append(flat(module, of_gradients=True))
    torch.testing.assert_close(sum(shares) / 3, expected, rtol=1e-5, atol=1e-9)
    assert torch.equal(shares[2], torch.zeros_like(expected))


def test_random_layers_are_a_function_of_the_seed() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Dropout(0.5))
    inputs, targets = batch(4)
    found = []
    for seed in (1, 2, 1):
        step_of(module, 4).gradients(inputs, targets, 4, seed)
        found.append(flat(module, of_gradients=True))
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_computes_nearly_the_same_and_keeps_float32_gradients(precision: str) -> None:
    torch.manual_seed(0)
    module = MODELS["cnn3"].build()
    inputs, targets = batch(2)
    step_of(module, 2).gradients(inputs, targets, 2, 0)
    expected = flat(module, of_gradients=True)
    step = step_of(module, 2, precision)
    step.gradients(inputs, targets, 2, 0)
    assert all(value.grad is not None and value.grad.dtype == torch.float32 for value in module.parameters())
    found = flat(module, of_gradients=True) / (SCALE if precision == "fp16" else 1.0)
    assert 0 < torch.linalg.norm(found - expected) < 0.02 * torch.linalg.norm(expected)


def test_an_overflow_of_fp16_changes_no_weight_and_says_so() -> None:
    module = MODELS["cnn3"].build()
    optimizer = optimizers.build(OptimizerParameters(name="sgd"), module)
    scaling = scaler(enabled=True)
    before = flat(module, of_gradients=False)
    scale = scaling.get_scale()
    scaling.scale(module(batch(1)[0]).sum()).backward()
    next(module.parameters()).grad.fill_(math.inf)  # type: ignore[union-attr]
    assert not apply(optimizer, scaling, 0.1, None)
    assert torch.equal(flat(module, of_gradients=False), before)
    assert scaling.get_scale() == scale / 2


def test_gradients_are_clipped_to_a_norm_over_all_weights() -> None:
    module = nn.Linear(3, 2)
    optimizer = optimizers.build(OptimizerParameters(name="sgd", learning_rate=1.0), module)
    before = flat(module, of_gradients=False)
    for value in module.parameters():
        value.grad = torch.full_like(value, 10.0)
    apply(optimizer, scaler(), 1.0, clip_norm=0.5)
    assert torch.linalg.norm(before - flat(module, of_gradients=False)).item() == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_found_where_it_was(bad: float) -> None:
    watch = LossWatch()
    where = [Where(1, number, np.array([number])) for number in range(3)]
    assert watch.see(torch.tensor(1.0), where[0]) is None
    assert watch.see(torch.tensor(bad), where[1]) is where[1]
    assert watch.look() is None


def test_what_cannot_be_compiled_says_so_and_leaves_the_network_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1))
    before = copy.deepcopy(module.state_dict())

    def refuse(*_: object, **__: object) -> nn.Module:
        raise OSError("no working C++ compiler\nwas found")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(RuntimeError, match="no working C\\+\\+ compiler was found"):
        compiled(module, (2, 8, 8), CPU, "fp32")
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert all(value.grad is None for value in module.parameters())
