import hashlib

import numpy as np

from cryodenoise import seeds


def test_a_seed_is_the_digest_of_its_purpose() -> None:
    expected = int.from_bytes(hashlib.sha256(b'[42,"noise","abc",512,0]').digest()[:16], "little")
    assert seeds.derive(42, "noise", "abc", 512, 0) == expected


def test_other_purposes_give_other_numbers() -> None:
    purposes = [("a", 1), ("a", 2), ("b", 1)]
    draws = {seeds.generator(seed, *purpose).integers(2**63) for seed in (1, 2) for purpose in purposes}
    assert len(draws) == 6


def test_equal_purposes_give_equal_numbers_whatever_was_drawn_between() -> None:
    first = seeds.generator(1, "a").normal(size=5)
    seeds.generator(2, "b").normal(size=3)
    assert np.array_equal(first, seeds.generator(1, "a").normal(size=5))


def test_a_permutation_holds_every_number_once() -> None:
    order = seeds.permutation(1000, 42, "order", 1)
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, seeds.permutation(1000, 42, "order", 2))
