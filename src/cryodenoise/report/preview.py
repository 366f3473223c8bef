"""A micrograph before and after denoising, and what was taken away, as PNG."""

import numpy as np
from matplotlib.figure import Figure

from cryodenoise.report.figures import png
from cryodenoise.report.panels import PANEL_PX, SHOWN_PERCENT, binned, binning, ruler

_DPI = 82
_GAP_PX, _HEADING_PX, _TITLE_PX = 16, 44, 34
_LEAST_PX, _MOST_PX = 240, 640  # sides of a panel


def preview(title: str, before: np.ndarray, after: np.ndarray, pixel_size_angstrom: float | None) -> bytes:
    """Before, after and before − after: all of it, binned to what a screen shows, and pixel by pixel the middle.

    Each panel has a grey scale of its own, whose ends are above it: what a denoiser took away is noise alone where the
    last one shows nothing of the specimen.

    Args:
        title: What is shown.
        before: The micrograph, shape (h, w), in its own units.
        after: The same denoised.
        pixel_size_angstrom: None where it is not known: then there are no scale bars.

    Returns:
        A PNG file, the same for the same input.
    """
    assert before.shape == after.shape
    factor = binning(before)
    small = [binned(image, factor) for image in (before, after)]
    middle = tuple(slice((side - shown) // 2, (side - shown) // 2 + shown)
                   for side, shown in ((side, min(side, PANEL_PX)) for side in before.shape))  # fmt: skip
    close = [np.asarray(image[middle], np.float64) for image in (before, after)]
    rows = [(small, f"binned {factor} × {factor}" if factor > 1 else "all of it", factor)]
    if factor > 1:
        rows.append((close, "the middle, pixel by pixel", 1))
    sizes = [_size_px(images[0].shape) for images, _, _ in rows]
    column_px = max(_LEAST_PX, *(width for _, width in sizes))
    width_px = 3 * column_px + 4 * _GAP_PX
    height_px = _TITLE_PX + sum(height + _HEADING_PX + _GAP_PX for height, _ in sizes)
    figure = Figure(figsize=(width_px / _DPI, height_px / _DPI), dpi=_DPI)
    figure.text(0.5, 1 - _TITLE_PX / 2 / height_px, title, fontsize=10, ha="center", va="center")
    top = _TITLE_PX
    for (images, what, scale), (height, width) in zip(rows, sizes, strict=True):
        panels = {"before": images[0], "after": images[1], "before − after": images[0] - images[1]}
        for column, (name, shown) in enumerate(panels.items()):
            left = _GAP_PX + column * (column_px + _GAP_PX) + (column_px - width) // 2
            bottom = height_px - top - _HEADING_PX - height
            place = (left / width_px, bottom / height_px, width / width_px, height / height_px)
            axis = figure.add_axes(place)
            low, high = (float(end) for end in np.percentile(shown, SHOWN_PERCENT))
            axis.imshow(shown, cmap="gray", vmin=low, vmax=high, aspect="auto", interpolation="none")
            axis.set_title(f"{name}: {what}\ngrey from {low:.4g} to {high:.4g}", fontsize=8)
            axis.set_axis_off()
            if pixel_size_angstrom:
                ruler(axis, shown.shape, pixel_size_angstrom * scale)
        top += height + _HEADING_PX + _GAP_PX
    return png(figure)


def _size_px(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a panel: those of the image, or a multiple where it is small; never beyond a screen."""
    longest = max(shape)
    scale = max(1, PANEL_PX // longest) if longest <= _MOST_PX else _MOST_PX / longest
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))
