"""The reference's network: three 3 × 3 convolutions, 1 → 16 → 16 → 1 channels, with ReLU between.

2,625 parameters; an output pixel sees 7 × 7; edges are padded with zeros. Source: the published result that this
project restates, github.com/frasertajima/cryo_em_denoising2.
"""

from torch import nn


def build() -> nn.Module:
    """The network, with weights drawn by PyTorch's default."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 1, 3, padding=1),
    )
