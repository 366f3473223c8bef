"""Power spectra of images, averaged over rings of equal spatial frequency."""

import numpy as np

HIGHEST = 0.5
"""Nyquist's frequency, in cycles per pixel: rings beyond it would be cut by the corners of the transform."""


def radial_power_spectrum(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radial power spectrum of an image less its mean, under a Hann window.

    Normalised so that white noise of variance s² has the expectation s² at every frequency: |F|² over the sum of the
    squared window. Without the window, the jumps between opposite edges would add power that falls slowly.

    Args:
        image: Any real type, shape (h, w), at least 4 × 4.

    Returns:
        Frequencies in cycles per pixel and power, float64, both of shape (m,): means over rings around k/n with n the
        shorter side and k from 1 to n/2.
    """
    return radial(_periodogram(image))


def power_spectrum(image: np.ndarray, side_px: int) -> np.ndarray:
    """The power spectrum of an image, averaged over windows that overlap by half (Welch's method).

    Args:
        image: Any real type, shape (h, w), at least as large as a window.
        side_px: Side of the windows.

    Returns:
        Power as `radial_power_spectrum` normalises it, float64 of shape (side_px, side_px), frequency 0 first.
    """
    step = max(side_px // 2, 1)
    places = [
        (y, x)
        for y in range(0, image.shape[0] - side_px + 1, step)
        for x in range(0, image.shape[1] - side_px + 1, step)
    ]
    total = np.zeros((side_px, side_px))
    for y, x in places:
        total += _periodogram(image[y : y + side_px, x : x + side_px])
    return total / len(places)


def radial(power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and means of a power spectrum over rings, as `radial_power_spectrum` gives them."""
    frequency, ring = rings(*power.shape)
    count, sums, frequencies = (
        np.bincount(ring.ravel(), weights)[1 : highest_ring(*power.shape) + 1]
        for weights in (None, power.ravel(), frequency.ravel())
    )
    return frequencies / count, sums / count


def rings(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Of every coefficient of an image's transform, frequency 0 first: its frequency in cycles per pixel, and its ring.

    Ring k lies around k/n cycles per pixel, with n the shorter side; 0 holds the mean.
    """
    frequency = np.hypot(np.fft.fftfreq(height_px)[:, None], np.fft.fftfreq(width_px)[None, :])
    return frequency, np.rint(frequency * min(height_px, width_px)).astype(np.int64)


def highest_ring(height_px: int, width_px: int) -> int:
    """The last ring that the corners of the transform do not cut."""
    return int(HIGHEST * min(height_px, width_px))


def hann(side_px: int) -> np.ndarray:
    """Hann's window along one side, without the zeros at its ends, float64 of shape (side_px,)."""
    return np.hanning(side_px + 2)[1:-1]


def _periodogram(image: np.ndarray) -> np.ndarray:
    window = np.outer(*(hann(side) for side in image.shape))
    transform = np.fft.fft2((image - image.mean(dtype=np.float64)) * window)
    return np.asarray(np.abs(transform) ** 2 / np.square(window).sum())
