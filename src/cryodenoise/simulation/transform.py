"""Fourier transforms of large real images by a few threads, and work on bands of rows."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cryodenoise.environment import available_cores

_MOST_THREADS = 4  # the memory's bandwidth serves no more
_COLUMNS = 32  # of a block: few enough for a cache line's worth of rows to stay there


def in_bands(work: Callable[[slice], object], rows: int, height: int | None = None) -> None:
    """Call a function for bands that make up a range of rows, several at a time; it must leave Python's lock."""
    step = height or max(1, -(-rows // (4 * _MOST_THREADS)))
    with ThreadPoolExecutor(min(available_cores(), _MOST_THREADS)) as pool:
        for done in pool.map(work, (slice(first, min(first + step, rows)) for first in range(0, rows, step))):
            assert done is None


def forward(image: np.ndarray) -> np.ndarray:
    """numpy.fft.rfft2 of a float64 image, complex128 of shape (h, w // 2 + 1)."""
    spectrum = np.empty((image.shape[0], image.shape[1] // 2 + 1), np.complex128)

    def rows(band: slice) -> None:
        np.fft.rfft(image[band], axis=1, out=spectrum[band])

    def columns(band: slice) -> None:
        np.fft.fft(spectrum[:, band], axis=0, out=spectrum[:, band])

    in_bands(rows, image.shape[0])
    in_bands(columns, spectrum.shape[1], _COLUMNS)
    return spectrum


def inverse(spectrum: np.ndarray, width: int) -> np.ndarray:
    """numpy.fft.irfft2 to float64 images of a width; overwrites the spectrum."""
    image = np.empty((spectrum.shape[0], width))

    def columns(band: slice) -> None:
        np.fft.ifft(spectrum[:, band], axis=0, out=spectrum[:, band])

    def rows(band: slice) -> None:
        np.fft.irfft(spectrum[band], width, axis=1, out=image[band])

    in_bands(columns, spectrum.shape[1], _COLUMNS)
    in_bands(rows, spectrum.shape[0])
    return image


def frequencies(shape: tuple[int, int], spacing: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Vertical (h, 1) and horizontal (1, w // 2 + 1) frequencies of `forward`, in cycles per unit of the spacing."""
    return np.fft.fftfreq(shape[0], spacing)[:, None], np.fft.rfftfreq(shape[1], spacing)[None, :]


def good_length(least: int) -> int:
    """The smallest even number from `least` on with no prime factor above 5: a length that transforms quickly."""
    return next(length for length in _even_from(least) if _largest_rest(length) == 1)


def _even_from(least: int) -> Iterator[int]:
    length = least + least % 2
    while True:
        yield length
        length += 2


def _largest_rest(length: int) -> int:
    for prime in (2, 3, 5):
        while length % prime == 0:
            length //= prime
    return length
