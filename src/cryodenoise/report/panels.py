"""Parts of figures that show whole micrographs: what a screen can show of them, and a bar for their scale."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

PANEL_PX = 400
"""Pixels of a panel: more would be lost between here and a screen."""
SHOWN_PERCENT = (0.5, 99.5)
"""What is black, and what is white."""
_BAND_PX = 1 << 20
_RULERS_NM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def binning(image: np.ndarray) -> int:
    """Pixels that become one of a panel, along either side."""
    return int(min(max(1, round(max(image.shape) / PANEL_PX)), *image.shape))


def binned(image: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of `factor` pixels a side, float64; what is left over at the right and below is cut off."""
    height, width = (side // factor for side in image.shape)
    means = np.empty((height, width))
    rows = max(1, _BAND_PX // (width * factor * factor))  # so that no second copy of the image is made
    for top in range(0, height, rows):
        band = image[top * factor : min(top + rows, height) * factor, : width * factor].astype(np.float64)
        means[top : top + rows] = band.reshape(-1, factor, width, factor).mean(axis=(1, 3))
    return means


def ruler(axis: Axes, shape: tuple[int, ...], pixel_size_angstrom: float) -> None:
    """Draw a bar of a round length, at most a quarter of the width.

    Args:
        axis: Where to.
        shape: Of what it shows.
        pixel_size_angstrom: Of what it shows: larger than the image's where that is binned.
    """
    width_nm = shape[1] * pixel_size_angstrom / 10
    fitting = [length for length in _RULERS_NM if length <= width_nm / 4]
    if not fitting:
        return
    length_px = fitting[-1] * 10 / pixel_size_angstrom
    left, top = 0.04 * shape[1], 0.95 * shape[0]
    axis.add_patch(Rectangle((left, top), length_px, 0.012 * shape[0], color="white", ec="black", linewidth=0.5))
    label = axis.text(left, top - 0.015 * shape[0], f"{fitting[-1]} nm", color="white", fontsize=8, weight="bold")
    label.set_path_effects([withStroke(linewidth=2, foreground="black")])
