"""A network as a way to denoise: its faults are told, and what it is given stays as it was."""

import pytest
import torch
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.evaluation.scored import finite, of_network


class Own(nn.Module):
    """Something that a user might write."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, noisy: torch.Tensor) -> object:
        match self.fault:
            case "in place":
                return noisy.clamp_(min=0.5)
            case "list":
                return [noisy]
            case "raises":
                raise ValueError("no such thing")
        return noisy[:, 0]


def test_what_works_in_place_leaves_the_noisy_images_alone() -> None:
    noisy = torch.linspace(0, 1, 32).view(2, 1, 4, 4)
    given = noisy.clone()
    denoised = of_network(Own("in place"), "mine:build", own=True)(noisy)
    assert torch.equal(noisy, given)
    assert torch.equal(denoised, given.clamp(min=0.5))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("list", "model: mine:build: found list in scoring, expected a tensor of shape (1, 1, 4, 4)"),
        ("no channel", "model: mine:build: found (1, 4, 4) in scoring, expected a tensor of shape (1, 1, 4, 4)"),
        ("raises", "model: mine:build failed in scoring in "),
    ],
)
def test_faults_are_told(fault: str, told: str) -> None:
    with pytest.raises(UserError) as caught:
        of_network(Own(fault), "mine:build", own=True)(torch.zeros(2, 1, 4, 4))
    assert str(caught.value).startswith(told)


def test_a_network_is_in_evaluation_mode() -> None:
    noisy = torch.rand(1, 1, 4, 4)
    assert torch.equal(of_network(nn.Dropout(), "dropout", own=False)(noisy), noisy)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    denoise = finite(lambda noisy: noisy.masked_fill(noisy > 1, value), "mine:build", "test patches")
    assert torch.equal(denoise(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))
    with pytest.raises(UserError, match="mine:build: it makes values of test patches that are not finite"):
        denoise(torch.full((1, 1, 2, 2), 2.0))
