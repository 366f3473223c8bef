"""The noise of `signal.noise` in PyTorch operations, bit for bit the same on any device.

Words are kept in int64: PyTorch's unsigned 32-bit tensors have no shifts.
"""

from functools import cache

import numpy as np
import torch

from cryodenoise.signal.noise import MODELS, Key, strength
from cryodenoise.signal.noise_tables import (
    CELL_SHIFT,
    FIXED_BITS,
    FRACTIONS,
    MULTIPLIERS,
    NORMAL_BITS,
    RESULT_BITS,
    ROUNDS,
    TAIL_SHIFT,
    WEYL,
    WIDTH_BITS,
    Rates,
    tables,
)

_LOW = 0xFFFFFFFF
_HALF = 0x7FFFFFFF


def add_noise(clean: torch.Tensor, model: str, electrons_at_one: int, sigma: float, key: Key) -> torch.Tensor:
    """The noisy form of a clean patch; see `signal.noise.add_noise`.

    Args:
        clean: Noise-free intensities in [0, 1], float32, shape (h, w), on any device; the caller sees to the range.
        model: A name of `signal.noise.MODELS`.
        electrons_at_one: Electrons counted where the intensity is 1, at most 400.
        sigma: Standard deviation of the read-out noise, in units of intensity, at most 1.
        key: Of the patch.

    Returns:
        float32 in [0, 1], of the same shape and on the same device.
    """
    kind, integers = MODELS[model], strength(electrons_at_one, sigma)
    if not kind.shot and not kind.readout:
        return clean.clone()
    bits = clean.contiguous().view(torch.int32).long()
    words = random_words(clean.numel(), key, clean.device)
    counts, fractions, normals = (word.reshape(clean.shape) for word in words[:3])
    if kind.shot:
        rate = _scaled(bits, electrons_at_one, 10)
        integer_rows, fraction_rows, _, _ = _tables_on(clean.device)
        sums = (_count(integer_rows, rate >> 10, counts) + _count(fraction_rows, rate % FRACTIONS, fractions)) * (
            integers.electron
        )
    else:
        sums = _scaled(bits, 1, FIXED_BITS)
    if kind.readout:
        sums = sums + _rounded(_normal(normals) * integers.width, NORMAL_BITS + WIDTH_BITS - FIXED_BITS)
    result = _rounded(sums, FIXED_BITS - RESULT_BITS).clamp(0, 1 << RESULT_BITS)
    return result.to(torch.float32) * 2.0**-RESULT_BITS


def random_words(count: int, key: Key, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Four words a pixel, int64 of shape (count,): Philox4x32-10 at (pixel, 0, counter_2, counter_3) under the key."""
    x0 = torch.arange(count, device=device)
    x1 = torch.zeros_like(x0)
    x2, x3 = torch.full_like(x0, key.counter_2), torch.full_like(x0, key.counter_3)
    k0, k1 = key.key_0, key.key_1
    for _ in range(ROUNDS):
        p0, p1 = x0 * MULTIPLIERS[0], x2 * MULTIPLIERS[1]  # the 64 bits of an unsigned product, whatever their sign
        x0, x1, x2, x3 = (p1 >> 32 & _LOW) ^ x1 ^ k0, p1 & _LOW, (p0 >> 32 & _LOW) ^ x3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + WEYL[0]) & _LOW, (k1 + WEYL[1]) & _LOW
    return x0, x1, x2, x3


def _rounded(value: torch.Tensor, shift: int) -> torch.Tensor:
    """Divide by 2^shift, rounding half up."""
    return (value + (1 << (shift - 1))) >> shift


def _scaled(bits: torch.Tensor, factor: int, fraction_bits: int) -> torch.Tensor:
    """A float32 in [0, 1], given by its bits, times factor · 2^fraction_bits, rounded half up."""
    exponent = bits >> 23
    mantissa = bits & 0x7FFFFF | (exponent > 0).long() << 23
    shift = 150 - fraction_bits - exponent.clamp(min=1)
    right = shift.clamp(1, 62)
    rounded = (mantissa * factor + (torch.ones_like(bits) << (right - 1))) >> right
    return torch.where(shift > 0, rounded, mantissa * factor << (-shift).clamp(min=0))


@cache
def _tables_on(device: torch.device) -> tuple["_Rows", "_Rows", torch.Tensor, torch.Tensor]:
    shipped = tables()
    body, tail = (torch.from_numpy(table.astype(np.int64)).to(device) for table in (shipped.body, shipped.tail))
    return _rows(shipped.integer, device), _rows(shipped.fraction, device), body, tail


_Rows = tuple[torch.Tensor, torch.Tensor]
"""Thresholds of all rates in one ascending order, each below its rate · 2³²; and per rate, its count less its place."""


def _rows(rates: Rates, device: torch.device) -> _Rows:
    start = rates.start.astype(np.int64)
    lengths = start[1:] - start[:-1]
    thresholds = (np.repeat(np.arange(len(lengths)), lengths) << 32) + rates.thresholds.astype(np.int64)
    offset = rates.skipped.astype(np.int64) - start[:-1]
    return torch.from_numpy(thresholds).to(device), torch.from_numpy(offset).to(device)


def _count(rows: _Rows, rate: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
    """How many of the rate's thresholds are at most the draw."""
    thresholds, offset = rows
    return torch.searchsorted(thresholds, (rate << 32) + draw, right=True) + offset[rate]


def _normal(word: torch.Tensor) -> torch.Tensor:
    """Normal numbers in units of 2⁻²⁴."""
    _, _, body, tail = _tables_on(word.device)
    upper = word > _HALF
    lower = torch.where(upper, word ^ _LOW, word)
    in_body = _between(body, lower, CELL_SHIFT)
    in_tail = _between(tail, lower.clamp(max=(1 << CELL_SHIFT) - 1), TAIL_SHIFT)
    normal = torch.where(lower >> CELL_SHIFT > 0, in_body, in_tail)
    return torch.where(upper, -normal, normal)


def _between(quantiles: torch.Tensor, word: torch.Tensor, shift: int) -> torch.Tensor:
    """Linear interpolation between the quantiles at the edges of a word's cell, rounded half up."""
    cell, rest = word >> shift, word & ((1 << shift) - 1)
    low = quantiles[cell]
    return low + _rounded((quantiles[cell + 1] - low) * rest, shift)
