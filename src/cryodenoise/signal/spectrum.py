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
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in image.shape))
    transform = np.fft.fft2((image - image.mean(dtype=np.float64)) * window)
    power = np.abs(transform) ** 2 / np.square(window).sum()
    shorter = min(image.shape)
    frequency = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None, :])
    ring = np.rint(frequency * shorter).astype(np.int64).ravel()
    count, sums, frequencies = (
        np.bincount(ring, weights)[1 : int(HIGHEST * shorter) + 1]
        for weights in (None, power.ravel(), frequency.ravel())
    )
    return frequencies / count, sums / count
