"""Whether a micrograph is like those that a model was trained on, in sentences for people."""

import numpy as np

from cryodenoise.config.training_record import Extent, TrainedOn
from cryodenoise.inference.model import Model
from cryodenoise.signal.neighbours import neighbour_correlation
from cryodenoise.signal.normalize import spread

PIXEL_SIZE_FACTOR = 1.1
"""Calibrations of one microscope differ by less; beyond, particles and Thon rings are of another size in pixels."""
DOSE_FACTOR = 1.5
"""Changes the noise of the counts, relative to their mean, by 22 %."""
SPREAD_FACTOR = 1.5
"""Micrographs of one session differ by less, by ice and defocus; noise of 1.5 times the width is of another dose."""
CORRELATION_DIFFERENCE = 0.1
"""Binning, interpolation or another detector change it by more; ice and defocus, of one kind of images, by less."""


def warnings(model: Model, image_normalised: np.ndarray, pixel_size_angstrom: float | None) -> list[str]:
    """In what a micrograph differs from those that the model saw in training, and what that may mean.

    Args:
        model: What is to denoise it.
        image_normalised: What the model will see, float32, shape (h, w).
        pixel_size_angstrom: Pixel size of the micrograph, in Å; None where it is unknown.

    Returns:
        A sentence each, without a full stop; none where nothing was found.
    """
    found = [_clipping(model, image_normalised)] if model.clipped else []
    if model.trained_on is None:
        return [*found, f"nothing is recorded of what {model.name} was trained on, so whether it suits is not known"]
    seen = model.trained_on
    return [
        *found,
        *_pixel_size(seen, pixel_size_angstrom),
        *_spread(seen, spread(image_normalised)),
        *_correlation(seen, neighbour_correlation(image_normalised)),
    ]


def dose_warnings(model: Model, dose_e_per_a2: float | None) -> list[str]:
    """Whether the dose of a run's micrographs lies outside what the model saw in training.

    Args:
        model: What is to denoise them.
        dose_e_per_a2: Electrons per Å²; None where nothing is told.

    Returns:
        A sentence, as of `warnings`, or none.
    """
    seen, found = model.trained_on, dose_e_per_a2
    if seen is None or seen.dose_e_per_a2 is None or found is None or _within(found, seen.dose_e_per_a2, DOSE_FACTOR):
        return []
    less = found < seen.dose_e_per_a2[0]
    may = "leave noise in, or take it for structure" if less else "smooth away detail that this dose shows"
    return [f"the dose is {found:.4g} e/Å², in training it was {_told(seen.dose_e_per_a2)} e/Å²: the model may {may}"]


def _clipping(model: Model, image: np.ndarray) -> str:
    high, low = (f"{100 * int(np.count_nonzero(at_end)) / image.size:.3g} %" for at_end in (image >= 1, image <= 0))
    return (
        f"{model.name} was trained on intensities clipped to [0, 1], and {high} of the pixels lie at the upper end or "
        f"beyond, {low} at the lower: how far beyond is lost, so that what is very bright or dark loses contrast and "
        "means are shifted"
    )


def _pixel_size(seen: TrainedOn, found: float | None) -> list[str]:
    if seen.pixel_size_angstrom is None:
        return []
    told = f"in training it was {_told(seen.pixel_size_angstrom)} Å"
    if found is None:
        return [f"the pixel size is unknown, {told}: at another, particles are of sizes that the model does not know"]
    if _within(found, seen.pixel_size_angstrom, PIXEL_SIZE_FACTOR):
        return []
    return [
        f"the pixel size is {found:.4g} Å, {told}: particles are of other sizes in pixels than those that the model "
        "learned, and it may smooth detail away or leave noise in"
    ]


def _spread(seen: TrainedOn, found: float) -> list[str]:
    if _within(found, seen.standard_deviation, SPREAD_FACTOR):
        return []
    return [
        f"the standard deviation of the normalised pixels is {found:.4g}, in training it was "
        f"{_told(seen.standard_deviation)}: noise or contrast are of another strength than the model learned, and it "
        "may remove too little or too much"
    ]


def _correlation(seen: TrainedOn, found: float) -> list[str]:
    low, high = seen.neighbour_correlation
    if low - CORRELATION_DIFFERENCE <= found <= high + CORRELATION_DIFFERENCE:
        return []
    what = "smoother" if found > high else "rougher"
    may = "take it for structure and leave it in" if found > high else "smooth detail away"
    return [
        f"pixels next to each other correlate by {found:.3f}, in training by {_told(seen.neighbour_correlation)}: the "
        f"noise is {what} (binned, interpolated or of another detector), and the model may {may}"
    ]


def _within(value: float, extent: Extent, factor: float) -> bool:
    return extent[0] / factor <= value <= extent[1] * factor


def _told(extent: Extent) -> str:
    low, high = (f"{end:.4g}" for end in extent)
    return low if low == high else f"{low} to {high}"
