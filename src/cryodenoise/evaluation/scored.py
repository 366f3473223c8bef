"""What can be scored: a network, trained here or published, a classical filter, or images that another program made."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.report import Denoiser
from cryodenoise.errors import UserError

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
