"""Networks as what denoises whole micrographs."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cryodenoise.config.training_record import TrainedOn
from cryodenoise.errors import UserError
from cryodenoise.inference.model import Model
from cryodenoise.inference.networks import of_network
from cryodenoise.inference.tiling import denoise_image
from cryodenoise.models import MODELS, Network

CPU = torch.device("cpu")
TRAINED_ON = TrainedOn(
    normalization="p1_p99", clipped=False, pairs="added_noise", micrographs=3, pixel_size_angstrom=None,
    dose_e_per_a2=None, standard_deviation=(0.1, 0.2), neighbour_correlation=(0.0, 0.1),
)  # fmt: skip


class Own(nn.Module):
    """A convolution, and what else a user may do."""

    def __init__(self, fails_above_px: int = 1 << 20, whole: bool = False) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 5, padding=2)
        self.fails_above_px, self.whole = fails_above_px, whole

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2] > self.fails_above_px:
            raise ValueError("too large")
        images.clamp_(max=0.9)
        denoised: Tensor = self.convolution(images)
        return denoised - denoised.mean(dim=(2, 3), keepdim=True) if self.whole else denoised


def model_of(module: nn.Module, network: Network, precision: str = "fp32", own: bool = False) -> Model:
    seen = TRAINED_ON
    return of_network(network, module, "mine", "0" * 64, seen.normalization, seen.clipped, seen, precision, CPU, own)


def test_a_shipped_network_comes_with_what_is_declared() -> None:
    model = model_of(MODELS["unet"].build(), MODELS["unet"])
    assert (model.name, model.digest, model.trained_on) == ("mine", "0" * 64, TRAINED_ON)
    assert (model.normalization, model.clipped) == ("p1_p99", False)
    assert (model.multiple_px, model.reach_px, model.bytes_per_px) == (8, 53, 580.0)


@pytest.mark.parametrize(("whole", "reach"), [(False, 2), (True, None)])
def test_a_network_of_ones_own_is_measured(whole: bool, reach: int | None) -> None:
    module = Own(whole=whole)
    model = model_of(module, Network("mine:build", lambda: module), own=True)
    assert (model.multiple_px, model.reach_px) == (1, reach)
    images = torch.rand(1, 1, 20, 30)
    given = images.clone()
    denoised = model.denoise(images)
    assert torch.equal(images, given)
    assert torch.allclose(denoised, module(given.clone()), atol=1e-6)


def test_faults_of_ones_own_code_are_told() -> None:
    module = Own(fails_above_px=200)
    with pytest.raises(UserError, match=r"^model: mine failed while it was found how far it looks in .*: too large: "):
        model_of(module, Network("mine:build", lambda: module), own=True)
    module = Own(fails_above_px=2000)
    model = model_of(module, Network("mine:build", lambda: module), own=True)
    with pytest.raises(UserError, match=r"^model: mine failed in denoising in .*: ValueError: too large: mend that"):
        denoise_image(np.zeros((2001, 4), np.float32), model, CPU, None, lambda _: None)


@pytest.mark.parametrize(("precision", "difference"), [("fp32", 1e-6), ("bf16", 3e-2)])
def test_the_result_is_float32_in_every_precision(precision: str, difference: float) -> None:
    torch.manual_seed(0)
    module = MODELS["cnn3"].build()
    images = torch.rand(1, 1, 32, 32)
    with torch.inference_mode():
        expected = module(images)
        found = model_of(module, MODELS["cnn3"], precision).denoise(images)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < difference * expected.abs().max()


def test_a_network_is_in_evaluation_mode() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Dropout()).train()
    model = model_of(module, Network("mine:build", lambda: module), own=True)
    images = torch.rand(1, 1, 4, 4)
    assert torch.equal(model.denoise(images), model.denoise(images))
