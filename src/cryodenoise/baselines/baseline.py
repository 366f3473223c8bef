"""What is known of a baseline: a denoiser of before networks, with few numbers to find."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]
"""Noisy images and their targets, floats of shape (n, 1, h, w) on the device that computes, all patches of one shape;
each call starts anew, and a batch is valid until the next is asked for."""
Denoise = Callable[[Tensor], Tensor]
"""Maps images of shape (n, 1, h, w), which ask for no gradient, to as many of the same type, each for itself."""


@dataclass(frozen=True)
class Known:
    """What a baseline may learn from.

    Attributes:
        training: Patches of the training split: all, or a fixed subset.
        validation: A fixed, small subset of the patches of the validation split.
        pixel_size_angstrom: Side of a pixel in Å; None where it is not known.
    """

    training: Batches
    validation: Batches
    pixel_size_angstrom: float | None


@dataclass(frozen=True)
class Fitted:
    """A baseline that has learnt what it had to.

    Attributes:
        denoise: The denoiser; float32 and float64 on any device.
        parameters: What was found, for the report; names with units.
    """

    denoise: Denoise
    parameters: dict[str, float]


@dataclass(frozen=True)
class Baseline:
    """A denoiser that a run file can name.

    Attributes:
        name: What run files have after `baseline/`.
        title: What tables call it.
        fit: Finds its parameters; None where it does not apply to the data.
        slow: Whether it takes seconds for an image of a million pixels: then it is scored on a fixed subset.
    """

    name: str
    title: str
    fit: Callable[[Known], Fitted | None]
    slow: bool = False
