import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.signal.tiles import grid_shape, patches


def test_the_references_grid_has_13_by_13_patches() -> None:
    assert grid_shape(7420, 7676, 1024, 512) == (13, 13)


@pytest.mark.parametrize(("side", "lines"), [(31, 0), (32, 1), (47, 1), (48, 2)])
def test_only_whole_patches_count(side: int, lines: int) -> None:
    assert grid_shape(side, 1000, 32, 16)[0] == lines


@given(st.integers(16, 60), st.integers(16, 60), st.integers(1, 16), st.integers(1, 20))
def test_patches_are_row_major_and_whole(height: int, width: int, size: int, stride: int) -> None:
    image = np.arange(height * width).reshape(height, width)
    rows, columns = grid_shape(height, width, size, stride)
    cut = list(patches(image, size, stride, (0, rows), (0, columns)))
    assert [(y, x) for y, x, _ in cut] == [
        (y, x) for y in range(0, height - size + 1, stride) for x in range(0, width - size + 1, stride)
    ]
    assert all(np.array_equal(patch, image[y : y + size, x : x + size]) for y, x, patch in cut)
