"""Low-pass filters with a smooth edge: the cut-off tuned on validation patches, or at 20 Å, the field's habit."""

import math

import torch

from cryodenoise.baselines.baseline import Fitted, Known
from cryodenoise.baselines.fourier import FilterError, Transfer, filter_by
from cryodenoise.baselines.tuning import lowest

HALF_EDGE = 0.1
"""The edge falls from 0.9 to 1.1 times the cut-off: a sharper one would ring more."""
HABIT_ANGSTROM = 20.0


def transfer_of(cutoff_per_px: float) -> Transfer:
    """A raised cosine: 1 up to 0.9 times the cut-off, one half at the cut-off, 0 from 1.1 times the cut-off."""

    def transfer(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
        frequency = (rows.square() + columns.square()).sqrt()
        along_edge = ((frequency / cutoff_per_px - 1) / (2 * HALF_EDGE) + 0.5).clamp(0, 1)
        return 0.5 + 0.5 * torch.cos(math.pi * along_edge)

    return transfer


def fit(known: Known) -> Fitted:
    """The cut-off with the lowest error on the validation patches; one above 0.79 per pixel changes nothing."""
    error = FilterError()
    for noisy, targets in known.validation():
        error.add(noisy, targets)
    cutoff_per_px = lowest(lambda cutoff_per_px: error.of(transfer_of(cutoff_per_px)), 1 / 128, 1 / 2, points=13)
    return _fitted(cutoff_per_px, known.pixel_size_angstrom)


def fit_at_20_angstrom(known: Known) -> Fitted | None:
    """The cut-off that is habit; None without a pixel size, or where Nyquist's frequency is lower."""
    pixel_size_angstrom = known.pixel_size_angstrom
    if pixel_size_angstrom is None or 2 * pixel_size_angstrom > HABIT_ANGSTROM:
        return None
    return _fitted(pixel_size_angstrom / HABIT_ANGSTROM, pixel_size_angstrom)


def _fitted(cutoff_per_px: float, pixel_size_angstrom: float | None) -> Fitted:
    found = {"cutoff_per_px": cutoff_per_px}
    if pixel_size_angstrom is not None:
        found["cutoff_angstrom"] = pixel_size_angstrom / cutoff_per_px
    return Fitted(filter_by(transfer_of(cutoff_per_px)), found)
