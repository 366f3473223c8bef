"""A U-Net of 1 → 32 → 64 → 128 → 256 channels with skip connections.

1,925,025 parameters; an output pixel sees up to 100 × 100; edges are padded with zeros; sides must be multiples of 8.
Each level has two 3 × 3 convolutions with ReLU; between levels the maximum of 2 × 2 pixels on the way down and a
transposed 2 × 2 convolution on the way up; a 1 × 1 convolution ends it. Source: Ronneberger et al., arXiv:1505.04597,
with half the channels, one level less, and padding where they crop.

nn.MaxPool2d is deterministic on a GPU too: its gradient is gathered per input pixel, without atomic sums, and it is not
among what torch.use_deterministic_algorithms forbids.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from cryodenoise.models.initial import draw_he

_CHANNELS = (32, 64, 128, 256)


class UNet(nn.Module):
    """Down to an eighth of the resolution and up again, each level joined to its counterpart."""

    def __init__(self) -> None:
        super().__init__()
        up = _CHANNELS[::-1]
        self.encoders = nn.ModuleList(_two_convolutions(*channels) for channels in pairwise((1, *_CHANNELS)))
        self.pool = nn.MaxPool2d(2)
        self.rises = nn.ModuleList(nn.ConvTranspose2d(*channels, 2, stride=2) for channels in pairwise(up))
        self.decoders = nn.ModuleList(_two_convolutions(*channels) for channels in pairwise(up))
        self.last = nn.Conv2d(_CHANNELS[0], 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Denoise images of shape (n, 1, h, w), h and w multiples of 8."""
        levels = [self.encoders[0](images)]
        for encoder in self.encoders[1:]:
            levels.append(encoder(self.pool(levels[-1])))
        features = levels.pop()
        for rise, decoder in zip(self.rises, self.decoders, strict=True):
            features = decoder(torch.cat((levels.pop(), rise(features)), dim=1))
        denoised: Tensor = self.last(features)
        return denoised


def build() -> nn.Module:
    """The network, with He's initial weights."""
    network = UNet()
    draw_he(network, linear=[*network.rises, network.last])
    return network


def _two_convolutions(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
