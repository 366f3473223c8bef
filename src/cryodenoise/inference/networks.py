"""A network as what denoises whole micrographs."""

import copy

import torch
from torch import nn

from cryodenoise import devices
from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.training_record import TrainedOn
from cryodenoise.inference.memory import bytes_per_px
from cryodenoise.inference.model import Model
from cryodenoise.inference.receptive_field import multiple_px, reach_px
from cryodenoise.models.code_folder import faults_told
from cryodenoise.models.denoiser import as_denoiser
from cryodenoise.models.network import Network

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def of_network(
    network: Network,
    module: nn.Module,
    name: str,
    digest: str,
    normalization: str,
    clipped: bool,
    trained_on: TrainedOn | None,
    precision: str,
    device: torch.device,
    own: bool,
) -> Model:
    """A trained network, with all that must be known of it; of one's own that is measured.

    Args:
        network: What is known of it before.
        module: With its weights, anywhere; it comes to the device, in evaluation mode.
        name: What messages and documents call it.
        digest: SHA-256 of its weights.
        normalization: Rule by which the intensities that it knows came to [0, 1].
        clipped: Whether intensities beyond were clipped there.
        trained_on: What it saw in training; None where nothing is known of it.
        precision: `fp32`, `bf16` or `fp16`, in which its convolutions compute; the result is float32.
        device: Where it computes.
        own: Whether its code is the user's, whose faults are told as such.

    Raises:
        UserError: If one of one's own fails, or takes no images of many sizes.
    """
    module = module.to("cpu").eval()
    measured = copy.deepcopy(module)  # code of one's own may keep what it computes
    if network.receptive_field_px is None:
        with faults_told(f"model: {name} failed while it was found how far it looks"):
            multiple = multiple_px(measured, name)
            reach = reach_px(measured, multiple)
    else:
        multiple = network.multiple_px
        reach = furthest_px(network.receptive_field_px, multiple)
    counted = bytes_per_px(measured, multiple)
    denoise = as_denoiser(devices.place(module, device), name, own, "denoising")
    return Model(
        name, digest, _in_precision(denoise, precision, device), normalization, clipped, multiple, reach, counted,
        trained_on,
    )  # fmt: skip


def furthest_px(receptive_field_px: int, multiple_px: int) -> int:
    """How far an output pixel sees at most, where the square that it sees lies around its cell of pooling.

    Args:
        receptive_field_px: Side of the square.
        multiple_px: Side of the cell, 1 without pooling: then the pixel lies in the middle.
    """
    return (receptive_field_px - 1 + multiple_px) // 2


def _in_precision(denoise: Denoise, precision: str, device: torch.device) -> Denoise:
    dtype = _AUTOCAST[precision]
    if dtype is None:
        return denoise

    def rounded(noisy: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, dtype):
            return denoise(noisy).float()

    return rounded
