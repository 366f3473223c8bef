"""Which of several readings of the same weights denoises: their errors on validation patches, beside references."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from cryodenoise.baselines.affine import AffineFit
from cryodenoise.baselines.baseline import Batches, Denoise

_SIGMAS = 3.0
_ROUNDING = 1e-6  # relative, of an error: far above float32's rounding, which averages out over pixels


@dataclass(frozen=True)
class OrdersScored:
    """What came of each reading.

    Attributes:
        samples: Patches that were scored.
        input_mse: Mean squared error of the patches as they are.
        affine_mse: Likewise after the affine map that is best for them.
        mse: Of each reading; infinite where it made values that are not finite.
        like_best: The reading with the lowest error, and those that the patches cannot tell from it, as given.
    """

    samples: int
    input_mse: float
    affine_mse: float
    mse: dict[str, float]
    like_best: list[str]

    @property
    def best(self) -> str:
        """The reading with the lowest error."""
        return min(self.mse, key=lambda name: self.mse[name])

    def beats_input(self, name: str) -> bool:
        """Whether a reading has a lower error than the noisy input."""
        return self.mse[name] < self.input_mse


@torch.no_grad()
def score(readings: Mapping[str, Denoise], patches: Batches) -> OrdersScored:
    """Score networks that differ by how their weights were read.

    Two readings cannot be told apart where the mean difference of their errors, over the quarters of all patches, is no
    more than 3 of its standard errors. So are a network and the one whose kernels are all transposed, if rows and
    columns of the images are alike: that one treats the transposed images as the former treats the images.

    Args:
        readings: Ways to denoise, by name.
        patches: Noisy images and their targets; the same each time.
    """
    fit = AffineFit()
    for noisy, targets in patches():
        fit.add(noisy, targets)
    affine = fit.solve()
    references: dict[str, list[float]] = {"input": [], "affine": []}
    errors: dict[str, list[float]] = {name: [] for name in readings}
    quarters: dict[str, list[float]] = {name: [] for name in readings}
    for noisy, targets in patches():
        for image, target in zip(torch.split(noisy, 1), torch.split(targets.double(), 1), strict=True):
            references["input"].append(_squares(image, target).mean().item())
            references["affine"].append(_squares(image.double() * affine.slope + affine.offset, target).mean().item())
            for name, denoise in readings.items():
                squares = _squares(denoise(image), target)
                errors[name].append(squares.mean().item())
                quarters[name] += [
                    part.mean().item() for half in squares.tensor_split(2, -1) for part in half.tensor_split(2, -2)
                ]
    mse = {name: _mean(values) for name, values in errors.items()}
    best = min(mse, key=lambda name: mse[name])
    alike = [name for name in mse if name == best or _alike(quarters[name], quarters[best])]
    return OrdersScored(
        samples=len(references["input"]),
        input_mse=_mean(references["input"]),
        affine_mse=_mean(references["affine"]),
        mse=mse,
        like_best=alike,
    )


def _squares(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (image.double() - target).square()


def _mean(values: list[float]) -> float:
    """The mean; infinite where a value is no number."""
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.inf


def _alike(errors: list[float], lowest: list[float]) -> bool:
    """Whether errors of the same places are no higher than others beyond chance."""
    higher = np.array(errors) - np.array(lowest)
    if not np.isfinite(higher).all():
        return False
    standard_error = float(higher.std(ddof=1)) / math.sqrt(len(higher))
    return bool(higher.mean() <= max(_SIGMAS * standard_error, _ROUNDING * float(np.mean(lowest))))
