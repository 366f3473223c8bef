"""What a micro-batch takes, counted by hand and by the program."""

import copy

import pytest
import torch
from torch import Tensor, nn

from cryodenoise.models import cnn3
from cryodenoise.training.footprint import Work, counted_bytes

CHANNELS, SHAPE = 8, (20, 12)


def of_sums(denoised: Tensor, _: Tensor) -> Tensor:
    """Keeps nothing for its gradient."""
    return denoised.sum(dim=(1, 2, 3))


def mean_squares(denoised: Tensor, targets: Tensor) -> Tensor:
    return (denoised.float() - targets).square().mean(dim=(1, 2, 3))


def chain(middle: int) -> nn.Module:
    """Convolutions without anything between."""
    return nn.Sequential(
        nn.Conv2d(1, CHANNELS, 3, padding=1),
        *(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(middle)),
        nn.Conv2d(CHANNELS, 1, 3, padding=1),
    )


class LooksAtValues(nn.Module):
    """Cannot be followed without being computed."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = chain(1)

    def forward(self, images: Tensor) -> Tensor:
        assert images.sum().item() == 0
        denoised: Tensor = self.convolutions(images)
        return denoised


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("middle", [0, 1, 4])
def test_a_chain_of_convolutions_takes_what_is_counted_by_hand(middle: int, samples: int) -> None:
    network = chain(middle)
    weights = 4 * sum(value.numel() for value in network.parameters())
    image = 4 * samples * SHAPE[0] * SHAPE[1]
    # Weights, gradients, two moments; inputs and targets; each convolution's input; in the backward pass the gradients
    # of one convolution's input, in whose place another input has gone, and of its weights.
    inner = 4 * max(value.numel() for value in network[1:].parameters() if value.ndim == 4)  # type: ignore[index]
    bias = 4 * (CHANNELS if middle else 1)
    expected = 4 * weights + 2 * image + (2 + middle) * CHANNELS * image + inner + bias
    found = counted_bytes(Work(network, of_sums, SHAPE, "fp32"), samples)
    assert expected <= found <= expected + 64  # a few scalars


def test_a_network_that_looks_at_values_is_computed_and_counts_the_same() -> None:
    torch.manual_seed(0)
    network = LooksAtValues()
    counted = counted_bytes(Work(network, of_sums, SHAPE, "fp32"), 2)
    assert counted == pytest.approx(counted_bytes(Work(network.convolutions, of_sums, SHAPE, "fp32"), 2), abs=64)


@pytest.mark.parametrize("network", [chain(2), LooksAtValues()], ids=["followed", "computed"])
def test_counting_stops_where_it_is_told(network: nn.Module) -> None:
    work = Work(network, of_sums, SHAPE, "fp32")
    needed = counted_bytes(work, 3)
    assert counted_bytes(work, 3, needed) == needed
    with pytest.raises(torch.OutOfMemoryError):
        counted_bytes(work, 3, needed - 1)


def test_bytes_are_linear_in_samples_and_pixels() -> None:
    network = cnn3.build()
    one, two, three = (counted_bytes(Work(network, mean_squares, (64, 64), "fp32"), samples) for samples in (1, 2, 3))
    assert three - two == pytest.approx(two - one, rel=1e-3)
    wide = counted_bytes(Work(network, mean_squares, (64, 192), "fp32"), 1)
    assert wide == pytest.approx(three, rel=1e-3)


def test_half_precision_takes_less() -> None:
    network = chain(4)
    single, half = (counted_bytes(Work(network, mean_squares, (64, 64), name), 2) for name in ("fp32", "bf16"))
    assert half < 0.7 * single


def test_nothing_changes() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.BatchNorm2d(1), nn.Dropout())
            self.computed = False

        def forward(self, images: Tensor) -> Tensor:
            self.computed = self.computed or images.abs().max().item() >= 0
            denoised: Tensor = self.parts(images)
            return denoised

    torch.manual_seed(3)
    network = Draws()
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    counted_bytes(Work(network, mean_squares, SHAPE, "fp32"), 2)
    assert network.computed
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())


def test_a_network_that_is_wrong_says_so_itself() -> None:
    with pytest.raises(RuntimeError, match="channels"):
        counted_bytes(Work(nn.Conv2d(2, 1, 3), of_sums, SHAPE, "fp32"), 1)
