"""What two independent halves of an exposure tell of a denoiser, without any truth.

The error is estimated by Noise2Noise, as `metrics.halves` says, from every pixel and in both directions: so a dose that
is not quite equal cancels. It counts against a denoiser whatever it invents. The Fourier ring correlation of the
denoised halves does not: what is put into both alike makes them agree.
"""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from cryodenoise.config.denoising import HalvesFound
from cryodenoise.errors import InputError
from cryodenoise.metrics.accumulate import gain_db
from cryodenoise.metrics.halves import HalvesSums
from cryodenoise.metrics.spectral import THRESHOLDS, ShellSums, crossing, spectra
from cryodenoise.signal.expectation import require_one_dose

LARGEST_TILE_PX = 256
"""Side of the tiles of the correlation: 127 rings, so that the curves of a thousand micrographs are no burden."""
_BAND_PIXELS = 1 << 20


def tile_side(shapes: Iterable[tuple[int, int]]) -> int:
    """Side in pixels of the square tiles that lie whole within micrographs of all these shapes, (h, w) in pixels.

    One side for all, so that their curves have the same frequencies.
    """
    return min(LARGEST_TILE_PX, *(side for shape in shapes for side in shape))


def require_halves(even: np.ndarray, odd: np.ndarray) -> None:
    """Refuse what cannot be two halves of one exposure.

    Args:
        even: One half as it was read, float32, shape (h, w).
        odd: The other, likewise.

    Raises:
        InputError: If they have other shapes, the same pixels, or other doses or units. The message tells of `odd`.
    """
    if odd.shape != even.shape:
        raise InputError(
            "the odd half has {} × {} pixels, the even one {} × {}: give halves of one micrograph".format(
                *odd.shape, *even.shape
            )
        )
    if np.array_equal(even, odd):
        raise InputError(
            "the odd half has the very pixels of the even one: give sums of different frames, whose noise is "
            "independent"
        )
    require_one_dose(even, odd)


def figures(
    even: np.ndarray,
    odd: np.ndarray,
    denoised_even: np.ndarray,
    denoised_odd: np.ndarray,
    tile_px: int,
    device: torch.device,
) -> HalvesFound:
    """What the halves of one micrograph tell.

    The error comes from all pixels, each counted once. The correlations come from square tiles under Hann windows that
    cover the micrograph, spread evenly, and overlap where its sides are no multiples of theirs.

    Args:
        even: One half, normalised, float32, shape (h, w), of any size: it is looked at part by part.
        odd: The other, under the same map of intensities, that of the even one.
        denoised_even: What the model made of the first, under that map, too.
        denoised_odd: What it made of the second, likewise.
        tile_px: Side of the tiles, at least 4: of `tile_side`.
        device: Where to compute.

    Raises:
        ValueError: If shapes differ or a tile does not fit.
    """
    images = even, odd, denoised_even, denoised_odd
    if len({image.shape for image in images}) != 1 or not 4 <= tile_px <= min(even.shape):
        raise ValueError(f"shapes {[image.shape for image in images]}, tiles of {tile_px}")
    errors, pixels = HalvesSums(), []
    rows = max(1, _BAND_PIXELS // even.shape[1])
    for top in range(0, len(even), rows):
        a, b, of_a, of_b = _parts(images, np.s_[top : top + rows], device)
        errors.add(of_a, a, b)
        errors.add(of_b, b, a)
        pixels += [a.numel()] * 2
    noisy, denoised = (ShellSums((tile_px, tile_px), device) for _ in range(2))
    for tile in _tiles(even.shape, tile_px):
        a, b, of_a, of_b = (spectra(part) for part in _parts(images, tile, device))
        noisy.add(a, b)
        denoised.add(of_a, of_b)
    return _found(
        _mean(errors.noise_powers(), pixels),
        _mean(errors.errors(), pixels),
        noisy.frequencies_per_px(), noisy.frc(), denoised.frc(),
    )  # fmt: skip


def together(found: Sequence[HalvesFound], pixels: Sequence[int]) -> HalvesFound:
    """What the halves of several micrographs tell, from what those of each do.

    All figures are means over the micrographs, weighted by their pixels, the curves ring by ring; gain and crossings
    follow from the means.

    Args:
        found: Of each micrograph, at least one, all from tiles of one side.
        pixels: How many each has.

    Raises:
        ValueError: If the curves have other frequencies.
    """
    frequencies = found[0].frequency_per_px
    if any(each.frequency_per_px != frequencies for each in found):
        raise ValueError("curves from tiles of different sides")
    noisy, denoised = (
        [_mean(values, pixels) for values in zip(*curves, strict=True)]
        for curves in ([each.frc_noisy for each in found], [each.frc_denoised for each in found])
    )
    noise_power, mse = (
        _mean(values, pixels) for values in ([each.noise_power for each in found], [each.mse for each in found])
    )
    return _found(noise_power, mse, frequencies, noisy, denoised)


def lines(found: HalvesFound | None, pixel_size_angstrom: float | None) -> list[str]:
    """What to tell people of it: nothing where there are no halves.

    Args:
        found: Figures of one micrograph or of several.
        pixel_size_angstrom: Their pixel size, in Å; None where they have none, or not the same.
    """
    if found is None:
        return []
    if found.gain_db is not None:
        gain = f"a gain of {found.gain_db:+.2f} dB"
    else:
        gain = "no gain can be told: the error is too small for these halves to show"
    places = {name: _place(value, pixel_size_angstrom) for name, value in found.frc_below_0_143_per_px.items()}
    return [
        f"halves: mean squared error {found.noise_power:.4g} as they are, {found.mse:.4g} denoised, estimated without "
        f"bias from the other half: {gain}",
        f"halves: their correlation in Fourier rings falls below {THRESHOLDS[1]} {places['noisy']} as they are, "
        f"{places['denoised']} denoised, where it also counts what was done to both alike",
    ]


def _place(frequency_per_px: float | None, pixel_size_angstrom: float | None) -> str:
    if frequency_per_px is None:
        return "nowhere"
    length = f" ({pixel_size_angstrom / frequency_per_px:.3g} Å)" if pixel_size_angstrom else ""
    return f"at {frequency_per_px:.4f} cycles per pixel{length}"


def _found(
    noise_power: float, mse: float, frequencies: list[float], frc_noisy: list[float], frc_denoised: list[float]
) -> HalvesFound:
    return HalvesFound(
        noise_power=noise_power,
        mse=mse,
        gain_db=gain_db(mse, noise_power),
        frc_below_0_143_per_px={
            "noisy": crossing(frequencies, frc_noisy, THRESHOLDS[1]),
            "denoised": crossing(frequencies, frc_denoised, THRESHOLDS[1]),
        },
        frequency_per_px=frequencies,
        frc_noisy=frc_noisy,
        frc_denoised=frc_denoised,
    )


def _mean(values: Sequence[float], weights: Sequence[int]) -> float:
    return math.fsum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights)


def _parts(
    images: Sequence[np.ndarray], part: slice | tuple[slice, slice], device: torch.device
) -> Iterator[torch.Tensor]:
    """The same part of each image, of shape (1, 1, rows, columns)."""
    return (torch.from_numpy(np.ascontiguousarray(image[part])).to(device)[None, None] for image in images)


def _tiles(shape: tuple[int, ...], side: int) -> Iterator[tuple[slice, slice]]:
    """Squares within a shape that cover it, with as few along each side as that takes."""
    ends = [np.linspace(0, length - side, -(-length // side)).round().astype(int).tolist() for length in shape]
    for y in ends[0]:
        for x in ends[1]:
            yield np.s_[y : y + side, x : x + side]
