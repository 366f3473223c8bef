"""What is known of a network."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


@dataclass(frozen=True)
class Network:
    """A network that a run file can name: it maps images (n, 1, h, w) to the same shape.

    Attributes:
        name: What run files, documents and messages call it.
        build: Makes a module with new weights, drawn from PyTorch's global generator.
        multiple_px: The sides of an image must be multiples of it.
        receptive_field_px: Side of the square of pixels that an output pixel depends on, the largest of all positions;
            None of a network of one's own.
    """

    name: str
    build: Callable[[], nn.Module]
    multiple_px: int = 1
    receptive_field_px: int | None = None


def has_batch_statistics(module: nn.Module) -> bool:
    """Whether a part of it normalises by the statistics of a batch, so that training depends on which samples meet."""
    return any(isinstance(part, _BatchNorm) for part in module.modules())


def has_random_layers(module: nn.Module) -> bool:
    """Whether a part of it draws random numbers in training: how many depends on the samples computed at a time."""
    return any(isinstance(part, _DropoutNd) and part.p > 0 for part in module.modules())


def parameter_count(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(value.numel() for value in module.parameters() if value.requires_grad)
