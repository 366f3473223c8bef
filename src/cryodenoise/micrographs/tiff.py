"""TIFF files with grey images: uncompressed, LZW and deflate, in strips and tiles; several pages are a movie."""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np

from cryodenoise.errors import InputError
from cryodenoise.micrographs.image import BLOCK_PIXELS, REMEDY, Block, Header, each, summed, summed_halves
from cryodenoise.micrographs.tiff_pages import LZW, UNCOMPRESSED, Page, pages

SUFFIXES = (".tif", ".tiff")
_INTEGER_DIFFERENCES, _FLOAT_DIFFERENCES = 2, 3


def read_header(path: Path) -> Header:
    """Read and check the tags of every page.

    Raises:
        UserError: If the file is no TIFF file, is damaged, or holds other than grey images of one shape.
    """
    with path.open("rb") as stream:
        return _header(path, stream)


def read(path: Path) -> np.ndarray:
    """The image, or the sum of the frames, of a TIFF file; see `micrographs.read`."""
    with path.open("rb") as stream:
        return summed(path, _header(path, stream), _blocks(path, stream))


def read_halves(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sums of the even, the odd and all frames of a TIFF file; see `micrographs.read_halves`."""
    with path.open("rb") as stream:
        return summed_halves(path, _header(path, stream), _blocks(path, stream))


def read_images(path: Path) -> Iterator[np.ndarray]:
    """Each page of a TIFF file for itself; see `micrographs.read_images`."""
    with path.open("rb") as stream:
        yield from each(path, _header(path, stream), _blocks(path, stream))


def _header(path: Path, stream: BinaryIO) -> Header:
    checked = pages(path, stream)
    first = next(checked)
    frames = 1 + sum(1 for _ in checked)
    return Header(first.height_px, first.width_px, first.pixel_size_angstrom, frames)


def _blocks(path: Path, stream: BinaryIO) -> Iterator[Block]:
    """All pixels, by strips or tiles, whole rows of these at a time."""
    for frame, page in enumerate(pages(path, stream)):
        tile_height, tile_width = page.tile_shape
        across = -(-page.width_px // tile_width)
        row_bytes = tile_width * page.pixel_type.itemsize
        for number, (offset, size_bytes) in enumerate(zip(page.offsets, page.sizes_bytes, strict=True)):
            top, left = number // across * tile_height, number % across * tile_width
            rows, columns = min(tile_height, page.height_px - top), min(tile_width, page.width_px - left)
            stream.seek(int(offset))
            source = stream
            if page.compression != UNCOMPRESSED:
                source = _decompressed(path, page.compression, stream.read(int(size_bytes)), rows * row_bytes)
            step = max(1, BLOCK_PIXELS // tile_width)
            for start in range(0, rows, step):
                wanted_bytes = min(step, rows - start) * row_bytes
                raw = source.read(wanted_bytes)
                if len(raw) < wanted_bytes:
                    raise InputError(
                        f"{path}: a strip or tile of image {frame + 1} ends early: it is truncated or damaged: {REMEDY}"
                    )
                yield Block(frame, top + start, left, _pixels(raw, page)[:, :columns])


def _decompressed(path: Path, compression: int, content: bytes, size_bytes: int) -> BinaryIO:
    """The first bytes that a compressed strip or tile stands for."""
    try:
        if compression == LZW:
            return io.BytesIO(imagecodecs.lzw_decode(content, out=size_bytes))
        return io.BytesIO(zlib.decompressobj().decompress(content, size_bytes + 1))  # 1 more: it verifies its checksum
    except (zlib.error, RuntimeError) as error:
        raise InputError(f"{path}: cannot be decompressed ({error}): it is truncated or damaged: {REMEDY}") from error


def _pixels(raw: bytes, page: Page) -> np.ndarray:
    """The pixels of whole rows of a strip or tile, shape (rows, columns), whose bytes may be differences along rows."""
    columns, item = page.tile_shape[1], page.pixel_type.itemsize
    if page.predictor == _FLOAT_DIFFERENCES:  # Adobe Photoshop TIFF Technical Note 3: of bytes, the highest ones first
        differences = np.frombuffer(raw, np.uint8).reshape(-1, item * columns)
        planes = np.add.accumulate(differences, axis=1, dtype=np.uint8).reshape(-1, item, columns)
        return np.ascontiguousarray(planes.swapaxes(1, 2)).view(f">f{item}")[..., 0]
    pixels = np.frombuffer(raw, page.pixel_type).reshape(-1, columns)
    if page.predictor == _INTEGER_DIFFERENCES:
        native = pixels.astype(page.pixel_type.newbyteorder("="))
        return np.add.accumulate(native.view(f"u{item}"), axis=1, dtype=f"u{item}").view(native.dtype)
    return pixels
