"""Filters of one image and one strength, as scikit-image has them: on the processor, seconds a million pixels."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from cryodenoise.baselines.baseline import Batches, Denoise
from cryodenoise.baselines.tuning import lowest

Filter = Callable[[np.ndarray, float], np.ndarray]
"""An image of shape (h, w), float32 or float64, and a strength in its units → the denoised, the same shape."""

_SIDE_PX, _PIXELS = 256, 1 << 18
"""Corners of patches, up to that size and of so many pixels in all, are enough to tune one parameter."""
_LEAST_DIFFERENCE = 1e-3


def filter_with(image_filter: Filter, strength: float) -> Denoise:
    """The filter of a strength as a map of tensors on any device."""

    def denoise(images: torch.Tensor) -> torch.Tensor:
        denoised = [image_filter(image, strength) for image in images[:, 0].cpu().numpy()]
        return torch.from_numpy(np.stack(denoised)[:, None]).to(images)

    return denoise


def tuned_strength(image_filter: Filter, validation: Batches) -> float:
    """The strength with the lowest error on corners of the first validation patches, from some eight tries.

    The grid is one of multiples, from 1/4 to 2, of the root mean squared difference of inputs and targets, which is the
    noise or not far from it; the strength is found to a fifth or so, where the error hardly depends on it any more.
    """
    few = list(_first(validation))
    difference = math.sqrt(_mean_squared_error(lambda image: image, few))
    unit = max(difference, _LEAST_DIFFERENCE)  # a strength of 0 is no strength to any of the filters

    def error(strength: float) -> float:
        return _mean_squared_error(lambda image: image_filter(image, strength), few)

    return lowest(error, unit / 4, 2 * unit, points=4, precision=0.4)


def _first(validation: Batches) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    pixels = 0
    for noisy, targets in validation():
        for image, target in zip(*(value[:, 0, :_SIDE_PX, :_SIDE_PX] for value in (noisy, targets)), strict=True):
            if pixels + image.numel() > _PIXELS:
                return
            pixels += image.numel()
            yield image.cpu().numpy().copy(), target.cpu().numpy().copy()  # a batch is valid until the next


def _mean_squared_error(
    denoise: Callable[[np.ndarray], np.ndarray], pairs: list[tuple[np.ndarray, np.ndarray]]
) -> float:
    squares = [np.square(denoise(image) - target, dtype=np.float64).mean() for image, target in pairs]
    return math.fsum(squares) / len(squares)
