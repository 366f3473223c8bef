from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.config.run_files import SplitParameters
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.split import share, split_lines, split_micrographs


def test_the_reference_set_is_split_159_18_19_in_the_references_order() -> None:
    split = split_micrographs(196, SplitParameters())
    assert Counter(name for _, name in split) == {"train": 159, "validation": 18, "test": 19}
    assert [number for number, _ in split] == np.random.RandomState(42).permutation(196).tolist()
    assert [name for _, name in split] == ["train"] * 159 + ["validation"] * 18 + ["test"] * 19


@pytest.mark.parametrize(("count", "expected"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (10, (8, 1, 1)), (30, (24, 3, 3))])
def test_small_sets_hold_out_at_least_one_each(count: int, expected: tuple[int, int, int]) -> None:
    counts = Counter(name for _, name in split_micrographs(count, SplitParameters()))
    assert (counts["train"], counts["validation"], counts["test"]) == expected


@given(st.integers(0, 10_000))
def test_fractions_are_exact_in_decimal_notation(count: int) -> None:
    assert share(0.1, 10 * count) == count


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    with pytest.raises(UserError, match="lower test_fraction"):
        split_micrographs(3, SplitParameters(test_fraction=0.9))


@given(st.integers(1, 60), st.integers(16, 64), st.integers(1, 80))
def test_regions_share_no_pixel_and_keep_their_order(lines: int, size: int, stride: int) -> None:
    try:
        regions = split_lines(lines, size, stride, SplitParameters())
    except UserError:
        return
    pixels = {name: (first * stride, (last - 1) * stride + size) for name, (first, last) in regions.items()}
    assert pixels["train"][0] == 0
    assert pixels["train"][1] <= pixels["validation"][0]
    assert pixels["validation"][1] <= pixels["test"][0]
    assert regions["test"][1] == lines
    assert all(first < last for first, last in regions.values())


def test_too_few_lines_to_hold_out_regions_are_refused() -> None:
    with pytest.raises(UserError, match="add micrographs"):
        split_lines(4, 64, 32, SplitParameters())
    assert split_lines(5, 64, 32, SplitParameters())["train"] == (0, 1)
