"""Filters that multiply an image's Fourier transform, without the jumps where opposite edges would meet.

An image is mirrored beyond each edge, the edge's pixels twice (d c b a | a b c d | d c b a), to twice its height and
width: so it is periodic, and what a filter reaches beyond an edge is always the mirror image, however far it reaches.
"""

from collections.abc import Callable
from functools import lru_cache

import torch

from cryodenoise.baselines.baseline import Denoise

Transfer = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""The factor at frequencies along rows and columns, in cycles per pixel, float64 of shapes (m, 1) and (1, k): real, of
shape (m, k), and the same for a frequency of either sign."""


def filter_by(transfer: Transfer) -> Denoise:
    """The filter of a transfer function; transforms are of the float type of the images."""

    @lru_cache(maxsize=1)
    def factors(height_px: int, width_px: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return transfer(*_frequencies(height_px, width_px, device)).to(dtype)

    def denoise(images: torch.Tensor) -> torch.Tensor:
        height_px, width_px = images.shape[-2:]
        by = factors(height_px, width_px, images.dtype, images.device)
        shape_px = (2 * height_px, 2 * width_px)
        # One at a time: a mirrored image takes four times the memory, and its transform as much.
        filtered = [
            torch.fft.irfft2(_transform(image) * by, shape_px)[:, :height_px, :width_px].clone() for image in images
        ]
        return torch.stack(filtered)

    return denoise


class FilterError:
    """The mean squared error that any filter of `filter_by` leaves on patches of one shape, from one pass over them.

    By Parseval's theorem: a mirrored image holds each pixel four times, and so does a filtered one. Sums of power and
    cross power in float64, a value a frequency.
    """

    def __init__(self) -> None:
        self._power = self._cross = torch.zeros(())
        self._target_square = 0.0
        self._patches = 0
        self._shape_px = (0, 0)

    def add(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch, each of shape (n, 1, h, w)."""
        self._shape_px = (inputs.shape[-2], inputs.shape[-1])
        for image, target in zip(inputs.double(), targets.double(), strict=True):
            of_image, of_target = _transform(image)[0], _transform(target)[0]
            self._power = self._power.to(image) + of_image.abs().square()
            self._cross = self._cross.to(image) + (of_image * of_target.conj()).real
            self._target_square += target.square().mean().item()
            self._patches += 1

    def of(self, transfer: Transfer) -> float:
        """Mean squared error, over all pixels so far, of what the filter makes of the inputs."""
        height_px, width_px = self._shape_px
        factors = transfer(*_frequencies(height_px, width_px, self._power.device))
        error = factors * (factors * self._power - 2 * self._cross)
        both_signs = 2 * error.sum() - error[:, 0].sum() - error[:, -1].sum()  # 0 and Nyquist's are there once
        pixels = 4 * height_px * width_px
        return (both_signs.item() / pixels**2 + self._target_square) / self._patches


def _transform(image: torch.Tensor) -> torch.Tensor:
    """The transform of a mirrored image: (1, h, w) → (1, 2·h, w + 1)."""
    wide = torch.cat((image, image.flip(-1)), -1)
    of_mirrored: torch.Tensor = torch.fft.rfft2(torch.cat((wide, wide.flip(-2)), -2))
    return of_mirrored


def _frequencies(height_px: int, width_px: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.fft.fftfreq(2 * height_px, dtype=torch.float64, device=device)
    columns = torch.fft.rfftfreq(2 * width_px, dtype=torch.float64, device=device)
    return rows[:, None], columns[None, :]
