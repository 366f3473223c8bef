"""Networks: name → builder; a network maps (n, 1, h, w) to the same shape."""

from collections.abc import Callable

from torch import nn

from cryodenoise.models import cnn3

MODELS: dict[str, Callable[[], nn.Module]] = {"cnn3": cnn3.build}
