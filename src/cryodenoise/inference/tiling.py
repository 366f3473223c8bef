"""A whole micrograph through a denoiser, at once or in tiles, with one and the same result.

Tiles overlap by a halo no smaller than what an output pixel depends on, and end where the image does, so that a
network's own padding acts at the same places; they begin at multiples of what the network needs, so that the cells of
its pooling are the same. Without their halos they are what the whole gives, but for the rounding of sums in another
order.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from cryodenoise import devices
from cryodenoise.errors import UserError
from cryodenoise.inference.model import Model


class Span(NamedTuple):
    """One tile along rows or columns, in pixels."""

    begin: int
    """First pixel that the tile gives."""
    end: int
    """The one behind the last that it gives."""
    seen_begin: int
    """First pixel that it sees."""
    seen_end: int
    """The one behind the last that it sees."""


def denoise_image(
    image: np.ndarray, model: Model, device: torch.device, tile_px: int | None, advance: Callable[[int], None]
) -> np.ndarray:
    """Denoise an image of any size.

    At the bottom and on the right it is mirrored, edge pixels twice, up to the multiples that the model needs; what
    comes out is cropped.

    Args:
        image: Normalised, float32, shape (h, w), not empty; left as it is.
        model: What denoises.
        device: Where the model computes.
        tile_px: Side of a tile at most, without the halo on both sides; rounded down to a multiple that the model
            needs, but to one of them at least. None computes the whole at once.
        advance: Called after each tile with the number of pixels that it gave; they sum to the image's.

    Returns:
        float32, shape (h, w).

    Raises:
        UserError: If the model is to be tiled and cannot, gives something else than an image of the same shape, or
            values that are not finite, or if memory runs out.
    """
    if tile_px is not None and model.reach_px is None:
        raise UserError(
            f"tile_px: {tile_px}: {model.name} may look at all of an image for each pixel, so tiles would change its "
            "result: leave tile_px out"
        )
    result = np.empty(image.shape, np.float32)
    reach = model.reach_px or 0
    for rows in spans(image.shape[0], tile_px, model.multiple_px, reach):
        for columns in spans(image.shape[1], tile_px, model.multiple_px, reach):
            tile = result[rows.begin : rows.end, columns.begin : columns.end]  # less than that where it was mirrored
            tile[:] = _denoised(_seen(image, rows, columns), rows, columns, model, device)[
                : tile.shape[0], : tile.shape[1]
            ]
            if not np.isfinite(tile).all():
                found = "it makes values of a micrograph that are not finite"
                raise UserError(f"{model.name}: {found}: mend it, or set `precision: fp32`")
            advance(tile.size)
    return result


def padded_px(side_px: int, multiple_px: int) -> int:
    """The smallest multiple that is no smaller."""
    return -(-side_px // multiple_px) * multiple_px


def spans(side_px: int, tile_px: int | None, multiple_px: int, reach_px: int) -> Iterator[Span]:
    """Tiles along rows or columns, as few as can be; all see as many pixels, so that memory of one serves the next.

    Those at the ends have a halo on one side only, and give more for it.

    Args:
        side_px: Of the image.
        tile_px: As of `denoise_image`.
        multiple_px: What sides and beginnings must be multiples of.
        reach_px: An output pixel depends on no input pixel further away.
    """
    padded, halo = padded_px(side_px, multiple_px), padded_px(reach_px, multiple_px)
    inner = padded - 2 * halo
    most = padded if tile_px is None else max(tile_px // multiple_px, 1) * multiple_px
    tiles = max(-(-inner // most), 1)
    if tiles == 1:
        yield Span(0, padded, 0, padded)
        return
    step = padded_px(-(-inner // tiles), multiple_px)
    ends = [halo + step * number for number in range(1, tiles)]
    for begin, end in pairwise([0, *ends, padded]):
        seen_begin = min(max(begin - halo, 0), padded - step - 2 * halo)
        yield Span(begin, end, seen_begin, seen_begin + step + 2 * halo)


def _seen(image: np.ndarray, rows: Span, columns: Span) -> np.ndarray:
    """What a tile sees: a copy, since a denoiser may work in place."""
    height, width = image.shape
    if rows.seen_end <= height and columns.seen_end <= width:
        seen = image[rows.seen_begin : rows.seen_end, columns.seen_begin : columns.seen_end].copy()
    else:
        seen = image[np.ix_(_mirrored(rows, height), _mirrored(columns, width))]
    return seen


def _mirrored(span: Span, side_px: int) -> np.ndarray:
    """Indices of the pixels that a tile sees, mirrored behind the image as often as it takes."""
    index = np.arange(span.seen_begin, span.seen_end) % (2 * side_px)
    return np.minimum(index, 2 * side_px - 1 - index)


@torch.inference_mode()
def _denoised(seen: np.ndarray, rows: Span, columns: Span, model: Model, device: torch.device) -> np.ndarray:
    """What a tile gives, of shape (rows, columns) as they are behind the image, too."""
    shape = (1, 1, *seen.shape)
    try:
        denoised = model.denoise(devices.place(torch.from_numpy(seen).view(shape), device))
        if not isinstance(denoised, torch.Tensor) or tuple(denoised.shape) != shape:
            found = tuple(denoised.shape) if isinstance(denoised, torch.Tensor) else type(denoised).__name__
            raise UserError(f"{model.name}: found {found}, expected a tensor of shape {shape}: mend it")
        top, left = rows.begin - rows.seen_begin, columns.begin - columns.seen_begin
        core = denoised[0, 0, top : top + rows.end - rows.begin, left : left + columns.end - columns.begin]
        pixels: np.ndarray = core.float().cpu().numpy()
        return pixels
    except (MemoryError, RuntimeError) as error:
        if not devices.is_out_of_memory(error):
            raise
        raise UserError(
            f"tile_px: {model.name}: {shape[2]} × {shape[3]} pixels at a time do not fit into the memory: set a "
            "smaller tile_px or a lower memory_limit_gib, so that smaller tiles are taken"
        ) from error
