"""The pages of a TIFF or BigTIFF file: https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf.

Read here, and not by a library, because each number is held against the file's length before it is used: a damaged
count would otherwise fill the memory with what it claims.
"""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cryodenoise.errors import UserError
from cryodenoise.micrographs.image import REMEDY, plausible, require_frames

UNCOMPRESSED, LZW = 1, 5
_MOST_EXPANSION = {UNCOMPRESSED: 1, LZW: 1400, 8: 1032, 32946: 1032}
"""The compressions that are read, and the most bytes that one byte can stand for; 8 and 32946 are deflate."""
_PIXELS = {(1, 8): "u1", (1, 16): "u2", (1, 32): "u4", (2, 8): "i1", (2, 16): "i2", (2, 32): "i4",
           (3, 16): "f2", (3, 32): "f4", (3, 64): "f8"}  # fmt: skip
"""Sample format and bits per sample."""
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "II", 13: "I", 16: "Q", 18: "Q"}
"""The types of values that the tags below have, as `struct` names them."""
_DESCRIPTION_BYTES = 4096
_UNIT_ANGSTROM = {2: 2.54e8, 3: 1e8}
_PALETTE = 3
_REDUCED_OR_MASK = 1 | 4
_SUBFILE = 254
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _DESCRIPTION = 256, 257, 258, 259, 262, 266, 270
_STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES, _X_RESOLUTION, _RESOLUTION_UNIT = 273, 277, 278, 279, 282, 296
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _FORMAT = 317, 322, 323, 324, 325, 339


@dataclass(frozen=True)
class Page:
    """One frame and where its strips or tiles are, a strip being a tile as wide as the image."""

    height_px: int
    width_px: int
    pixel_size_angstrom: float | None
    pixel_type: np.dtype
    """With its byte order."""
    compression: int
    predictor: int
    tile_shape: tuple[int, int]
    offsets: np.ndarray
    """Where each strip or tile begins, row by row."""
    sizes_bytes: np.ndarray


@dataclass(frozen=True)
class _Entry:
    code: str
    count: int
    offset: int


class _Source:
    """An open file with the dialect of TIFF that it is written in."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self.path, self.stream, self.size_bytes = path, stream, path.stat().st_size
        self.order = {b"II": "<", b"MM": ">"}.get(self.bytes_at(0, min(2, self.size_bytes)), "")
        (version,) = self.unpack(2, "H") if self.order and self.size_bytes >= 8 else (0,)
        if version not in (42, 43):
            raise UserError(f"{path}: no TIFF file, it begins with other bytes: {REMEDY}")
        self.big = version == 43
        self.tables_bytes = 0
        (self.first,) = self.unpack(8, "Q") if self.big else self.unpack(4, "I")

    def damaged(self, what: str) -> UserError:
        return UserError(f"{self.path}: {what}: it is truncated or damaged: {REMEDY}")

    def bytes_at(self, offset: int, count: int) -> bytes:
        if offset + count > self.size_bytes:
            raise self.damaged(f"{self.size_bytes} bytes, its tags point to byte {offset + count}")
        self.stream.seek(offset)
        return self.stream.read(count)

    def unpack(self, offset: int, code: str) -> tuple[int, ...]:
        code = self.order + code
        content = self.bytes_at(offset, struct.calcsize(code))
        if len(content) < struct.calcsize(code):
            raise self.damaged("became shorter while it was read")
        return struct.unpack(code, content)

    def entries(self, offset: int) -> tuple[dict[int, _Entry], int]:
        """The tags of a page, and where the next page begins, 0 after the last."""
        head, entry_code, inline = ("Q", "HHQ", 8) if self.big else ("H", "HHI", 4)
        (count,) = self.unpack(offset, head)
        entries = {}
        start, step = offset + struct.calcsize(head), struct.calcsize("<" + entry_code) + inline
        if count == 0 or count > 4096:
            raise self.damaged(f"a page has {count} tags")
        self.tables_bytes += step * count
        if self.tables_bytes > self.size_bytes:
            raise self.damaged("its pages share their tags")  # and would take endless time to read
        for number in range(count):
            place = start + step * number
            tag, kind, values = self.unpack(place, entry_code)
            if kind in _CODES:
                value_at = place + step - inline
                if values * struct.calcsize("<" + _CODES[kind]) > inline:
                    (value_at,) = self.unpack(value_at, "Q" if self.big else "I")
                entries[tag] = _Entry(_CODES[kind], values, value_at)
        (following,) = self.unpack(start + step * count, "Q" if self.big else "I")
        return entries, following

    def first_value(self, entries: dict[int, _Entry], tag: int, default: int | None = None) -> int:
        if tag in entries and entries[tag].count:
            return self.unpack(entries[tag].offset, entries[tag].code)[0]
        if default is None:
            raise self.damaged(f"a page lacks its tag {tag}")
        return default

    def values(self, entries: dict[int, _Entry], tag: int, count: int) -> np.ndarray:
        entry = entries.get(tag)
        if entry is None or entry.count != count or len(entry.code) > 1:
            raise self.damaged(f"tag {tag} has {entry.count if entry else 'no'} values, its page needs {count}")
        dtype = np.dtype(self.order + entry.code)
        content = self.bytes_at(entry.offset, count * dtype.itemsize)
        return np.frombuffer(content, dtype).astype(np.uint64)


def pages(path: Path, stream: BinaryIO) -> Iterator[Page]:
    """The pages of a TIFF file, each checked to hold its pixels.

    Raises:
        UserError: If the file is none, is damaged, or holds other than grey images of one shape.
    """
    source = _Source(path, stream)
    seen: set[int] = set()
    shape, held, promised = None, 0.0, 0
    following = source.first
    if not following:
        raise source.damaged("has no image")
    while following:
        if following in seen:
            raise source.damaged("its pages follow each other in a circle")
        seen.add(following)
        require_frames(path, len(seen))
        entries, following = source.entries(following)
        if source.first_value(entries, _SUBFILE, 0) & _REDUCED_OR_MASK:
            raise UserError(
                f"{path}: image {len(seen)} is a preview or a mask, as its tag NewSubfileType says: export the frames "
                "alone"
            )
        page = _page(source, entries)
        held += float(page.sizes_bytes.sum(dtype=np.float64))
        if held > source.size_bytes:
            raise source.damaged("its strips or tiles overlap")
        if shape is None:
            shape = (page.height_px, page.width_px)
            promised = _promised_frames(source, entries, page)
        elif shape != (page.height_px, page.width_px):
            raise UserError(
                f"{path}: image {len(seen)} has {page.height_px} × {page.width_px} pixels, the first {shape[0]} × "
                f"{shape[1]}: export the frames alone, without previews"
            )
        yield page
    if len(seen) < promised:
        raise UserError(
            f"{path}: its description speaks of {promised} images, it has {len(seen)} in TIFF's own way: save it as "
            "MRC or as TIFF with a page for each frame"
        )


def _page(source: _Source, entries: dict[int, _Entry]) -> Page:
    path = source.path
    samples, bits = source.first_value(entries, _SAMPLES, 1), source.first_value(entries, _BITS, 1)
    if samples != 1 or source.first_value(entries, _PHOTOMETRIC, 1) == _PALETTE:
        raise UserError(f"{path}: an image in colours, {samples} numbers a pixel, expected grey: export it as grey")
    kind = source.first_value(entries, _FORMAT, 1)
    if (kind, bits) not in _PIXELS:
        raise UserError(
            f"{path}: pixels of {bits} bits, sample format {kind}, expected 8, 16 or 32 bits, or float: convert it"
        )
    pixel_type = np.dtype(source.order + _PIXELS[kind, bits])
    compression, predictor = (source.first_value(entries, tag, 1) for tag in (_COMPRESSION, _PREDICTOR))
    if compression not in _MOST_EXPANSION:
        raise UserError(
            f"{path}: TIFF compression {compression}, expected 1 (none), 5 (LZW) or 8 (deflate): convert it"
        )
    if (fill_order := source.first_value(entries, _FILL_ORDER, 1)) != 1:
        raise UserError(f"{path}: TIFF fill order {fill_order}, expected 1: convert it")
    if predictor not in (1, 2, 3) or (predictor == 3 and pixel_type.kind != "f"):
        raise UserError(f"{path}: TIFF predictor {predictor}, expected 1 or 2, or 3 for floats: convert it")
    height, width = source.first_value(entries, _HEIGHT), source.first_value(entries, _WIDTH)
    tiled = _TILE_WIDTH in entries
    if tiled:
        tile_shape = source.first_value(entries, _TILE_HEIGHT), source.first_value(entries, _TILE_WIDTH)
    else:
        tile_shape = min(height, source.first_value(entries, _ROWS_PER_STRIP, height)), width
    if min(height, width, *tile_shape) < 1:
        raise source.damaged(f"{height} × {width} pixels in strips or tiles of {tile_shape[0]} × {tile_shape[1]}")
    down, across = -(-height // tile_shape[0]), -(-width // tile_shape[1])
    offsets = source.values(entries, _TILE_OFFSETS if tiled else _STRIP_OFFSETS, down * across)
    sizes = source.values(entries, _TILE_BYTES if tiled else _STRIP_BYTES, down * across)
    page = Page(
        height, width, _pixel_size(source, entries), pixel_type, compression, predictor, tile_shape, offsets, sizes
    )
    if max(offsets.max(), sizes.max()) > source.size_bytes or (offsets + sizes).max() > source.size_bytes:
        raise source.damaged(f"{source.size_bytes} bytes, its strips or tiles reach beyond")
    lowest_rows = height - (down - 1) * tile_shape[0]  # what fills up the last row of tiles may be left out
    for rows, part in ((tile_shape[0], sizes[:-across]), (lowest_rows, sizes[-across:])):
        needed = rows * tile_shape[1] * pixel_type.itemsize
        if part.size and int(part.min()) * _MOST_EXPANSION[compression] < needed:
            raise source.damaged(f"a strip or tile of {part.min()} bytes cannot hold the {needed} of its pixels")
    return page


def _pixel_size(source: _Source, entries: dict[int, _Entry]) -> float | None:
    """From the resolution, where that is no screen's or printer's."""
    entry = entries.get(_X_RESOLUTION)
    unit = _UNIT_ANGSTROM.get(source.first_value(entries, _RESOLUTION_UNIT, 2))
    if entry is None or entry.code != "II" or entry.count != 1 or unit is None:
        return None
    pixels, units = source.unpack(entry.offset, entry.code)
    size = unit * units / pixels if pixels else math.inf
    return plausible(size)


def _promised_frames(source: _Source, entries: dict[int, _Entry], page: Page) -> int:
    """How many images the description names: ImageJ and tifffile can store several as one page."""
    entry = entries.get(_DESCRIPTION)
    if entry is None or entry.code != "B":
        return 0
    description = source.bytes_at(entry.offset, min(entry.count, _DESCRIPTION_BYTES))
    if description.startswith(b"ImageJ=") and (images := re.search(rb"\nimages=(\d{1,9})\b", description)):
        return int(images[1])
    if lengths := re.match(rb'{"shape": \[([\d, ]{1,99})\]', description):
        return math.prod(int(length) for length in lengths[1].split(b",")) // (page.height_px * page.width_px)
    return 0
