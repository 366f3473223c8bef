"""Topaz-Denoise: networks that others trained and published, with the weights of the package topaz-em.

Bepler, Kelley, Noble, Berger, Nature Communications 11, 5208 (2020), DOI 10.1038/s41467-020-18952-1: Noise2Noise on the
even and odd frames of micrographs. topaz-em is under the GPL, so it is an extra, imported only when a run file or a
command names one of these networks. It does not find its own weights where pip puts them; here they are taken from the
installed distribution, and read without running code.
"""

import hashlib
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import nn

from cryodenoise.errors import UserError, require_known

PREFIX = "topaz/"
"""What stands before the names of `NETWORKS` where a model is named."""
REMARK = (
    "It was trained by others (Topaz-Denoise: Bepler et al. 2020, Nat. Commun. 11:5208, DOI "
    "10.1038/s41467-020-18952-1) on halves of recorded micrographs; whether those of this test split are among them "
    "was not checked. It normalises a micrograph to the mean 0 and the variance 1: here a patch takes its place. It "
    "predicts up to an affine map, so it is scored as it is and with the best one."
)
_DISTRIBUTION, _VERSION = "topaz-em", "0.3.20"
_FOLDER = "topaz/pretrained/denoise"


@dataclass(frozen=True)
class Published:
    """A network of Topaz-Denoise.

    Attributes:
        file: Name of its weights in the distribution.
        sha256: Their SHA-256.
        architecture: Class in topaz.denoising.models.
        arguments: What that class is called with for these weights.
        smallest_px: Least side of an image: of a smaller one pooling leaves nothing, or a pixel has no deviation.
    """

    file: str
    sha256: str
    architecture: str
    arguments: dict[str, int]
    smallest_px: int


NETWORKS = {
    "unet": Published(
        "unet_L2_v0.2.2.sav", "02709ad0bfe382f221b7ed9d4f9c14981689c2e0222e004036f925a002819c3e",
        "UDenoiseNet", {"base_width": 11, "top_width": 5}, 32,
    ),
    "unet-small": Published(
        "unet_small_L1_v0.2.2.sav", "bae9b9f81de2d115cc3d6b41854de2e23178962487a8d2c9e6744cc2348ce352",
        "UDenoiseNetSmall", {"width": 11, "top_width": 5}, 8,
    ),
    "fcnn": Published(
        "fcnn_L1_v0.2.2.sav", "f95402e81e00b44f5f0569511929e24495b7939eee94120d2ffb0cc3844f87d3",
        "DenoiseNet2", {"base_filters": 64, "width": 11}, 2,
    ),
}  # fmt: skip
"""The networks that topaz-em offers for micrographs by these names, as topaz.denoising.models.load_model makes them."""


class Normalised(nn.Module):
    """A network that sees each image with the mean 0 and the variance 1, and gives back both, as topaz.denoise does."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Denoise images of shape (n, 1, h, w); one without variation, of which Topaz makes NaN, comes divided by 1."""
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        deviation = images.std(dim=(1, 2, 3), keepdim=True)
        deviation = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        denoised: torch.Tensor = self.network((images - mean) / deviation)
        return denoised * deviation + mean


def load(name: str, place: str) -> Normalised:
    """A network with its weights, on the processor, in evaluation mode.

    Args:
        name: A name of `NETWORKS` with `PREFIX` before it.
        place: Start of messages, such as `run/test.yaml: model`.

    Raises:
        UserError: If there is none of the name, or topaz-em is not installed, or another version.
    """
    published = find(name, place)
    remedy = "run `pip install --no-deps -r requirements-topaz.txt`"
    try:
        installed = distribution(_DISTRIBUTION)
        models = import_module("topaz.denoising.models")
    except (PackageNotFoundError, ImportError, AttributeError, RuntimeError, OSError) as error:
        raise UserError(
            f"{place}: {name} needs the package {_DISTRIBUTION}, which cannot be imported ({error}): {remedy} (it is "
            "under the GPL, so it is no part of this program, and the container image does not have it)"
        ) from error
    listed = {str(path): path for path in installed.files or ()}
    path = listed.get(f"{_FOLDER}/{published.file}")
    weights = Path(str(installed.locate_file(path))) if path else Path()
    content = weights.read_bytes() if weights.is_file() else b""
    if hashlib.sha256(content).hexdigest() != published.sha256:
        raise UserError(
            f"{place}: {name}: {_DISTRIBUTION} {installed.version} has no file {published.file} as version {_VERSION} "
            f"has it: {remedy}"
        )
    network: nn.Module = getattr(models, published.architecture)(**published.arguments)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Normalised(network).eval()


def find(name: str, place: str) -> Published:
    """What is known of a network before it is loaded.

    Raises:
        UserError: If there is none of the name.
    """
    require_known(place, name, [f"{PREFIX}{each}" for each in NETWORKS])
    return NETWORKS[name.removeprefix(PREFIX)]


def require_takes(name: str, shape: tuple[int, int], place: str) -> None:
    """Refuse images that are too small for a network.

    Args:
        name: As `load` takes it.
        shape: Rows and columns of an image.
        place: Start of the message.

    Raises:
        UserError: If a side is too short.
    """
    smallest_px = find(name, place).smallest_px
    if min(shape) < smallest_px:
        raise UserError(
            f"{place}: {name} takes images of {smallest_px} × {smallest_px} pixels or more, found "
            f"{shape[0]} × {shape[1]}: give larger ones, or another model"
        )
