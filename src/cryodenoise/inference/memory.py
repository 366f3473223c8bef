"""How large the tiles of a micrograph may be within a memory limit, chosen before the first is computed."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cryodenoise import devices
from cryodenoise.errors import UserError
from cryodenoise.inference.model import Model
from cryodenoise.inference.overlap import IN_FLIGHT
from cryodenoise.inference.tiling import padded_px, spans
from cryodenoise.models.live_bytes import LiveBytes

WITH_HALVES = 3
"""Micrographs that halves count for in addition: each half, before and after, and what it is computed from."""
TAKEN_PER_COUNTED = {"cpu": 2.25, "cuda": 1.25}
"""Memory that a process takes for each byte that its tensors count: on the processor because freed blocks lie between
those in use, by measurement 1.6 (large tiles) to 2.3 (small ones); on a GPU an assumption, for rounded sizes and what
cuDNN works in."""
SMALLEST_TILE_PX = 64
_FAST_TILE_PX, _FAST_TILE_HALOS = 1024, 24
# On the processor, per pixel of 3840 × 3840, one thread's own time, beside another job: cnn3 takes 1.08 times as long
# in tiles of 256 as in tiles of 2048, 1.05 in 512, 1.02 in 1024; unet8, with its wider halos, 1.3 times as long in 512
# as in 1920, 1.06 in 1024, 1.04 in 1344. Without tiles cnn3 takes 0.96 times as long, but for the first micrograph
# twice, and unet8 1.4 times, since that memory comes page by page from the kernel.
_MOST_TENSOR_BYTES = 4 << 31  # within it no index of an operation reaches 2³¹
_COUNTED_PX, _COMPUTED_PX = 1024, 128
_BYTES = 4  # of float32


def bytes_per_px(module: nn.Module, multiple_px: int) -> float:
    """The most bytes of tensors that live at a time, per pixel of the input, while a network computes in float32.

    The input is among them, weights are not, nor is what a single operation takes and gives back within itself.
    Operations are followed without being computed; a network that cannot be followed so, since it looks at values,
    computes a small image.

    Args:
        module: On the processor, in evaluation mode.
        multiple_px: What sides must be multiples of.
    """
    try:
        return _counted(module, padded_px(_COUNTED_PX, multiple_px), FakeTensorMode(allow_non_fake_inputs=True))
    except Exception:  # noqa: BLE001  whatever a network of one's own does; if it is wrong, computing it tells
        return _counted(module, padded_px(_COMPUTED_PX, multiple_px), nullcontext())


@torch.no_grad()
def _counted(module: nn.Module, side_px: int, mode: AbstractContextManager[Any]) -> float:
    with mode, LiveBytes() as live:
        # No constant image, since a network may divide by its standard deviation.
        module(torch.linspace(0, 1, side_px * side_px).view(1, 1, side_px, side_px))
    peak_bytes: int = live.peak_bytes
    return peak_bytes / side_px**2


def host_bytes(height_px: int, width_px: int, in_flight: int) -> int:
    """Host memory that micrographs take while they are read, computed and written: each as it was and denoised.

    Args:
        height_px: Rows of the largest.
        width_px: Its columns.
        in_flight: How many are under way at a time.
    """
    return in_flight * 2 * _BYTES * height_px * width_px


def choose_tile(
    model: Model,
    shapes: Sequence[tuple[int, int]],
    device: torch.device,
    memory_limit_gib: float,
    in_flight: int = IN_FLIGHT,
) -> int | None:
    """The tiles for all micrographs of a run: the largest that fit, or on the processor those that are fastest.

    Args:
        model: What denoises.
        shapes: Rows and columns of the micrographs, at least one.
        device: Where the model computes.
        memory_limit_gib: Memory of the GPU that the process may take, or without one of the machine, images included.
        in_flight: Micrographs that the host holds at a time.

    Returns:
        `tile_px` of `denoise_image`; None for whole micrographs.

    Raises:
        UserError: If not even tiles of 64 pixels fit, or whole micrographs where the model needs them.
    """
    left_bytes = devices.tensor_bytes(device, memory_limit_gib)
    if device.type != "cuda":
        left_bytes -= max(host_bytes(height, width, in_flight) for height, width in shapes)

    def fits(tile_px: int | None) -> bool:
        taken = max(tile_bytes(model, shape, tile_px, device) for shape in shapes)
        return taken <= min(left_bytes, math.inf if model.reach_px is None else _MOST_TENSOR_BYTES)

    largest = max(max(shape) for shape in shapes)
    smallest = padded_px(SMALLEST_TILE_PX, model.multiple_px)
    whole = fits(None)
    if model.reach_px is None:
        if whole:
            return None
        raise _does_not_fit(
            model, shapes, memory_limit_gib, "it needs micrographs as a whole, and too little is left for one"
        )
    if not fits(smallest):
        raise _does_not_fit(
            model, shapes, memory_limit_gib, f"too little is left for tiles of {smallest} pixels, beside micrographs"
        )
    fast = largest if device.type == "cuda" else fast_tile_px(model)
    if whole and largest <= fast:
        return None
    fitting, failing = smallest // model.multiple_px, max(fast, smallest) // model.multiple_px + 1
    while fitting + 1 < failing:
        trying = (fitting + failing) // 2
        fitting, failing = (trying, failing) if fits(trying * model.multiple_px) else (fitting, trying)
    return fitting * model.multiple_px


def tile_bytes(model: Model, shape: tuple[int, int], tile_px: int | None, device: torch.device) -> float:
    """Memory of the device for the largest tile of a micrograph.

    Args:
        model: What denoises.
        shape: Rows and columns of the micrograph.
        tile_px: As of `denoise_image`.
        device: Where the model computes.
    """
    rows_px, columns_px = (
        max(span.seen_end - span.seen_begin for span in spans(side, tile_px, model.multiple_px, model.reach_px or 0))
        for side in shape
    )
    return rows_px * columns_px * model.bytes_per_px * TAKEN_PER_COUNTED[device.type]


def fast_tile_px(model: Model) -> int:
    """Side of the tiles that are fastest on the processor, where memory does not matter.

    Args:
        model: What denoises; without a limit of its reach there are no tiles.
    """
    assert model.reach_px is not None, "what sees everything is not tiled"
    side = max(_FAST_TILE_PX, _FAST_TILE_HALOS * padded_px(model.reach_px, model.multiple_px))
    return padded_px(side, model.multiple_px)


def _does_not_fit(model: Model, shapes: Sequence[tuple[int, int]], memory_limit_gib: float, what: str) -> UserError:
    height, width = max(shapes, key=lambda shape: shape[0] * shape[1])
    return UserError(
        f"memory_limit_gib: {memory_limit_gib:g}: {model.name}: {what} of {height} × {width} pixels: raise the "
        "limit or take a smaller model"
    )
