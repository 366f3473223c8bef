"""The noise, bit for bit: against published words, against the specification in plain integers, and in PyTorch."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.signal import noise, noise_torch
from cryodenoise.signal.noise_tables import Rates, tables
from each_device import DEVICES

VALUES = [0.0, 1.0, 1e-45, 1e-40, 1e-7, 3e-5, 2.0**-17, 1 / 3, 0.5, 0.999999]
cleans = st.lists(
    st.one_of(st.sampled_from(VALUES), st.floats(0, 1, width=32), st.floats(0, 2.0**-10, width=32)),
    min_size=1,
    max_size=40,
)
keys = st.builds(noise.Key, *[st.integers(0, 2**32 - 1)] * 4)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 as its paper writes it."""
    for _ in range(10):
        high_0, low_0 = divmod(counter[0] * 0xD2511F53, 2**32)
        high_1, low_1 = divmod(counter[2] * 0xCD9E8D57, 2**32)
        counter = [high_1 ^ counter[1] ^ key[0], low_1, high_0 ^ counter[3] ^ key[1], low_0]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_the_tests_own_philox_gives_the_published_words(counter: str, key: str, words: str) -> None:
    """The known answers that come with Random123."""
    numbers = ([int(word, 16) for word in text.split()] for text in (counter, key, words))
    given_counter, given_key, expected = numbers
    assert philox(given_counter, given_key) == expected


@given(keys)
@settings(max_examples=20, deadline=None)
def test_random_words_are_philoxs(key: noise.Key) -> None:
    found = torch.stack(noise_torch.random_words(5, key, torch.device("cpu")), dim=1).tolist()
    assert found == [philox([pixel, 0, key[2], key[3]], [key[0], key[1]]) for pixel in range(5)]


def half_up(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


def count(rates: Rates, row: int, draw: int) -> int:
    thresholds = rates.thresholds[rates.start[row] : rates.start[row + 1]].tolist()
    return int(rates.skipped[row]) + len([threshold for threshold in thresholds if threshold <= draw])


def normal(word: int) -> int:
    if word >= 2**31:
        return -normal(2**32 - 1 - word)
    table, shift = (tables().body, 18) if word >= 2**18 else (tables().tail, 5)
    cell, rest = divmod(word, 2**shift)
    low, high = int(table[cell]), int(table[cell + 1])
    return low + half_up(Fraction((high - low) * rest, 2**shift))


def specified(clean: float, model: str, electrons: int, sigma: float, key: noise.Key, pixel: int) -> float:
    """docs/FORMATS.md in exact fractions."""
    if model == "none":
        return clean
    words = philox([pixel, 0, key.counter_2, key.counter_3], [key.key_0, key.key_1])
    value = Fraction(clean)
    if model == "gaussian":
        total = half_up(value * 2**40)
    else:
        rate = half_up(value * electrons * 1024)
        counted = count(tables().integer, rate // 1024, words[0]) + count(tables().fraction, rate % 1024, words[1])
        total = counted * half_up(Fraction(2**40, electrons))
    if model != "poisson":
        total += half_up(Fraction(normal(words[2]) * round(Fraction(sigma) * 2**32), 2**16))
    return min(max(half_up(Fraction(total, 2**16)), 0), 2**24) / 2**24


@given(cleans, st.sampled_from(sorted(noise.MODELS)), st.integers(1, 400), st.floats(0, 1), keys)
@settings(max_examples=150, deadline=None)
def test_both_implementations_do_what_is_specified(
    values: list[float], model: str, electrons: int, sigma: float, key: noise.Key
) -> None:
    clean = np.array([values], np.float32)
    expected = [specified(float(value), model, electrons, sigma, key, pixel) for pixel, value in enumerate(clean[0])]
    compiled = noise.add_noise(clean, model, electrons, sigma, key)
    in_torch = noise_torch.add_noise(torch.from_numpy(clean), model, electrons, sigma, key)
    assert compiled[0].tolist() == expected
    assert in_torch[0].tolist() == expected


rates = st.lists(st.integers(0, 400 * 1024), min_size=1, max_size=40)


@given(rates, keys, st.integers(0, 2**32 - 1), st.integers(0, 2**31))
@settings(max_examples=100, deadline=None)
def test_counts_of_frames_do_what_is_specified(values: list[int], key: noise.Key, frame: int, first: int) -> None:
    """As the shot noise does, but for the frame, which takes the place of the counter's second word."""
    found = noise.count(np.array(values), key, frame, first)
    for place, (rate, counted) in enumerate(zip(values, found.tolist(), strict=True)):
        words = philox([first + place, frame, key.counter_2, key.counter_3], [key.key_0, key.key_1])
        assert counted == count(tables().integer, rate // 1024, words[0]) + count(
            tables().fraction, rate % 1024, words[1]
        )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("model", sorted(noise.MODELS))
@pytest.mark.parametrize("shape", [(1, 1), (3, 511), (70, 513), (33, 1024)])
def test_both_implementations_agree_on_whole_patches(model: str, shape: tuple[int, int], device: str) -> None:
    image = np.random.default_rng(0).random((shape[0], shape[1] + 3), np.float32) ** 3
    clean = image[:, 3:]  # a view of a micrograph, as a patch is
    key = noise.key_of(42, "digest", *shape)
    compiled = noise.add_noise(clean, model, 100, 0.05, key)
    in_torch = noise_torch.add_noise(torch.from_numpy(clean).to(device), model, 100, 0.05, key)
    assert compiled.tobytes() == in_torch.cpu().numpy().tobytes()


FORMATS = Path(__file__).parents[3] / "docs/FORMATS.md"


def test_the_vectors_of_the_specification() -> None:
    assert noise.key_of(42, "0" * 64, 512, 1024) == noise.VECTOR_KEY
    text = FORMATS.read_text()
    assert ", ".join(f"{word:08x}" for word in noise.VECTOR_KEY) in text
    for model, values in noise.VECTORS.items():
        assert f"| `{model}` | {', '.join(map(str, values))} |" in text
        clean = noise.VECTOR_CLEAN.ravel().tolist()
        expected = [specified(value, model, 100, 0.05, noise.VECTOR_KEY, pixel) for pixel, value in enumerate(clean)]
        assert [value * 2**24 for value in expected] == values


def test_compiled_code_that_does_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(noise.VECTORS, "poisson", [1] * 8)
    noise._require_vectors.cache_clear()
    with pytest.raises(RuntimeError, match=r"'poisson' is not what docs/FORMATS\.md specifies: remove"):
        noise.add_noise(np.zeros((2, 2), np.float32), "gaussian", 100, 0.05, noise.VECTOR_KEY)
