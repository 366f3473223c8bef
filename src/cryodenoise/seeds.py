"""Random numbers as a function of what they are for, never of the order of calls."""

import hashlib
import json

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A 128-bit seed for one purpose: the first 16 bytes of the SHA-256 of the JSON list [seed, *purpose]."""
    text = json.dumps([seed, *purpose], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A numpy generator (PCG64) for one purpose."""
    return np.random.Generator(np.random.PCG64(derive(seed, *purpose)))


def permutation(count: int, seed: int, *purpose: str | int) -> np.ndarray:
    """A permutation of range(count), int64, from numpy's legacy generator, whose stream numpy has frozen (NEP 19)."""
    words = [derive(seed, *purpose) >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
    return np.random.RandomState(words).permutation(count)
