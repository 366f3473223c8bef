"""What can be scored: a trained network, a classical filter, or images that another program made."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.report import Denoiser
from cryodenoise.errors import UserError
from cryodenoise.models.code_folder import faults_told

Images = Callable[[np.ndarray, torch.Tensor], torch.Tensor]
"""Indices in the test split, shape (n,), and their noisy images, (n, 1, h, w), to denoised ones of that shape."""


@dataclass(frozen=True)
class Scored:
    """A way to denoise the test split.

    Attributes:
        denoiser: What it is, for the report.
        images: Its images of the split.
        denoise: The same for any image; None where there are only those of the split.
        seed: Of a network's training; 0 for anything else.
        others: Networks of other seeds, by seed.
    """

    denoiser: Denoiser
    images: Images
    denoise: Denoise | None
    seed: int = 0
    others: dict[int, Denoise] = field(default_factory=dict)


def of_network(module: nn.Module, name: str, own: bool) -> Denoise:
    """A network in evaluation mode, as a way to denoise.

    Args:
        module: Laid out by `devices.place`.
        name: Its name, for messages.
        own: Whether its code is the user's, whose faults are told as such.
    """
    module.eval()

    def denoise(noisy: torch.Tensor) -> torch.Tensor:
        # The processor gains nothing by several images at a time, and they would take several times the memory.
        if noisy.device.type == "cpu" and len(noisy) > 1:
            return torch.cat([denoise(image) for image in torch.split(noisy, 1)])
        with faults_told(f"model: {name} failed in scoring") if own else nullcontext():
            denoised = module(noisy.clone() if own else noisy)  # the user's code may work in place
        if not isinstance(denoised, torch.Tensor) or denoised.shape != noisy.shape:  # what is broadcast scores wrongly
            found = tuple(denoised.shape) if isinstance(denoised, torch.Tensor) else type(denoised).__name__
            expected = tuple(noisy.shape)
            raise UserError(f"model: {name}: found {found} in scoring, expected a tensor of shape {expected}: mend it")
        return denoised

    return denoise


def finite(denoise: Denoise, name: str, what: str) -> Denoise:
    """A way to denoise that refuses images of which nothing could be reported.

    Args:
        denoise: Makes them.
        name: Its name, for messages.
        what: What it is given, for messages.
    """

    def checked(noisy: torch.Tensor) -> torch.Tensor:
        denoised = denoise(noisy)
        require_finite(denoised, name, what)
        return denoised

    return checked


def require_finite(images: torch.Tensor, name: str, what: str) -> None:
    """Raise a UserError that names what was denoised by what, if a value is NaN or infinite."""
    if not images.isfinite().all():
        raise UserError(f"{name}: it makes values of {what} that are not finite, so nothing is reported: mend it")
