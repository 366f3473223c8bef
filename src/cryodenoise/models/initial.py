"""Initial weights, drawn from PyTorch's global generator layer by layer."""

import math
from collections.abc import Collection

from torch import nn


def draw_he(network: nn.Module, linear: Collection[nn.Module]) -> None:
    """Draw normal weights that keep the mean square of what passes (He et al., arXiv:1502.01852); biases are zero.

    Args:
        network: Of convolutions, also transposed ones whose stride is their kernel's side.
        linear: Layers without a ReLU after them: variance 1 / terms of a sum instead of 2 / terms.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1
            variance = (1 if layer in linear else 2) / (layer.in_channels * taps)
            nn.init.normal_(layer.weight, std=math.sqrt(variance))
            _zero_bias(layer)


def draw_glorot(network: nn.Module) -> None:
    """Draw uniform weights of variance 2 / (inputs + outputs) (Glorot and Bengio, AISTATS 2010); biases are zero."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            _zero_bias(layer)


def _zero_bias(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
