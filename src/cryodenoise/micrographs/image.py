"""What every format gives: a header, and one image summed from blocks of pixels."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
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


def require_halves(path: Path, header: Header) -> None:
    """Raise a UserError unless the frames have two halves of one dose."""
    if header.frames < 2 or header.frames % 2:
        raise UserError(
            f"{path}: {header.frames} frame{'s' * (header.frames > 1)}, expected an even number, whose halves have one "
            "dose: leave a frame out, or give halves as files (pairs.halves: files)"
        )


def summed(path: Path, header: Header, blocks: Iterable[Block]) -> np.ndarray:
    """Sum frames in float32, in their order.

    Args:
        path: The file, for messages.
        header: What the file says.
        blocks: All pixels of all frames.

    Returns:
        float32, shape (h, w).

    Raises:
        InputError: If a pixel of the result is NaN or infinite.
    """
    total = _Sum(header)
    for block in blocks:
        total.add(block, block.frame == 0)
    return total.image(path)


def summed_halves(path: Path, header: Header, blocks: Iterable[Block]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum the frames 0, 2, 4, …, the frames 1, 3, 5, … and all of them, each sum as `summed` does it.

    Raises:
        UserError: If there are no two halves of one dose.
        InputError: If a pixel of a result is NaN or infinite.
    """
    require_halves(path, header)
    even, odd, whole = _Sum(header), _Sum(header), _Sum(header)
    for block in blocks:
        (odd if block.frame % 2 else even).add(block, block.frame < 2)
        whole.add(block, block.frame == 0)
    return even.image(path), odd.image(path), whole.image(path)


def each(path: Path, header: Header, blocks: Iterable[Block]) -> Iterator[np.ndarray]:
    """The frames for themselves, one in memory at a time.

    Yields:
        float32, shape (h, w), C order.

    Raises:
        InputError: If a pixel is NaN or infinite.
    """
    for frame, of_frame in groupby(blocks, attrgetter("frame")):
        image = _Sum(header)
        for block in of_frame:
            image.add(block, first=True)
        yield image.image(f"{path}, image {frame + 1}" if header.frames > 1 else path)


class _Sum:
    """A sum that grows as pixels arrive: what a forged header promises is never allocated."""

    def __init__(self, header: Header) -> None:
        self._shape = header.height_px, header.width_px
        self._flat = np.empty(0, np.float32)

    def add(self, block: Block, first: bool) -> None:
        """Add pixels, or put them there where they are the first."""
        _, top, left, pixels = block
        width, bottom, right = self._shape[1], top + pixels.shape[0], left + pixels.shape[1]
        if self._flat.size < bottom * width:
            self._flat.resize(bottom * width, refcheck=False)
        part = self._flat[: bottom * width].reshape(bottom, width)[top:, left:right]
        with np.errstate(all="ignore"):  # what overflows is found in the end
            if first:
                part[...] = pixels
            else:
                part += pixels.astype(np.float32, copy=False)

    def image(self, path: Path | str) -> np.ndarray:
        image = self._flat.reshape(self._shape)
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


def _require_finite(path: Path | str, image: np.ndarray) -> None:
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
