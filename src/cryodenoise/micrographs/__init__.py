"""Reading and writing micrographs: MRC files, also compressed, and TIFF files; stacks and movies are summed.

An image may also be one of many in an HDF5 file: `image`, counted from 0, says which.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cryodenoise.errors import UserError
from cryodenoise.micrographs import hdf5, mrc, tiff
from cryodenoise.micrographs.image import Header, apply_gain, pixel_digest, require_halves

__all__ = [
    "SUFFIXES", "Header", "apply_gain", "is_micrograph", "pixel_digest", "read", "read_halves", "read_header",
    "read_images", "require_halves", "stem",
]  # fmt: skip

_READERS = dict.fromkeys(mrc.SUFFIXES, (mrc.read_header, mrc.read, mrc.read_halves, mrc.read_images)) | dict.fromkeys(
    tiff.SUFFIXES, (tiff.read_header, tiff.read, tiff.read_halves, tiff.read_images)
)
SUFFIXES = tuple(_READERS)
"""How the names of files end that can be read, in any case; `.map` and `.rec` are left out, as they are volumes."""


def is_micrograph(path: Path) -> bool:
    """Whether the file's name ends as one of a micrograph does."""
    return _suffix(path) is not None


def stem(path: Path) -> str:
    """The file's name without its suffix, `.mrc.gz` being one suffix: what two files of a pair have in common."""
    return path.name[: -len(_suffix(path) or path.suffix) or None]


def read_header(path: Path, image: int | None = None) -> Header:
    """Read and check what a file says of its image; no pixel is read.

    Raises:
        UserError: If the file is none that can be read, is damaged, or claims more than its length can hold.
    """
    if image is not None:
        stack = hdf5.read_header(path)
        return Header(stack.height_px, stack.width_px, None)
    return _READERS[_known_suffix(path)][0](path)


def read(path: Path, image: int | None = None) -> np.ndarray:
    """The image, or the sum of the frames, of a file; docs/FORMATS.md specifies it to the bit.

    Args:
        path: The file.
        image: Which image of an HDF5 file; None for a file of one image or movie.

    Returns:
        float32, shape (h, w), C order.

    Raises:
        UserError: As `read_header`.
        InputError: If the pixels end early, cannot be decoded, or one of the result is NaN or infinite.
    """
    if image is not None:
        return hdf5.read_image(path, image)
    return _READERS[_known_suffix(path)][1](path)


def read_halves(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums of the frames 0, 2, 4, …, of the frames 1, 3, 5, … and of all frames of a movie, read once.

    Returns:
        Three images as of `read`.

    Raises:
        UserError: As `read_header`, or if the number of frames is not even.
        InputError: As `read`.
    """
    return _READERS[_known_suffix(path)][2](path)


def read_images(path: Path) -> Iterator[np.ndarray]:
    """Each image of a stack or frame of a movie for itself, one in memory at a time.

    Yields:
        Images as of `read`.

    Raises:
        UserError: As `read_header`.
        InputError: As `read`, for each image alone.
    """
    return _READERS[_known_suffix(path)][3](path)


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix) and name != suffix), None)


def _known_suffix(path: Path) -> str:
    suffix = _suffix(path)
    if suffix is None:
        eer = path.suffix.lower() == ".eer"
        remedy = (
            "sum it to an MRC or TIFF file first" if eer else "convert it to MRC or TIFF, or rename it if it is one"
        )
        raise UserError(f"{path}: its name ends in none of {', '.join(SUFFIXES)}: {remedy}")
    return suffix
