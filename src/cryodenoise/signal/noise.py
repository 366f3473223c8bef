"""Noise as an exact function: integer arithmetic from a key, a position and a clean value to a noisy one.

docs/FORMATS.md specifies every step. Nothing rounds but where it says so, so every processor gives the same bits;
`signal.noise_torch` gives them in PyTorch, on any device.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from cryodenoise import seeds
from cryodenoise.signal import noise_kernel
from cryodenoise.signal.noise_tables import FIXED_BITS, HIGHEST_RATE, WIDTH_BITS


@dataclass(frozen=True)
class Model:
    """What a noise model adds: shot noise, read-out noise, both or nothing."""

    shot: bool
    readout: bool


MODELS = {
    "poisson_gaussian": Model(shot=True, readout=True),
    "poisson": Model(shot=True, readout=False),
    "gaussian": Model(shot=False, readout=True),
    "none": Model(shot=False, readout=False),
}


class Key(NamedTuple):
    """What the noise of a patch depends on beside its clean values: four 32-bit words."""

    key_0: int
    key_1: int
    counter_2: int
    counter_3: int


def key_of(seed: int, pixel_digest: str, y: int, x: int) -> Key:
    """The key of the patch that starts at pixel (y, x) of the micrograph with this digest of pixels."""
    return key_for(seed, "noise", pixel_digest, y, x)


def key_for(seed: int, *purpose: str | int) -> Key:
    """The key for one purpose: the words of its seed, the lowest first."""
    bits = seeds.derive(seed, *purpose)
    return Key(*(bits >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)))


class Strength(NamedTuple):
    """The parameters of the noise as integers."""

    electrons_at_one: int
    electron: int
    """Intensity of one electron, in units of 2⁻⁴⁰, rounded half up."""
    width: int
    """Standard deviation of the read-out noise, in units of 2⁻³², rounded half to even."""


def strength(electrons_at_one: int, sigma: float) -> Strength:
    """The parameters of a run file as integers.

    Raises:
        ValueError: If `electrons_at_one` is not in 1 … 400, or `sigma` not in [0, 1].
    """
    if not 1 <= electrons_at_one <= HIGHEST_RATE or not 0 <= sigma <= 1:
        raise ValueError(f"electrons_at_one {electrons_at_one} or sigma {sigma} out of range")
    electron = ((1 << FIXED_BITS) + electrons_at_one // 2) // electrons_at_one
    return Strength(electrons_at_one, electron, round(sigma * 2**WIDTH_BITS))


def add_noise(
    clean: np.ndarray, model: str, electrons_at_one: int, sigma: float, key: Key, out: np.ndarray | None = None
) -> np.ndarray:
    """The noisy form of a clean patch, clipped to [0, 1]: Poisson(n · clean) / n + Normal(0, sigma), or a part of it.

    Args:
        clean: Noise-free intensities in [0, 1], float32, shape (h, w) with fewer than 2³² pixels.
        model: A name of `MODELS`.
        electrons_at_one: n, electrons counted where the intensity is 1, at most 400.
        sigma: Standard deviation of the read-out noise, in units of intensity, at most 1.
        key: Of the patch; equal keys give equal noise.
        out: Where to put the result: float32, C order, of the same shape.

    Returns:
        float32 in [0, 1], of the same shape: `out` where it is given.

    Raises:
        ValueError: If `clean` holds a value outside [0, 1] or not finite, or a parameter is out of its range.
    """
    noisy = np.empty(clean.shape, np.float32) if out is None else out
    kind, integers = MODELS[model], strength(electrons_at_one, sigma)
    if not kind.shot and not kind.readout:
        np.copyto(noisy, clean)
        return noisy
    _require_vectors()
    if not _add(clean, noisy, kind, integers, key):
        raise ValueError("clean holds a value that is outside [0, 1] or not finite, or a negative zero")
    return noisy


def count(rates: np.ndarray, key: Key, frame: int = 0, first: int = 0, out: np.ndarray | None = None) -> np.ndarray:
    """Poisson numbers: the counts of the noise model, of rates that are integers already.

    Args:
        rates: Expectations in units of 1/1024, integers, of any shape, C order.
        key: Equal keys give equal numbers.
        frame: Which of the key's random numbers to take; also below 2³².
        first: Number of the first pixel: parts of an image give what the whole gives.
        out: Where to put the result: an integer type, C order, of the same shape.

    Returns:
        int64 of the same shape: `out` where it is given.

    Raises:
        ValueError: If a rate is negative or above HIGHEST_RATE.
    """
    counts = np.empty(rates.shape, np.int64) if out is None else out
    _require_vectors()
    words, tables = np.array(key, np.uint32), noise_kernel.prepared_tables()
    if not noise_kernel.count(rates.reshape(-1), counts.reshape(-1), first, frame, words, tables):
        raise ValueError(f"a rate is negative or above {HIGHEST_RATE}")
    return counts


def _add(clean: np.ndarray, noisy: np.ndarray, kind: Model, integers: Strength, key: Key) -> bool:
    words, tables = np.array(key, np.uint32), noise_kernel.prepared_tables()
    return bool(noise_kernel.add(clean, noisy, kind.shot, kind.readout, integers, words, tables))


VECTOR_CLEAN = np.array([[0, 2.0**-20, 0.25, 0.5], [0.75, 0.9, 1, 1 / 3]], np.float32)
VECTOR_KEY = Key(0xB0BBE92E, 0xB4AC3E8A, 0xEA1CC1F6, 0x96BE0C6E)
VECTORS = {
    "poisson_gaussian": [469449, 415213, 6667703, 6726437, 14796058, 14113671, 16777216, 5387021],
    "poisson": [0, 0, 5536481, 7046431, 13589545, 15267267, 16777216, 5200937],
    "gaussian": [469449, 415229, 5325526, 8068615, 13789425, 13945898, 16777216, 5778489],
}
"""The noisy values of docs/FORMATS.md, times 2²⁴, for 100 electrons at one and a read-out noise of 0.05."""


@cache
def _require_vectors() -> None:
    """Hold the compiled code against the specification once a process: a stale or wrong compilation must not pass.

    Raises:
        RuntimeError: If it does something else.
    """
    for model, expected in VECTORS.items():
        noisy = np.empty_like(VECTOR_CLEAN)
        _add(VECTOR_CLEAN, noisy, MODELS[model], strength(100, 0.05), VECTOR_KEY)
        if (noisy.astype(np.float64) * 2**24).ravel().tolist() != expected:
            raise RuntimeError(
                f"the compiled noise {model!r} is not what docs/FORMATS.md specifies: remove the folders __pycache__ "
                "beside the installed program and numba's in ~/.cache, and report it if that does not help"
            )
