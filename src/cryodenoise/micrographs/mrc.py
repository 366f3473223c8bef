"""MRC files: https://www.ccpem.ac.uk/mrc_format/mrc2014.php, and the older headers still around.

The header is held against the file's length before anything else, since a forged or truncated file would otherwise be
read in part or fill the memory. `mrcfile` writes; it reads a file as a whole, which a movie is too long for.
"""

import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import mrcfile
import numpy as np

from cryodenoise.errors import InputError, UserError
from cryodenoise.files import commit, partial
from cryodenoise.micrographs.image import (
    BLOCK_PIXELS,
    REMEDY,
    Block,
    Header,
    each,
    plausible,
    require_frames,
    summed,
    summed_halves,
)
from cryodenoise.micrographs.streams import MOST_EXPANSION, is_compressed, opened

SUFFIX = ".mrc"
SUFFIXES = (".mrc", ".mrcs", ".mrc.gz", ".mrcs.gz", ".mrc.bz2", ".mrcs.bz2")
HEADER_BYTES = 1024
LABEL = b"cryodenoise"
_IMOD_STAMP = 1146047817  # https://bio3d.colorado.edu/imod/doc/mrc_format.txt
_PIXELS = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_UNREAD = {3: " (complex numbers)", 4: " (complex numbers)", 16: " (colours)", 101: " (packed 4-bit numbers)"}


@dataclass(frozen=True)
class Layout:
    """Where the pixels of an MRC file are: image after image, row after row, without gaps.

    Attributes:
        header: Rows, columns and number of images.
        byte_order: Of all numbers in the file, as `struct` names it: "<" or ">".
        pixel_type: With its byte order.
        offset_bytes: Where the first pixel is.
    """

    header: Header
    byte_order: str
    pixel_type: np.dtype
    offset_bytes: int


def read_header(path: Path) -> Header:
    """Read and check the header of an MRC file; of a compressed one, no more is decompressed.

    Raises:
        UserError: If the file is no MRC file, is not as long as its header says, or holds other than real numbers.
    """
    with opened(path) as stream:
        return _layout_of_movie(path, stream).header


def read(path: Path) -> np.ndarray:
    """The image, or the sum of the frames, of an MRC file; see `micrographs.read`."""
    with opened(path) as stream:
        layout = _layout_of_movie(path, stream)
        return summed(path, layout.header, _blocks(path, stream, layout))


def read_halves(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums of the even, the odd and all frames of an MRC file; see `micrographs.read_halves`."""
    with opened(path) as stream:
        layout = _layout_of_movie(path, stream)
        return summed_halves(path, layout.header, _blocks(path, stream, layout))


def read_images(path: Path) -> Iterator[np.ndarray]:
    """Each image of an MRC file for itself; see `micrographs.read_images`."""
    with opened(path) as stream:
        layout = _layout_of_movie(path, stream)
        yield from each(path, layout.header, _blocks(path, stream, layout))


def read_layout(path: Path) -> Layout:
    """Read and check the header of an MRC file, whatever the number of its images.

    Raises:
        UserError: As `read_header`.
    """
    with opened(path) as stream:
        return _layout(path, stream)


def _layout_of_movie(path: Path, stream: BinaryIO) -> Layout:
    layout = _layout(path, stream)
    require_frames(path, layout.header.frames)
    return layout


def _layout(path: Path, stream: BinaryIO) -> Layout:
    raw = stream.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise UserError(f"{path}: {len(raw)} bytes, shorter than the {HEADER_BYTES} of an MRC header: {REMEDY}")
    order, width, height, frames, mode = _first_numbers(path, raw)
    if mode not in _PIXELS:
        expected = ", ".join(map(str, _PIXELS))
        raise UserError(f"{path}: MRC mode {mode}{_UNREAD.get(mode, '')}, expected one of {expected}: convert it")
    pixel_type = np.dtype(order + _PIXELS[mode])
    imod_stamp, imod_flags = struct.unpack(order + "2i", raw[152:160])
    if mode == 0 and imod_stamp == _IMOD_STAMP and not imod_flags & 1:
        pixel_type = np.dtype("u1")
    (mx,) = struct.unpack(order + "i", raw[28:32])
    (cell_x,) = struct.unpack(order + "f", raw[40:44])
    pixel_size = plausible(cell_x / mx) if mx > 0 else None
    (extended_bytes,) = struct.unpack(order + "i", raw[92:96])
    offset = HEADER_BYTES + extended_bytes
    expected_bytes = offset + width * height * frames * pixel_type.itemsize
    size_bytes = path.stat().st_size
    if is_compressed(path):
        fits = expected_bytes <= size_bytes * MOST_EXPANSION[path.suffix.lower()]
    else:
        fits = expected_bytes == size_bytes
    if extended_bytes < 0 or not fits:
        raise UserError(
            f"{path}: {size_bytes} bytes, its header asks for {expected_bytes}: it is truncated or damaged: {REMEDY}"
        )
    return Layout(Header(height, width, pixel_size, frames), order, pixel_type, offset)


def _first_numbers(path: Path, raw: bytes) -> tuple[str, int, int, int, int]:
    """Byte order, width, height, number of images and mode.

    The machine stamp is missing or wrong in many files. In the wrong order a mode is none, but for 0; and there the
    sizes come out as huge numbers, as one of the three is always small.
    """
    readings = []
    for order in ("<", ">"):
        nx, ny, nz, mode = struct.unpack(order + "4i", raw[:16])
        if mode in range(128) and min(nx, ny, nz) >= 1:
            readings.append((nx * ny * nz, (order, nx, ny, nz, mode)))
    if not readings:
        raise UserError(f"{path}: no MRC file, its first numbers make no header: {REMEDY}")
    return min(readings)[1]


def _blocks(path: Path, stream: BinaryIO, layout: Layout) -> Iterator[Block]:
    """All pixels, whole rows at a time unless they are very long."""
    height, width = layout.header.height_px, layout.header.width_px
    rows = max(1, BLOCK_PIXELS // width)
    stream.seek(layout.offset_bytes)
    for frame in range(layout.header.frames):
        for top in range(0, height, rows):
            for left in range(0, width, BLOCK_PIXELS):
                shape = min(rows, height - top), min(BLOCK_PIXELS, width - left)
                raw = stream.read(shape[0] * shape[1] * layout.pixel_type.itemsize)
                if len(raw) < shape[0] * shape[1] * layout.pixel_type.itemsize:
                    raise InputError(
                        f"{path}: ends in row {top} of frame {frame + 1} of {layout.header.frames}: it is truncated or "
                        f"damaged: {REMEDY}"
                    )
                yield Block(frame, top, left, np.frombuffer(raw, layout.pixel_type).reshape(shape))
    if stream.read(1):  # reading on also lets a compressed file's checksum be verified
        raise InputError(f"{path}: longer than its header says: it is damaged: {REMEDY}")


def write(path: Path, image: np.ndarray, pixel_size_angstrom: float) -> None:
    """Write one image, whole or not at all, as MRC mode 2 with pixel size and statistics.

    The label says `cryodenoise` where mrcfile puts a time stamp: equal images give equal files.
    """
    with warnings.catch_warnings(), mrcfile.new(partial(path), overwrite=True) as mrc:
        warnings.simplefilter("ignore")
        mrc.set_data(np.ascontiguousarray(image, dtype=np.float32))
        mrc.voxel_size = pixel_size_angstrom
        mrc.header.label[0] = LABEL
    _finish(path)


@contextmanager
def writing_frames(
    path: Path, frames: int, height_px: int, width_px: int, pixel_size_angstrom: float
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write frames of counts one by one as an image stack of MRC mode 6, whole or not at all; see `write`.

    Args:
        path: Where to.
        frames: How many will come.
        height_px: Rows.
        width_px: Columns.
        pixel_size_angstrom: Pixel size in Å.

    Yields:
        Takes the next frame, uint16 of shape (height_px, width_px), and keeps no reference to it.
    """
    occurrences = np.zeros(1 << 16, np.int64)  # of each count: gives the statistics exactly, in one pass
    written = 0
    try:
        with mrcfile.new_mmap(partial(path), (frames, height_px, width_px), mrc_mode=6, overwrite=True) as mrc:
            _reserve(partial(path))
            mrc.set_image_stack()
            mrc.voxel_size = pixel_size_angstrom
            mrc.header.label[0] = LABEL

            def add(frame: np.ndarray) -> None:
                nonlocal written
                mrc.data[written] = frame
                written += 1
                flat = frame.reshape(-1)
                for start in range(0, flat.size, BLOCK_PIXELS):
                    block = flat[start : start + BLOCK_PIXELS]
                    np.add(occurrences, np.bincount(block, minlength=occurrences.size), out=occurrences)

            yield add
            assert written == frames
            counts = np.flatnonzero(occurrences)
            shares = occurrences[counts] / occurrences.sum()
            mean = float(shares @ counts)
            mrc.header.dmin, mrc.header.dmax, mrc.header.dmean = counts[0], counts[-1], mean
            mrc.header.rms = np.sqrt(shares @ (counts - mean) ** 2)
        _finish(path)
    except BaseException:
        partial(path).unlink(missing_ok=True)
        raise


def _reserve(path: Path) -> None:
    """Give a mapped file its room: where the disk is full, writing to a hole of it would end the process.

    Raises:
        OSError: If the disk has none.
    """
    with path.open("r+b") as stream:
        try:
            os.posix_fallocate(stream.fileno(), 0, os.fstat(stream.fileno()).st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def _finish(path: Path) -> None:
    """Flush the partial form of a file to the disk and give it its name."""
    with partial(path).open("r+b") as stream:
        os.fsync(stream.fileno())
    commit(path)
