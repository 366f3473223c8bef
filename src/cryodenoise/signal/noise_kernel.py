"""The noise in compiled integer arithmetic: `signal.noise` is the way in, docs/FORMATS.md the specification.

Works in blocks of pixels, so that random words and sums stay in the first-level cache and the steps without a search
become vector instructions.
"""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import int64, njit, uint32, uint64

from cryodenoise.signal.compiled import KEEP
from cryodenoise.signal.noise_tables import (
    CELL_SHIFT,
    FIXED_BITS,
    FRACTIONS,
    HIGHEST_RATE,
    MULTIPLIERS,
    NORMAL_BITS,
    RATE_BITS,
    RESULT_BITS,
    ROUNDS,
    TAIL_SHIFT,
    WEYL,
    WIDTH_BITS,
    Rates,
    tables,
)

if TYPE_CHECKING:
    from cryodenoise.signal.noise import Strength

_BLOCK = 512
_GUIDE_BITS = 8
_PADDING = 4  # words after a row that the search may look at
_MULTIPLIER_0, _MULTIPLIER_1 = (uint64(multiplier) for multiplier in MULTIPLIERS)
_WEYL_0, _WEYL_1 = (uint64(step) for step in WEYL)
_LOW = uint64(0xFFFFFFFF)
_ONE = np.float32(1).view(np.uint32)
_TO_FIXED = NORMAL_BITS + WIDTH_BITS - FIXED_BITS
_TO_RESULT = FIXED_BITS - RESULT_BITS
_UNIT = np.float32(2.0**-RESULT_BITS)


class _Rates(NamedTuple):
    """Thresholds as the search wants them: less one, and each row followed by words that no draw exceeds."""

    first: np.ndarray  # where in `below` the search begins, for each rate and leading bits of a draw
    offset: np.ndarray  # count at a place in `below`, less that place, for each rate
    below: np.ndarray


class _Tables(NamedTuple):
    integer: _Rates
    fraction: _Rates
    body: np.ndarray
    tail: np.ndarray


@cache
def prepared_tables() -> _Tables:
    """The shipped tables as the kernel wants them."""
    shipped = tables()
    return _Tables(
        _prepared(shipped.integer, _GUIDE_BITS),
        _prepared(shipped.fraction, 0),
        shipped.body.astype(np.int64),
        shipped.tail.astype(np.int64),
    )


def _prepared(rates: Rates, guide_bits: int) -> _Rates:
    leading = (np.arange(1 << guide_bits, dtype=np.uint64) << np.uint64(32 - guide_bits)).astype(np.uint32)
    first, offset, below, place = [], [], [], 0
    for rate, skipped in enumerate(rates.skipped):
        row = rates.thresholds[rates.start[rate] : rates.start[rate + 1]]
        first.append(place + np.searchsorted(row, leading, side="right"))
        offset.append(int(skipped) - place)
        below += [row - np.uint32(1), np.full(_PADDING, 0xFFFFFFFF, np.uint32)]
        place += len(row) + _PADDING
    return _Rates(np.concatenate(first).astype(np.uint32), np.array(offset, np.int64), np.concatenate(below))


@njit(cache=KEEP, nogil=True)
def add(
    clean: np.ndarray, noisy: np.ndarray, shot: bool, readout: bool, strength: "Strength", key: np.ndarray,
    tables: _Tables,
) -> bool:  # fmt: skip
    """Fill `noisy` under four key words; both float32 of shape (h, w). False if a clean value is not in [0, 1]."""
    words = np.empty((3, _BLOCK), np.uint32)
    sums = np.empty(_BLOCK, np.int64)
    height, columns = clean.shape
    for row in range(height):
        for left in range(0, columns, _BLOCK):
            right = min(left + _BLOCK, columns)
            bits = clean[row, left:right].view(np.uint32)
            for i in range(right - left):
                if bits[i] > _ONE:  # greater, negative, infinite and no numbers have greater bits
                    return False
            if shot or readout:
                _random_words(row * columns + left, 0, right - left, key, words)
            if shot:
                for i in range(right - left):
                    sums[i] = _scaled(bits[i], strength.electrons_at_one, RATE_BITS)
                _counts(right - left, words, tables.integer, tables.fraction, sums)
                for i in range(right - left):
                    sums[i] *= strength.electron
            else:
                for i in range(right - left):
                    sums[i] = _scaled(bits[i], 1, FIXED_BITS)
            if readout:
                _add_readout(right - left, strength.width, words, tables.body, tables.tail, sums)
            for i in range(right - left):
                rounded = (sums[i] + (1 << (_TO_RESULT - 1))) >> _TO_RESULT
                noisy[row, left + i] = np.float32(min(max(rounded, 0), 1 << RESULT_BITS)) * _UNIT
    return True


@njit(cache=KEEP, nogil=True)
def count(rates: np.ndarray, counts: np.ndarray, first: int, frame: int, key: np.ndarray, tables: _Tables) -> bool:
    """Fill `counts` with Poisson numbers of rates in units of 1/1024, both of shape (n,), under four key words.

    False if a rate is negative or too high for the tables.
    """
    words = np.empty((3, _BLOCK), np.uint32)
    sums = np.empty(_BLOCK, np.int64)
    for left in range(0, len(rates), _BLOCK):
        size = min(_BLOCK, len(rates) - left)
        for i in range(size):
            sums[i] = rates[left + i]
            if not 0 <= sums[i] <= HIGHEST_RATE << RATE_BITS:
                return False
        _random_words(first + left, frame, size, key, words)
        _counts(size, words, tables.integer, tables.fraction, sums)
        for i in range(size):
            counts[left + i] = sums[i]
    return True


@njit(cache=KEEP, nogil=True)
def _random_words(first: int, frame: int, count: int, key: np.ndarray, words: np.ndarray) -> None:
    """Three of the words of Philox4x32-10 at the counters (first + i, frame, key[2], key[3]) under (key[0], key[1])."""
    for i in range(count):
        x0, x1, x2, x3 = uint64(first + i), uint64(frame), uint64(key[2]), uint64(key[3])
        k0, k1 = uint64(key[0]), uint64(key[1])
        for _ in range(ROUNDS):
            p0, p1 = x0 * _MULTIPLIER_0, x2 * _MULTIPLIER_1
            x0, x1, x2, x3 = (p1 >> uint64(32)) ^ x1 ^ k0, p1 & _LOW, (p0 >> uint64(32)) ^ x3 ^ k1, p0 & _LOW
            k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
        words[0, i], words[1, i], words[2, i] = x0, x1, x2


@njit(cache=KEEP, nogil=True)
def _scaled(bits: np.uint32, factor: int, fraction_bits: int) -> np.int64:
    """A float32 in [0, 1], given by its bits, times factor · 2^fraction_bits, rounded half up; factor below 2⁹."""
    exponent = int64(bits >> uint32(23))
    mantissa = int64(bits & uint32(0x7FFFFF)) | (0x800000 if exponent else 0)
    shift = 150 - fraction_bits - (exponent or 1)  # the value is mantissa · 2^(exponent − 150)
    if shift <= 0:
        return (mantissa * factor) << -shift
    shift = min(shift, 62)
    return (mantissa * factor + (1 << (shift - 1))) >> shift


@njit(cache=KEEP, nogil=True)
def _counts(count: int, words: np.ndarray, integer: _Rates, fraction: _Rates, sums: np.ndarray) -> None:
    """Turn rates in units of 1/1024 into electrons counted: draws at integer part and fraction, by inversion."""
    for i in range(count):
        rate, draw = uint64(sums[i] >> RATE_BITS), words[0, i]
        place = uint64(integer.first[rate << uint64(_GUIDE_BITS) | uint64(draw >> uint32(32 - _GUIDE_BITS))])
        place += uint64(draw > integer.below[place])  # mostly the only step, and without a branch
        while draw > integer.below[place]:
            place += uint64(1)
        electrons = int64(place) + integer.offset[rate]
        part, draw = uint64(sums[i] & (FRACTIONS - 1)), words[1, i]
        place = uint64(fraction.first[part])
        place += (
            uint64(draw > fraction.below[place])
            + uint64(draw > fraction.below[place + uint64(1)])
            + uint64(draw > fraction.below[place + uint64(2)])
            + uint64(draw > fraction.below[place + uint64(3)])
        )
        while draw > fraction.below[place]:
            place += uint64(1)
        sums[i] = electrons + int64(place) + fraction.offset[part]


@njit(cache=KEEP, nogil=True)
def _add_readout(
    count: int, width: int, words: np.ndarray, body: np.ndarray, tail: np.ndarray, sums: np.ndarray
) -> None:
    """Add normal numbers of a width: quantiles of the lower half of the words, and the same mirrored."""
    for i in range(count):
        upper = words[2, i] >> uint32(31)
        word = (words[2, i] ^ (uint32(0) - upper)) & uint32(0x7FFFFFFF)
        in_body = word >> uint32(CELL_SHIFT)
        normal = _between(body, word, CELL_SHIFT) if in_body else _between(tail, word, TAIL_SHIFT)
        sums[i] += ((-normal if upper else normal) * width + (1 << (_TO_FIXED - 1))) >> _TO_FIXED


@njit(cache=KEEP, nogil=True)
def _between(quantiles: np.ndarray, word: np.uint32, shift: int) -> np.int64:
    """Linear interpolation between the quantiles at the edges of a word's cell, rounded half up."""
    cell, rest = uint64(word >> uint32(shift)), int64(word) & ((1 << shift) - 1)
    low, high = quantiles[cell], quantiles[cell + uint64(1)]
    return low + (((high - low) * rest + (1 << (shift - 1))) >> shift)
