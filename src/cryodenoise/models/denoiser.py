"""A network as a way to denoise, whose faults are told."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.models.code_folder import faults_told


def as_denoiser(module: nn.Module, name: str, own: bool, work: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """A network in evaluation mode, as a way to denoise.

    Args:
        module: Laid out by `devices.place`.
        name: Its name, for messages.
        own: Whether its code is the user's, whose faults are told as such.
        work: What it is used for, for messages, such as `scoring`.
    """
    module.eval()

    def denoise(noisy: torch.Tensor) -> torch.Tensor:
        # The processor gains nothing by several images at a time, and they would take several times the memory.
        if noisy.device.type == "cpu" and len(noisy) > 1:
            return torch.cat([denoise(image) for image in torch.split(noisy, 1)])
        with faults_told(f"model: {name} failed in {work}") if own else nullcontext():
            denoised = module(noisy.clone() if own else noisy)  # the user's code may work in place
        if not isinstance(denoised, torch.Tensor) or denoised.shape != noisy.shape:  # what is broadcast scores wrongly
            found = tuple(denoised.shape) if isinstance(denoised, torch.Tensor) else type(denoised).__name__
            expected = tuple(noisy.shape)
            raise UserError(f"model: {name}: found {found} in {work}, expected a tensor of shape {expected}: mend it")
        return denoised

    return denoise
