import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import lr_scheduler

from cryodenoise import devices
from cryodenoise.config.training import OptimizerParameters, ScheduleParameters
from cryodenoise.models import cnn3
from cryodenoise.training.optimizers import build, learning_rate

PARAMETERS = {
    "adam": OptimizerParameters(name="adam", learning_rate=0.01),
    "adam with decay": OptimizerParameters(name="adam", learning_rate=0.01, weight_decay=0.1),
    "adamw": OptimizerParameters(name="adamw", learning_rate=0.01, weight_decay=0.1),
    "sgd": OptimizerParameters(name="sgd", learning_rate=0.01),
    "sgd with momentum": OptimizerParameters(name="sgd", learning_rate=0.01, momentum=0.9, weight_decay=0.1),
}


def step(network: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    batch = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (network(batch) - 1).square().mean().backward()
    optimizer.step()


def one_step(parameters: OptimizerParameters, weight: float, gradients: list[float]) -> float:
    """A single weight after steps with given gradients."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, weight)
    optimizer = build(parameters, network)
    for gradient in gradients:
        network.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
    return network.weight.item()


def test_steps_are_those_of_the_formulas() -> None:
    rate, eps = 0.1, 1e-8
    sgd = OptimizerParameters(name="sgd", learning_rate=rate)
    assert one_step(sgd, 2.0, [0.5]) == pytest.approx(2 - rate * 0.5)
    decayed = OptimizerParameters(name="sgd", learning_rate=rate, weight_decay=0.3)
    assert one_step(decayed, 2.0, [0.5]) == pytest.approx(2 - rate * (0.5 + 0.3 * 2))
    momentum = OptimizerParameters(name="sgd", learning_rate=rate, momentum=0.9)
    assert one_step(momentum, 2.0, [0.5, 0.5]) == pytest.approx(2 - rate * (0.5 + (0.9 * 0.5 + 0.5)))
    # Adam's first step has the length of the learning rate, whatever the gradient.
    adam = OptimizerParameters(name="adam", learning_rate=rate)
    assert one_step(adam, 2.0, [0.5]) == pytest.approx(2 - rate * 0.5 / (0.5 + eps))
    inside = OptimizerParameters(name="adam", learning_rate=rate, weight_decay=0.3)
    assert one_step(inside, 2.0, [-0.5]) == pytest.approx(2 - rate)  # 0.3 · 2 turns the gradient's sign
    apart = OptimizerParameters(name="adamw", learning_rate=rate, weight_decay=0.3)
    assert one_step(apart, 2.0, [-0.5]) == pytest.approx(2 * (1 - rate * 0.3) + rate)


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_optimizer_goes_on_from_tensors_alone(name: str) -> None:
    """As checkpoints keep it: the tensors of its state, in any layout; the rest is in the run file."""
    network = devices.place(cnn3.build(), torch.device("cpu"))
    optimizer = build(PARAMETERS[name], network)
    for seed in range(3):
        step(network, optimizer, seed)
    state: dict[int, dict[str, Tensor]] = {}
    for index, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            if value is not None:
                assert isinstance(value, Tensor)
                state.setdefault(index, {})[key] = value.clone(memory_format=torch.contiguous_format)
    other = devices.place(cnn3.build(), torch.device("cpu"))
    other.load_state_dict(network.state_dict())
    going_on = build(PARAMETERS[name], other)
    if state:
        going_on.load_state_dict({"state": state, "param_groups": going_on.state_dict()["param_groups"]})
    for seed in range(3, 6):
        step(network, optimizer, seed)
        step(other, going_on, seed)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def rates(schedule: ScheduleParameters, steps_per_epoch: int, epochs: int, highest: float = 1.0) -> list[float]:
    parameters = OptimizerParameters(learning_rate=highest)
    return [
        learning_rate(parameters, schedule, step, steps_per_epoch, epochs) for step in range(steps_per_epoch * epochs)
    ]


def test_a_constant_rate_is_constant() -> None:
    assert rates(ScheduleParameters(), 3, 2, highest=1e-3) == [1e-3] * 6


def test_a_warm_up_rises_in_equal_steps_from_the_first_to_the_highest() -> None:
    assert rates(ScheduleParameters(warmup_epochs=2), 2, 3) == [0.25, 0.5, 0.75, 1, 1, 1]
    assert rates(ScheduleParameters(warmup_epochs=0.5), 4, 1) == [0.5, 1, 1, 1]
    assert rates(ScheduleParameters(warmup_epochs=0.1), 4, 1) == [1, 1, 1, 1]  # less than a step


def test_a_cosine_goes_from_the_highest_to_the_final_rate() -> None:
    found = rates(ScheduleParameters(name="cosine", final_fraction=0.2), 5, 1)
    assert found == pytest.approx([1, 0.2 + 0.8 * (2 + math.sqrt(2)) / 4, 0.6, 0.2 + 0.8 * (2 - math.sqrt(2)) / 4, 0.2])
    assert rates(ScheduleParameters(name="cosine"), 5, 1)[-1] == 0
    assert rates(ScheduleParameters(name="cosine"), 1, 1) == [1]


def test_a_warm_up_comes_before_the_cosine() -> None:
    found = rates(ScheduleParameters(name="cosine", warmup_epochs=1), 4, 2)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1, *((1 + math.cos(math.pi * k / 4)) / 2 for k in (1, 2, 3, 4))])
    # 1.5 steps of warm-up: the highest rate would lie between two steps.
    found = rates(ScheduleParameters(name="cosine", warmup_epochs=0.5), 3, 1)
    assert found == pytest.approx([1 / 1.5, (1 + math.cos(math.pi / 3)) / 2, 0])


def test_schedules_are_pytorchs() -> None:
    warmup_steps, steps, highest, final_fraction = 12, 40, 3e-3, 0.1
    ours = rates(
        ScheduleParameters(name="cosine", warmup_epochs=3, final_fraction=final_fraction), 4, 10, highest=highest
    )
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=highest)
    rising = lr_scheduler.LinearLR(optimizer, 1 / warmup_steps, total_iters=warmup_steps - 1)
    falling = lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup_steps, eta_min=highest * final_fraction)
    both = lr_scheduler.SequentialLR(optimizer, [rising, falling], [warmup_steps - 1])
    theirs = []
    for _ in range(steps):
        theirs.append(both.get_last_lr()[0])
        optimizer.step()
        both.step()
    assert ours == pytest.approx(theirs, rel=1e-9)


@settings(deadline=None)
@given(
    st.sampled_from(["constant", "cosine"]), st.floats(0, 4.99), st.floats(0, 1), st.integers(1, 7), st.integers(5, 9)
)
def test_a_rate_rises_then_falls_and_ends_as_asked(
    name: str, warmup_epochs: float, final_fraction: float, steps_per_epoch: int, epochs: int
) -> None:
    final = final_fraction if name == "cosine" else 0
    schedule = ScheduleParameters.model_validate(
        {"name": name, "warmup_epochs": warmup_epochs, "final_fraction": final}
    )
    found = rates(schedule, steps_per_epoch, epochs)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert all(final * (1 - 1e-9) <= rate <= 1 for rate in found[peak:])
    assert 0 < found[0] <= 1
    assert found[-1] == (final if name == "cosine" else 1)
