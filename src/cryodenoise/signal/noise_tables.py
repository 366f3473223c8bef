"""The tables by which random words become counts and normal numbers; `tools/noise_tables.py` makes them."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load

HIGHEST_RATE = 400
"""Electrons: integer rates 0 to this have a row."""
RATE_BITS = 10
FRACTIONS = 1 << RATE_BITS
"""Rates are rounded to this part of an electron; every fraction has a row."""
NORMAL_CELLS = 1 << 13
CELL_SHIFT = 31 - 13
"""The lower half of the words, cut into cells; the first of them, the tail, is cut again."""
TAIL_SHIFT = CELL_SHIFT - 13
NORMAL_BITS = 24
"""Normal numbers are in units of 2⁻²⁴."""
FIXED_BITS = 40
"""Sums are in units of 2⁻⁴⁰, and rounded once."""
RESULT_BITS = 24
"""A noisy value is a multiple of 2⁻²⁴, which float32 holds exactly."""
WIDTH_BITS = 32
"""The width of the read-out noise is a multiple of 2⁻³²."""

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3; SC11, doi:10.1145/2063384.2063405)."""

PATH = Path(__file__).with_suffix(".safetensors")
SHA256 = "3f6f6197edaebe5b607fb1a1880c030d5fa986667488f3ec4059e30c9e3748a3"


@dataclass(frozen=True)
class Rates:
    """Thresholds of Poisson's law at several rates, one row after the other.

    Attributes:
        skipped: Counts whose threshold is 0, for each rate; uint32.
        start: Where each row starts in `thresholds`, and where the last one ends; uint32.
        thresholds: P(X ≤ count) in units of 2⁻³², from the first that is not 0 to the last below 2³²; uint32.
    """

    skipped: np.ndarray
    start: np.ndarray
    thresholds: np.ndarray


@dataclass(frozen=True)
class Tables:
    """All tables.

    Attributes:
        integer: Rates 0 to HIGHEST_RATE.
        fraction: Rates 0 to 1 in steps of 1 / FRACTIONS.
        body: Normal quantiles at the edges of the cells, in units of 2⁻²⁴, int32 of shape (NORMAL_CELLS + 1,).
        tail: The same within the first cell.
    """

    integer: Rates
    fraction: Rates
    body: np.ndarray
    tail: np.ndarray


@cache
def tables() -> Tables:
    """Read the shipped tables.

    Raises:
        RuntimeError: If they are not those that were shipped.
    """
    content = PATH.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise RuntimeError(f"{PATH}: altered since it was installed: install cryodenoise again")
    arrays = load(content)
    integer, fraction = (
        Rates(*(arrays[f"{name}.{part}"] for part in ("skipped", "start", "thresholds")))
        for name in ("integer", "fraction")
    )
    return Tables(integer, fraction, arrays["normal.body"], arrays["normal.tail"])
