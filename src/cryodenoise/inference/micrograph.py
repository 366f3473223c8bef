"""One whole micrograph through a denoiser, and back to its own units."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cryodenoise.inference.model import Model
from cryodenoise.inference.suits import warnings
from cryodenoise.inference.tiling import denoise_image
from cryodenoise.signal.normalize import Scaling, find_scaling, normalize, scaled


@dataclass(frozen=True)
class Denoised:
    """A denoised image.

    Attributes:
        image: In the units of the input, float32, shape (h, w).
        scaling: Which intensities the model saw as 0 and 1.
        warnings: In what the input differs from those that the model was trained on.
    """

    image: np.ndarray
    scaling: Scaling
    warnings: list[str]


@dataclass(frozen=True)
class Denoiser:
    """A model where it computes, and how.

    Attributes:
        model: The model.
        device: Where it computes.
        tile_px: As `tiling.denoise_image` takes it.
        advance: Told of so many pixels that are done.
    """

    model: Model
    device: torch.device
    tile_px: int | None
    advance: Callable[[int], None]


def denoise(image: np.ndarray, denoiser: Denoiser, pixel_size_angstrom: float | None) -> Denoised:
    """Denoise a micrograph under one normalisation for the whole of it, the model's.

    Args:
        image: Finite intensities, float32, shape (h, w), C order; left as it is.
        denoiser: What denoises.
        pixel_size_angstrom: For the warnings; None where it is not known.

    Raises:
        InputError: If the image cannot be normalised, since all its pixels are equal, for one.
        UserError: If the model gives something else than an image.
    """
    model = denoiser.model
    normalised = np.empty_like(image)
    if model.clipped:
        normalised[...] = image
        scaling = normalize(normalised, model.normalization)
    else:
        scaling = find_scaling(image, model.normalization)
        scaled(image, scaling, out=normalised)
    told = warnings(model, normalised, pixel_size_angstrom)
    denoised = denoise_image(normalised, model, denoiser.device, denoiser.tile_px, denoiser.advance)
    return Denoised(_restored(denoised, scaling), scaling, told)


def _restored(normalised: np.ndarray, scaling: Scaling) -> np.ndarray:
    """In the units of the input: the inverse of the normalisation's affine part, in place."""
    normalised *= np.float32(scaling.scale)
    normalised += np.float32(scaling.offset)
    return normalised
