"""U-Nets with skip connections: `unet` of 1 → 32 → 64 → 128 → 256 channels, and `unet8` of a quarter of them.

1,925,025 and 120,681 parameters; an output pixel sees up to 100 × 100; edges are padded with zeros; sides must be
multiples of 8. `unet8` takes a sixteenth of the operations: some 18 billion for an image of 1024 × 1024. Each level
has two 3 × 3 convolutions with ReLU; between levels the maximum of 2 × 2 pixels on the way down and a transposed 2 × 2
convolution on the way up; a 1 × 1 convolution ends it. Source: Ronneberger et al., arXiv:1505.04597, with fewer
channels, one level less, and padding where they crop.

nn.MaxPool2d is deterministic on a GPU too: its gradient is gathered per input pixel, without atomic sums, and it is not
among what torch.use_deterministic_algorithms forbids.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from cryodenoise.models.initial import draw_he

_LEVELS = 4


class UNet(nn.Module):
    """Down to an eighth of the resolution and up again, each level joined to its counterpart."""

    def __init__(self, first_channels: int) -> None:
        super().__init__()
        down = tuple(first_channels << level for level in range(_LEVELS))
        up = down[::-1]
        self.encoders = nn.ModuleList(_two_convolutions(*channels) for channels in pairwise((1, *down)))
        self.pool = nn.MaxPool2d(2)
        self.rises = nn.ModuleList(nn.ConvTranspose2d(*channels, 2, stride=2) for channels in pairwise(up))
        self.decoders = nn.ModuleList(_two_convolutions(*channels) for channels in pairwise(up))
        self.last = nn.Conv2d(first_channels, 1, 1)

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


def build(first_channels: int = 32) -> nn.Module:
    """The network, with He's initial weights.

    Args:
        first_channels: Channels at the full resolution; each of the other three levels has twice those above it.
    """
    network = UNet(first_channels)
    draw_he(network, linear=[*network.rises, network.last])
    return network


def _two_convolutions(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
