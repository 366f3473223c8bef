"""A network as a way to denoise: its faults are told, and what it is given stays as it was."""

import pytest
import torch
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.models.denoiser import as_denoiser


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
    denoised = as_denoiser(Own("in place"), "mine:build", True, "scoring")(noisy)
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
        as_denoiser(Own(fault), "mine:build", True, "scoring")(torch.zeros(2, 1, 4, 4))
    assert str(caught.value).startswith(told)


def test_a_network_is_in_evaluation_mode() -> None:
    noisy = torch.rand(1, 1, 4, 4)
    assert torch.equal(as_denoiser(nn.Dropout(), "dropout", False, "scoring")(noisy), noisy)
