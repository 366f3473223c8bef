import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cryodenoise import devices
from cryodenoise.models.weights import read_tensors, write_tensors
from cryodenoise.training.averages import AveragedWeights


def with_statistics() -> nn.Sequential:
    """A network with running statistics and a counter; batches move all of them."""
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))


def train_a_step(network: nn.Module, step: int) -> None:
    """Move weights and buffers, by numbers that only the step tells."""
    network(torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(step)))
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.rand(weight.shape, generator=torch.Generator().manual_seed(1000 + step)) - 0.5)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_averages_are_those_of_the_formula() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averages = AveragedWeights(network, 0.25)
    expected = 0.0
    for step, decay in enumerate([1 / 10, 2 / 11, 3 / 12, 0.25, 0.25]):
        nn.init.constant_(network.weight, step + 1.0)
        averages.update(network, step)
        expected = decay * expected + (1 - decay) * (step + 1)
        assert averages.tensors()["weight"].item() == pytest.approx(expected, rel=1e-6)


def test_the_average_of_weights_that_stay_is_those_weights_bit_for_bit() -> None:
    network = with_statistics()
    averages = AveragedWeights(network, 0.999)
    for step in (0, 1, 7, 100, 10_000, 10_001):
        averages.update(network, step)
    assert same(averages.tensors(), state_of(network))


def test_buffers_are_copied() -> None:
    network = with_statistics()
    averages = AveragedWeights(network, 0.9)
    for step in range(5):
        train_a_step(network, step)
        averages.update(network, step)
    found, state = averages.tensors(), network.state_dict()
    buffers = dict(network.named_buffers())
    assert buffers["1.num_batches_tracked"].item() == 5
    assert all(torch.equal(found[name], state[name]) for name in buffers)
    assert not any(torch.equal(found[name], state[name]) for name, _ in network.named_parameters())
    assert {name: value.dtype for name, value in found.items()} == {name: value.dtype for name, value in state.items()}


def test_a_weight_with_two_names_has_one_average() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    network = nn.Sequential(first, second)
    averages = AveragedWeights(network, 0.9)
    for step in range(3):
        with torch.no_grad():
            first.weight.add_(1)
        averages.update(network, step)
    found = averages.tensors()
    assert torch.equal(found["0.weight"], found["1.weight"])
    assert not torch.equal(found["1.weight"], first.weight)


def test_saved_and_loaded_averages_go_on_bit_for_bit(tmp_path: Path) -> None:
    network = devices.place(with_statistics(), torch.device("cpu"))
    averages = AveragedWeights(network, 0.9)
    for step in range(20):
        train_a_step(network, step)
        averages.update(network, step)
    write_tensors(tmp_path / "a", averages.tensors(), {})
    other = AveragedWeights(devices.place(with_statistics(), torch.device("cpu")), 0.9)
    other.load(read_tensors(tmp_path / "a")[0])
    assert same(other.tensors(), averages.tensors())
    for step in range(20, 25):
        train_a_step(network, step)
        averages.update(network, step)
        other.update(network, step)
    assert same(other.tensors(), averages.tensors())


def test_what_was_given_out_does_not_change() -> None:
    network = with_statistics()
    averages = AveragedWeights(network, 0.9)
    before = averages.tensors()
    kept = copy.deepcopy(before)
    train_a_step(network, 0)
    averages.update(network, 0)
    assert same(before, kept)


def test_averages_lie_closer_to_the_optimum_than_noisy_steps() -> None:
    """What they are for: a weight that is pushed about its optimum by noise."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    averages = AveragedWeights(network, 0.99)
    generator = torch.Generator().manual_seed(0)
    last, averaged = [], []
    for step in range(2000):
        with torch.no_grad():
            network.weight -= 0.2 * (network.weight - 1 + torch.randn(1, 1, generator=generator))
        averages.update(network, step)
        if step >= 500:
            last.append((network.weight.item() - 1) ** 2)
            averaged.append((averages.tensors()["weight"].item() - 1) ** 2)
    assert sum(averaged) < sum(last) / 5
