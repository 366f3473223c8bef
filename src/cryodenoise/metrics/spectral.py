"""How far images agree at each spatial frequency: Fourier ring correlation, spectral signal-to-noise ratio, power."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from cryodenoise.signal.spectrum import hann, highest_ring, rings

THRESHOLDS = (0.5, 0.143)
"""Where the field reads a resolution off a curve (Rosenthal & Henderson, J. Mol. Biol. 333, 721 (2003)): 0.143 between
independent halves is where their mean would correlate by 0.5 with the truth, √(2·0.143 / 1.143)."""


def spectra(images: torch.Tensor) -> torch.Tensor:
    """Fourier coefficients of images less their means, under the Hann window of `signal.spectrum`.

    Normalised so that white noise of variance s² has the expectation s² of |F|² at every frequency. The map is linear,
    the removal of the mean included: the spectrum of a difference is the difference of the spectra, so each image is
    transformed once for all the pairs that it is part of. A constant image has the spectrum 0, exactly.

    Args:
        images: Any real type, shape (n, 1, h, w), at least 4 × 4 pixels; any device.

    Returns:
        complex128 of shape (n, h, w // 2 + 1), frequency 0 first, as `torch.fft.rfft2` orders them.
    """
    first_pixel = images[:, :, :1, :1].double()  # less this, equal values are 0 and so is their mean
    values = (images - first_pixel)[:, 0]
    values -= values.mean(dim=(1, 2), keepdim=True)
    rows, columns = (_unit_window(side, images.device) for side in values.shape[1:])
    coefficients: torch.Tensor = torch.fft.rfft2(values.mul_(rows[:, None]).mul_(columns))
    return coefficients


def _unit_window(side_px: int, device: torch.device) -> torch.Tensor:
    window = hann(side_px)
    return torch.from_numpy(window / np.sqrt(np.square(window).sum())).to(device)


class ShellSums:
    """Sums over the rings of `signal.spectrum` for one kind of pair, such as denoised and noise-free images.

    All curves come from the sums over all patches, not from curves of single patches: each patch counts by its power.
    Memory is constant: four float64 values a ring, beside tables that the sums of one shape share.
    """

    def __init__(self, shape: tuple[int, int], device: torch.device) -> None:
        """Nothing summed yet.

        Args:
            shape: Height and width of the images, in pixels.
            device: Where their spectra lie.
        """
        self._shape = (shape[0], shape[1] // 2 + 1)
        self._rings = _rings_of(shape, device)
        self._sums = torch.zeros(4, len(self._rings.members), dtype=torch.float64, device=device)
        self._patches = 0

    def add(self, first: torch.Tensor, second: torch.Tensor) -> None:
        """Take in the spectra of a batch of pairs, as `spectra` gives them, each of shape (n, h, w // 2 + 1).

        Where one of the two is nearer the truth, it is the second.

        Raises:
            ValueError: If a shape is another.
        """
        if first.shape != second.shape or first.shape[1:] != self._shape:
            raise ValueError(f"spectra {(*first.shape,)} and {(*second.shape,)}, expected (n, {self._shape})")
        planes = torch.zeros(4, *self._shape, dtype=torch.float64, device=first.device)
        for one, other in zip(first, second, strict=True):  # patch by patch: what is in between stays small
            difference = one - other
            pairs = ((one, one), (other, other), (one, other), (difference, difference))
            for plane, (left, right) in zip(planes, pairs, strict=True):
                plane.addcmul_(left.real, right.real).addcmul_(left.imag, right.imag)
        self._sums += self._rings.sum(planes)
        self._patches += len(first)

    def frequencies_per_px(self) -> list[float]:
        """The mean frequency of each ring, in cycles per pixel."""
        return self._rings.frequencies

    def frc(self) -> list[float]:
        """Fourier ring correlation: Σ Re F₁·F₂* / √(Σ|F₁|² · Σ|F₂|²), in [−1, 1]; 0 where either has no power.

        Saxton & Baumeister, J. Microsc. 127, 127 (1982); van Heel, Ultramicroscopy 21, 95 (1987).
        """
        return [
            min(max(cross / (first**0.5 * second**0.5), -1.0), 1.0) if first > 0 and second > 0 else 0.0
            for first, second, cross, _ in self._sums.T.tolist()
        ]

    def ssnr(self) -> list[float | None]:
        """Spectral signal-to-noise ratio: power of the second, the truth, over that of the difference from it.

        None where there is no difference at all: JSON has no infinity.
        """
        return [second / difference if difference > 0 else None for _, second, _, difference in self._sums.T.tolist()]

    def power_of_first(self) -> list[float]:
        """Mean power of the first images on each ring, as `radial_power_spectrum` gives it; of one patch at least."""
        return self._power(0)

    def power_of_second(self) -> list[float]:
        """Mean power of the second images."""
        return self._power(1)

    def power_of_difference(self) -> list[float]:
        """Mean power of first less second."""
        return self._power(3)

    def _power(self, row: int) -> list[float]:
        means: list[float] = (self._sums[row] / self._rings.weights.sum(1) / self._patches).tolist()
        return means


def crossing(frequencies: Sequence[float], curve: Sequence[float], threshold: float) -> float | None:
    """The lowest frequency at which a curve falls below a threshold, interpolated linearly between rings.

    Args:
        frequencies: Of the rings, rising.
        curve: A value for each ring.
        threshold: Such as one of `THRESHOLDS`.

    Returns:
        In the unit of the frequencies. If the first ring is already below, its frequency, which is then an upper bound:
        nothing is known of lower ones. None if no ring is below.
    """
    for number, (frequency, value) in enumerate(zip(frequencies, curve, strict=True)):
        if value < threshold:
            if number == 0:
                return frequency
            before, above = frequencies[number - 1], curve[number - 1]
            return before + (frequency - before) * (above - threshold) / (above - value)
    return None


class _Rings(NamedTuple):
    """Which coefficients of half a spectrum make up each ring."""

    members: torch.Tensor
    """Places in the flattened half, int64 of shape (rings, members of the largest); unused ones name place 0."""
    weights: torch.Tensor
    """How often each counts: twice if the other half mirrors it, 0 if unused; float64 of the same shape."""
    frequencies: list[float]

    def sum(self, planes: torch.Tensor) -> torch.Tensor:
        """Sums over the rings, (k, h, w // 2 + 1) to (k, rings).

        Gathered and then added up, which every device does in a fixed order. To add by index a GPU would have to sort
        (`index_add_`) or could not repeat itself (`bincount` with weights).
        """
        return torch.stack([plane[self.members].mul_(self.weights).sum(1) for plane in planes.flatten(1)])


@lru_cache(maxsize=2)
def _rings_of(shape: tuple[int, int], device: torch.device) -> _Rings:
    height, width = shape
    frequency, ring = (values[:, : width // 2 + 1] for values in rings(height, width))
    mirrored = np.full(ring.shape, 2.0)
    mirrored[:, 0] = 1.0
    if width % 2 == 0:
        mirrored[:, -1] = 1.0
    order = np.argsort(ring, axis=None, kind="stable")
    counts = np.bincount(ring.ravel())
    used = slice(1, highest_ring(height, width) + 1)
    place = np.arange(counts[used].max())
    inside = place < counts[used, None]
    members = np.where(inside, order[np.where(inside, (np.cumsum(counts) - counts)[used, None] + place, 0)], 0)
    weights = np.where(inside, mirrored.ravel()[members], 0.0)
    frequencies = (frequency.ravel()[members] * weights).sum(1) / weights.sum(1)
    return _Rings(torch.from_numpy(members).to(device), torch.from_numpy(weights).to(device), frequencies.tolist())
