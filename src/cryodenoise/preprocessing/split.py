"""What is trained on and what is held out."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from cryodenoise.config.documents import SplitName
from cryodenoise.config.run_files import SplitParameters
from cryodenoise.errors import InputError


def share(fraction: float, count: int) -> Fraction:
    """Fraction · count, exact in the decimal notation that the run file has: 0.1 of 70 is 7, not a hair more."""
    return Fraction(repr(fraction)) * count


def split_micrographs(count: int, parameters: SplitParameters) -> list[tuple[int, SplitName]]:
    """Hold out whole micrographs.

    Args:
        count: How many micrographs there are, at least three; they are numbered in order of their names.
        parameters: Seed and fractions.

    Returns:
        Each micrograph's number and split, in the order of the files: training, validation, test. The permutation
        is numpy's RandomState(seed).permutation(count), the reference's.
    """
    test = max(1, math.floor(share(parameters.test_fraction, count)))
    rest = count - test
    validation = math.ceil(share(parameters.validation_fraction, rest))
    train = rest - validation
    if train < 1:
        raise InputError(
            f"split: {test} of {count} micrographs for the test and {validation} for validation leave none to train "
            "on: lower test_fraction or validation_fraction, or add micrographs"
        )
    splits: list[SplitName] = [*["train"] * train, *["validation"] * validation, *["test"] * test]  # type: ignore[list-item]
    numbers = np.random.RandomState(parameters.seed).permutation(count)
    return [(int(number), split) for number, split in zip(numbers, splits, strict=True)]


def split_folders(names: Sequence[str], parameters: SplitParameters) -> list[tuple[int, SplitName]]:
    """Hold out what the folder test/ holds, and a share of what train/ holds.

    Args:
        names: Places in raw/, sorted; all begin with test/ or train/.
        parameters: Seed and fraction of the validation.

    Returns:
        As `split_micrographs`; those of train/ in the order of RandomState(seed).permutation of their number, those of
        test/ in order of names.

    Raises:
        InputError: If one of the three would be empty.
    """
    test = [number for number, name in enumerate(names) if name.startswith("test/")]
    others = [number for number, name in enumerate(names) if not name.startswith("test/")]
    validation = math.ceil(share(parameters.validation_fraction, len(others)))
    train = len(others) - validation
    if not test or train < 1:
        raise InputError(
            f"split: {len(test)} images in test/ and {len(others)} in train/, {validation} of these for validation, "
            "leave none to test or to train on: add images, or lower validation_fraction"
        )
    drawn = [others[at] for at in np.random.RandomState(parameters.seed).permutation(len(others))]
    splits: list[SplitName] = [*["train"] * train, *["validation"] * validation, *["test"] * len(test)]  # type: ignore[list-item]
    return list(zip([*drawn, *test], splits, strict=True))


def split_lines(
    lines: int, size_px: int, stride_px: int, parameters: SplitParameters
) -> dict[SplitName, tuple[int, int]]:
    """Hold out regions of one micrograph: ranges of its patch grid's lines such that no pixel is in two of them.

    Args:
        lines: Rows (or columns) of the patch grid.
        size_px: Side of a patch.
        stride_px: Distance between neighbouring patches.
        parameters: Fractions.

    Raises:
        InputError: If there are too few lines.
    """
    gap = math.ceil(size_px / stride_px) - 1  # lines whose patches would reach into the next region
    test = max(1, math.floor(share(parameters.test_fraction, lines)))
    validation = max(1, math.ceil(share(parameters.validation_fraction, lines - test)))
    train = lines - test - validation - 2 * gap
    if train < 1:
        raise InputError(
            f"split: with fewer than three micrographs, regions of each are held out, and {lines} lines of "
            f"patches are too few: {test} for the test, {validation} for validation, {2 * gap} between the "
            "regions and one to train on are needed: add micrographs, or lower patches.size_px"
        )
    first_validation, first_test = train + gap, lines - test
    return {"train": (0, train), "validation": (first_validation, first_test - gap), "test": (first_test, lines)}
