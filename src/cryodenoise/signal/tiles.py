"""The grid of whole patches over an image: patch (r, c) starts at pixel (r·stride, c·stride)."""

from collections.abc import Iterator

import numpy as np


def grid_shape(height_px: int, width_px: int, size_px: int, stride_px: int) -> tuple[int, int]:
    """Rows and columns of patches that lie whole within an image; 0 where it is smaller than a patch."""
    return tuple((side - size_px) // stride_px + 1 if side >= size_px else 0 for side in (height_px, width_px))  # type: ignore[return-value]


def patches(
    image: np.ndarray, size_px: int, stride_px: int, rows: tuple[int, int], columns: tuple[int, int]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield (y, x, view of the patch) for a rectangle of the grid, row by row; y and x in pixels."""
    for row in range(*rows):
        for column in range(*columns):
            y, x = row * stride_px, column * stride_px
            yield y, x, image[y : y + size_px, x : x + size_px]
