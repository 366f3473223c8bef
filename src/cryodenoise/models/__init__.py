"""Networks: name → network; one maps images (n, 1, h, w) to the same shape."""

import copy
from functools import partial
from pathlib import Path

import torch

from cryodenoise.config.training import Model
from cryodenoise.errors import UserError, require_known
from cryodenoise.models import cnn3, dncnn12, emdenoise, unet
from cryodenoise.models.code_folder import code_digest, faults_told, require_folder
from cryodenoise.models.network import Network, has_batch_statistics, has_random_layers, parameter_count
from cryodenoise.models.own import import_network

__all__ = [
    "MODELS", "Network", "choose", "code_digest", "has_batch_statistics", "has_random_layers", "name_of",
    "parameter_count", "require_takes",
]  # fmt: skip

MODELS: dict[str, Network] = {
    network.name: network
    for network in (
        Network("cnn3", cnn3.build, receptive_field_px=7),
        Network("dncnn12", dncnn12.build, receptive_field_px=25),
        Network("emdenoise", emdenoise.build, multiple_px=8, receptive_field_px=100),
        Network("unet", unet.build, multiple_px=8, receptive_field_px=100),
        Network("unet8", partial(unet.build, 8), multiple_px=8, receptive_field_px=100),
    )
}
"""The networks that a run file can name; each file tells what its network is."""


def choose(model: Model, code_dir: Path | None, place: str) -> Network:
    """The network that a run file or a document names.

    Args:
        model: Its name, or where one of one's own is.
        code_dir: Folder of the code of networks of one's own; None without one.
        place: Start of messages, such as `run/train.yaml: model`.

    Raises:
        UserError: If there is no network of the name, or one's own cannot be built.
    """
    require_folder(code_dir)
    if isinstance(model, str):
        require_known(place, model, MODELS)
        return MODELS[model]
    return import_network(model, code_dir, place)


def name_of(model: Model) -> str:
    """The name of a network that need not be at hand."""
    return model if isinstance(model, str) else model.import_


def require_takes(network: Network, sample_shape: tuple[int, int], place: str) -> None:
    """Refuse a network that does not map images of a shape to images of that shape.

    One of one's own gets to denoise a sample on the processor; PyTorch's random numbers go on as if it had not.

    Args:
        network: The network.
        sample_shape: Rows and columns of an image.
        place: Start of messages, such as `run/train.yaml: model`.

    Raises:
        UserError: If the sides are no multiples of what the network needs, or one's own fails or gives something else.
    """
    rows_px, columns_px = sample_shape
    multiple_px = network.multiple_px
    if rows_px % multiple_px or columns_px % multiple_px:
        near = {side_px // multiple_px * multiple_px + more for side_px in sample_shape for more in (0, multiple_px)}
        raise UserError(
            f"{place}: patches of {rows_px} × {columns_px} are no multiples of {multiple_px}, as {network.name} needs: "
            f"set patches.size_px to {' or '.join(map(str, sorted(near)))} in the run file of preprocess"
        )
    if network.receptive_field_px is None:
        _try(network, sample_shape, place)


@torch.no_grad()
def _try(network: Network, sample_shape: tuple[int, int], place: str) -> None:
    rows_px, columns_px = sample_shape
    # No constant image, since a network may divide by its standard deviation.
    sample = torch.linspace(0, 1, rows_px * columns_px).view(1, 1, rows_px, columns_px)
    place = f"{place}: {network.name}, given a float32 sample of shape {tuple(sample.shape)},"
    with torch.random.fork_rng(devices=[]), faults_told(f"{place} failed"):
        module = copy.deepcopy(network.build()).eval()  # as averaged weights need it
        denoised = module(sample)
        again = module(sample)
    if not isinstance(denoised, torch.Tensor):
        raise UserError(f"{place} gave {type(denoised).__name__}, expected a tensor: mend that code")
    if denoised.shape != sample.shape or not denoised.is_floating_point():
        found = f"{denoised.dtype} of shape {tuple(denoised.shape)}"
        raise UserError(f"{place} gave {found}, expected floats of that shape: mend that code")
    if not denoised.isfinite().all():
        raise UserError(f"{place} gave values that are not finite: mend that code")
    if not torch.equal(denoised, again):
        raise UserError(f"{place} gave two results for it in evaluation, expected one: mend that code")
