"""What every format gives: a header, and one image summed from blocks of pixels."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cryodenoise.errors import InputError, UserError

REMEDY = "fetch or export it again, or move it out of the folder"
BLOCK_PIXELS = 1 << 20
"""How many pixels are worked on at a time, so that a sum takes little memory beside itself."""
MOST_FRAMES = 10_000
_PLAUSIBLE_ANGSTROM = (0.01, 1000.0)


@dataclass(frozen=True)
class Header:
    """What a sound file says of its image."""

    height_px: int
    width_px: int
    pixel_size_angstrom: float | None
    """None where the file does not say, or what no microscope has."""
    frames: int = 1


class Block(NamedTuple):
    """Neighbouring pixels of one frame, which come frame by frame and from top to bottom."""

    frame: int
    top: int
    left: int
    pixels: np.ndarray
    """Shape (rows, columns), of any real type."""


def plausible(pixel_size_angstrom: float) -> float | None:
    """The pixel size that a header gives, or None where it is no microscope's: a default, a screen's, or damage."""
    lowest, highest = _PLAUSIBLE_ANGSTROM
    return pixel_size_angstrom if lowest <= pixel_size_angstrom <= highest else None


def require_frames(path: Path, frames: int) -> None:
    """Raise a UserError if there are more frames than any movie has: particles are stacked so, too."""
    if frames > MOST_FRAMES:
        raise UserError(f"{path}: {frames} images or more, no movie has over {MOST_FRAMES}: move it out of the folder")


def summed(path: Path, header: Header, blocks: Iterable[Block]) -> np.ndarray:
    """Sum frames in float32, in their order.

    The image grows as pixels arrive: what a forged header promises is never allocated.

    Args:
        path: The file, for messages.
        header: What the file says.
        blocks: All pixels of all frames.

    Returns:
        float32, shape (h, w).

    Raises:
        InputError: If a pixel of the result is NaN or infinite.
    """
    height, width = header.height_px, header.width_px
    flat = np.empty(0, np.float32)
    with np.errstate(all="ignore"):  # what overflows is found below
        for frame, top, left, pixels in blocks:
            bottom, right = top + pixels.shape[0], left + pixels.shape[1]
            if flat.size < bottom * width:
                flat.resize(bottom * width, refcheck=False)
            part = flat[: bottom * width].reshape(bottom, width)[top:, left:right]
            if frame == 0:
                part[...] = pixels
            else:
                part += pixels.astype(np.float32, copy=False)
    image = flat.reshape(height, width)
    _require_finite(path, image)
    return image


def apply_gain(path: Path, image: np.ndarray, gain: np.ndarray) -> None:
    """Multiply an image by a gain reference, in place.

    Args:
        path: The image's file, for messages.
        image: float32, shape (h, w).
        gain: Factor of each pixel, float32.

    Raises:
        UserError: If the gain reference has another shape than the image.
        InputError: If a pixel of the result is infinite.
    """
    if gain.shape != image.shape:
        raise UserError(
            f"{path}: {' × '.join(map(str, image.shape))} pixels, its gain reference "
            f"{' × '.join(map(str, gain.shape))}: give the gain reference of these movies, turned as they are"
        )
    with np.errstate(over="ignore"):
        image *= gain
    _require_finite(path, image)


def _require_finite(path: Path, image: np.ndarray) -> None:
    flat, bad, first = image.reshape(-1), 0, 0
    for start in range(0, flat.size, BLOCK_PIXELS):
        odd = np.flatnonzero(~np.isfinite(flat[start : start + BLOCK_PIXELS]))
        if odd.size and not bad:
            first = start + int(odd[0])
        bad += odd.size
    if bad:
        y, x = divmod(first, image.shape[1])
        raise InputError(
            f"{path}: {bad} of {image.size} pixels are NaN or infinite, the first in row {y}, column {x}: replace them "
            "or move the file out of the folder"
        )


def pixel_digest(image: np.ndarray) -> str:
    """SHA-256 of a line `cryodenoise pixels 1 HEIGHT WIDTH` and the pixels as little-endian float32, row by row."""
    height, width = image.shape
    digest = hashlib.sha256(f"cryodenoise pixels 1 {height} {width}\n".encode())
    digest.update(np.ascontiguousarray(image, dtype="<f4").data)
    return digest.hexdigest()
