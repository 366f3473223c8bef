"""A DnCNN of twelve 3 × 3 convolutions of 32 channels: it predicts the noise, which is taken from the input.

93,089 parameters; an output pixel sees 25 × 25; edges are padded with zeros. Source: Zhang et al., arXiv:1608.03981,
whose networks have 17 or 20 layers of 64 channels with batch normalisation; here are biases instead, so that samples do
not depend on each other.
"""

from torch import Tensor, nn

from cryodenoise.models.initial import draw_he

_LAYERS, _CHANNELS = 12, 32


class DnCNN(nn.Module):
    """The input less the noise that convolutions with ReLU between find in it."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(1, _CHANNELS, 3, padding=1)]
        for _ in range(_LAYERS - 2):
            layers += [nn.ReLU(inplace=True), nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)]
        self.noise = nn.Sequential(*layers, nn.ReLU(inplace=True), nn.Conv2d(_CHANNELS, 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Denoise images of shape (n, 1, h, w)."""
        denoised: Tensor = images - self.noise(images)
        return denoised


def build() -> nn.Module:
    """The network, with He's initial weights."""
    network = DnCNN()
    draw_he(network, linear=[network.noise[-1]])
    return network
