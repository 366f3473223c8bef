"""The network of the EMDenoise benchmark: an encoder and decoder of 8-16-32-64 channels with batch normalisation.

122,737 parameters; an output pixel sees up to 100 × 100; edges are padded with zeros; sides must be multiples of 8.
Each level has twice a 3 × 3 convolution, ReLU and batch normalisation; between levels the maximum of 2 × 2 pixels on
the way down and pixels repeated 2 × 2 on the way up, joined with the level's counterpart; a 3 × 3 convolution ends it.

Source: the Keras model in emdenoise/main.py of github.com/mlcommons/mlcube_examples, the same as in
stfc-sciml/sciml-benchmarks-prerelease, with Keras' initial weights and epsilon of 0.001. It deviates in one thing: the
running statistics follow at PyTorch's rate of 0.1 a batch, as in the PyTorch version of stfc-sciml/sciml-bench, not at
Keras' 0.01, which leaves them behind in runs of few steps. (That version interpolates bilinearly on the way up; this
one does not.)

Its training depends on which samples share a micro-batch, so `micro_batch_size` must be set. Its first output is far
from an image: the benchmark trains it by Adam at a learning rate of 0.01, and at 0.001 it takes long.
"""

import torch
from torch import Tensor, nn

from cryodenoise.models.initial import draw_glorot

_CHANNELS = (8, 16, 32, 64)


class EMDenoise(nn.Module):
    """Down to an eighth of the resolution and up again, each level joined to its counterpart."""

    def __init__(self) -> None:
        super().__init__()
        above = (1, *_CHANNELS[:-1])
        self.encoders = nn.ModuleList(_block(*channels) for channels in zip(above, _CHANNELS, strict=True))
        self.pool = nn.MaxPool2d(2)
        self.rise = nn.Upsample(scale_factor=2, mode="nearest")
        self.decoders = nn.ModuleList(_block(3 * channels, channels) for channels in _CHANNELS[-2::-1])
        self.last = nn.Conv2d(_CHANNELS[0], 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Denoise images of shape (n, 1, h, w), h and w multiples of 8."""
        levels = [self.encoders[0](images)]
        for encoder in self.encoders[1:]:
            levels.append(encoder(self.pool(levels[-1])))
        features = levels.pop()
        for decoder in self.decoders:
            features = decoder(torch.cat((self.rise(features), levels.pop()), dim=1))
        denoised: Tensor = self.last(features)
        return denoised


def build() -> nn.Module:
    """The network, with Keras' initial weights."""
    network = EMDenoise()
    draw_glorot(network)
    return network


def _block(inputs: int, outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]
    return nn.Sequential(*layers)
