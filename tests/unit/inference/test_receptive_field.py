"""How far networks look, and which shifts they do not notice."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from cryodenoise.errors import UserError
from cryodenoise.inference.networks import furthest_px
from cryodenoise.inference.receptive_field import multiple_px, reach_px
from cryodenoise.models import MODELS


class Of(nn.Module):
    """A function as a network."""

    def __init__(self, *parts: object) -> None:
        super().__init__()
        self.parts = parts

    def forward(self, images: Tensor) -> Tensor:
        for part in self.parts:
            images = part(images)  # type: ignore[operator]
        return images


class Pooled(nn.Module):
    """Cells of 4 × 4, in two steps; sides that are no multiples are padded within, or taken from its own input."""

    def __init__(self, padded: bool) -> None:
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 3, padding=1)
        self.padded = padded

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if self.padded:
            images = functional.pad(images, (0, -width % 4, 0, -height % 4))
        cells = functional.max_pool2d(functional.max_pool2d(images, 2), 2)
        return functional.interpolate(self.inner(cells), scale_factor=4.0)[:, :, :height, :width]


class Attention(nn.Module):
    """Each pixel of an eighth of the resolution looks at all others."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 8, stride=8)
        self.up = nn.ConvTranspose2d(4, 1, 8, stride=8)

    def forward(self, images: Tensor) -> Tensor:
        cells = self.down(images)
        words = cells.flatten(2).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(words, words, words)
        up: Tensor = self.up(mixed.transpose(1, 2).reshape(cells.shape))
        return up


def convolution(side_px: int, dilation: int = 1) -> nn.Module:
    return nn.Conv2d(1, 1, side_px, padding=(side_px // 2) * dilation, dilation=dilation)


def with_columns(images: Tensor) -> Tensor:
    return images + torch.linspace(0, 1, images.shape[3])


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_declared_figures_are_those_that_are_measured(name: str) -> None:
    network = MODELS[name]
    module = network.build().eval()
    assert multiple_px(module, name) == network.multiple_px
    measured, stated = reach_px(module, network.multiple_px), network.receptive_field_px
    assert measured is not None
    assert stated is not None
    assert stated <= 2 * measured + 1
    assert measured <= furthest_px(stated, network.multiple_px)
    assert network.multiple_px > 1 or 2 * measured + 1 == stated


@pytest.mark.parametrize(
    ("module", "multiple", "reach"),
    [
        (nn.Identity(), 1, 0),
        (convolution(3), 1, 1),
        (nn.Sequential(convolution(5), nn.ReLU(), nn.BatchNorm2d(1), convolution(3)), 1, 3),
        (convolution(3, dilation=150), 1, 150),
        (nn.Conv2d(1, 1, (1, 9), padding=(0, 4)), 1, 4),
        (nn.Conv2d(1, 1, (9, 1), padding=(4, 0), padding_mode="reflect"), 1, 4),
        (Of(lambda images: functional.pad(images, (3, 0))[..., :-3]), 1, 3),
        (Pooled(padded=False), 4, 7),
        (Pooled(padded=True), 4, 7),
        (nn.Sequential(nn.AvgPool2d(64), nn.Upsample(scale_factor=64)), 64, 63),
    ],
)
def test_known_networks(module: nn.Module, multiple: int, reach: int) -> None:
    assert multiple_px(module.eval(), "mine") == multiple
    assert reach_px(module.eval(), multiple) == reach


@pytest.mark.parametrize(
    ("module", "multiple"),
    [
        (Of(lambda images: images - images.mean(dim=(2, 3), keepdim=True)), 1),
        (nn.Sequential(convolution(3), nn.InstanceNorm2d(1)), 1),
        (Attention(), 8),
        (nn.MaxPool2d((1, 1201), 1, (0, 600)), 1),
        (Of(with_columns), 1),
        (Of(lambda images: images - images.nan_to_num().mean()), 1),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), 1),
    ],
    ids=["mean", "instance norm", "attention", "far", "place", "NaN hidden", "around"],
)
def test_what_no_tile_can_give_has_no_reach(module: nn.Module, multiple: int) -> None:
    assert multiple_px(module.eval(), "mine") == multiple
    assert reach_px(module.eval(), multiple) is None


def test_images_of_one_size_alone_are_too_few() -> None:
    with pytest.raises(UserError, match=r"^model: mine: found a network that takes none of the sides tried"):
        multiple_px(Of(lambda images: images.view(1, 1, 256, 256)), "mine")
    with pytest.raises(UserError, match=r"^model: mine: "):
        multiple_px(Of(lambda images: images[:, :, 1:]), "mine")
