"""Stacks: HDF5 files that hold many images in one array, as em_graphene_sim has them.

An array `images` of shape (n, h, w), (n, h, w, 1) or (n, 1, h, w); floats of 16, 32 or 64 bits, or integers. Only what
lies in the file itself is read: external links, external storage and virtual arrays name files anywhere on the
machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod
from pathlib import Path

import h5py
import numpy as np

from cryodenoise.errors import InputError, UserError
from cryodenoise.micrographs.image import REMEDY, Block, Header, summed

SUFFIXES = (".h5", ".hdf5")
"""How the names of stacks end, in any case."""
KEY = "images"
OPEN = 2
"""How many stacks a process has open: the noisy and the clean one of a pair."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FLOATS = (2, 4, 8)
_SHOWN = 6
_CACHE_BYTES = 1 << 20
_LARGEST_DECODED_BYTES = 64 << 20
_DIGITS = 5


@dataclass(frozen=True)
class Stack:
    """What a sound file says of its images."""

    count: int
    height_px: int
    width_px: int
    dtype: str
    """Type of a stored pixel as numpy writes it."""


def is_stack(name: str | Path) -> bool:
    """Whether a file's name ends as one of a stack does."""
    return str(name).lower().endswith(SUFFIXES)


def member(name: str, index: int, count: int) -> str:
    """The name of one image of a stack of so many; the order of names is that of images."""
    return f"{name}#{index:0{max(_DIGITS, len(str(count - 1)))}d}"


def read_header(path: Path) -> Stack:
    """Read and check what a file says of its images; no pixel is read.

    Raises:
        UserError: If the file is no HDF5, is cut off, has no array `images` of such a shape and type within itself, or
            claims more pixels than it holds, or chunks are too large to be decoded for one image.
    """
    return _opened(*_state(path))[1]


def cached_bytes(path: Path) -> int:
    """What reading images of a stack one after the other keeps in memory: chunks that several of them share.

    Raises:
        UserError: As `read_header`.
    """
    array, _ = _opened(*_state(path))
    return _CACHE_BYTES + (_decoded(array)[1] if array.chunks and array.chunks[0] > 1 else 0)


def read_image(path: Path, index: int) -> np.ndarray:
    """One image of a stack.

    Args:
        path: The file.
        index: Counted from 0.

    Returns:
        float32, shape (h, w), C order.

    Raises:
        UserError: As `read_header`, or if there is no such image.
        InputError: If its pixels cannot be decoded, or one is NaN or infinite as a float32.
    """
    array, stack = _opened(*_state(path))
    place = member(str(path), index, stack.count)
    if not 0 <= index < stack.count:
        raise UserError(f"{place}: no such image, the file holds {stack.count}: {REMEDY}")
    try:
        pixels = array[index].reshape(stack.height_px, stack.width_px)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{place}: cannot be decoded ({_plain(error)}): {REMEDY}") from error
    return summed(Path(place), Header(stack.height_px, stack.width_px, None), [Block(0, 0, 0, pixels)])


def _state(path: Path) -> tuple[Path, int, int]:
    """The file as it is now: one that was replaced is opened anew."""
    state = path.stat()
    return path, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=OPEN)
def _opened(path: Path, size_bytes: int, changed_ns: int) -> tuple[h5py.Dataset, Stack]:  # noqa: ARG001
    """The array of a file, which stays open: its layout is checked once, and chunks serve several images."""
    with path.open("rb") as stream:
        start = stream.read(len(_SIGNATURE))
    if start != _SIGNATURE:
        raise UserError(f"{path}: no HDF5 file, it begins with {start!r}: {REMEDY}")
    with _sound(path):
        file = _file(path)
        if file.get(KEY, getlink=True) is None:
            raise UserError(f"{path}: no array {KEY!r}, there is {_there(file)}: name the array {KEY!r}")
        if not isinstance(file.get(KEY, getlink=True), h5py.HardLink):
            raise UserError(f"{path}: {KEY!r} is a link to elsewhere, expected an array in the file itself: copy it in")
        array = file[KEY]
        if not isinstance(array, h5py.Dataset):
            raise UserError(f"{path}: {KEY!r} is a group, expected an array of shape (n, h, w): {REMEDY}")
        stack = _described(path, array)
        _require_held(path, array, size_bytes)
        chunks, decoded_bytes = _decoded(array)
        _require_small_chunks(path, array, decoded_bytes)
        if array.chunks and array.chunks[0] > 1:  # else each image would decode its neighbours' chunks anew
            file.close()  # an open file keeps the cache that it was opened with, whoever opens it again
            array = _file(path, _CACHE_BYTES + decoded_bytes, 10 * chunks)[KEY]
    return array, stack


def _file(path: Path, cache_bytes: int = _CACHE_BYTES, slots: int = 0) -> h5py.File:
    return h5py.File(  # a read-only mount takes no locks
        path, "r", locking=False, rdcc_nbytes=cache_bytes, rdcc_nslots=max(slots, 521)
    )


def _decoded(array: h5py.Dataset) -> tuple[int, int]:
    """How many chunks one image touches, and the bytes that are decoded at once for it."""
    if not array.chunks:
        return 0, 0
    chunk_bytes = prod(array.chunks) * array.dtype.itemsize
    chunks = prod(ceil(side / chunk) for side, chunk in zip(array.shape[1:], array.chunks[1:], strict=True))
    return chunks, chunk_bytes * (chunks if array.chunks[0] > 1 else 1)


def _require_small_chunks(path: Path, array: h5py.Dataset, decoded_bytes: int) -> None:
    """An image of its own size is always read, however large that is."""
    most_bytes = max(_LARGEST_DECODED_BYTES, prod(array.shape[1:]) * array.dtype.itemsize)
    if decoded_bytes > most_bytes:
        together = array.chunks[0]
        why = f"{together} of them share a chunk" if together > 1 else f"its chunks are {_by(array.chunks)}"
        wanted = "x".join(map(str, (1, *array.shape[1:])))
        raise UserError(
            f"{path}: reading one image of {KEY!r} decodes {decoded_bytes / (1 << 20):.0f} MiB, as {why}, at most "
            f"{most_bytes / (1 << 20):.0f} MiB expected: rewrite it, `h5repack -l {KEY}:CHUNK={wanted} {path.name} "
            "new.h5`"
        )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """What the library says of a damaged file, as a message of one line."""
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise UserError(f"{path}: damaged or cut off ({_plain(error)}): {REMEDY}") from error


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())


def _there(file: h5py.File) -> str:
    names = sorted(file.keys())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(repr(name) for name in names[:_SHOWN]) or "nothing") + more


def _described(path: Path, array: h5py.Dataset) -> Stack:
    shape = array.shape
    match shape:
        case (count, height, width) | (count, height, width, 1) | (count, 1, height, width) if min(shape) > 0:
            pass
        case _:
            found = "none" if shape is None else _by(shape) or "a single value"
            raise UserError(
                f"{path}: {KEY!r} has the shape {found}, expected n × h × w, n × h × w × 1 or n × 1 × h × w, none of "
                f"them 0: {REMEDY}"
            )
    kind, width_bytes = array.dtype.kind, array.dtype.itemsize
    if not (kind in "iu" or (kind == "f" and width_bytes in _FLOATS)):
        raise UserError(
            f"{path}: {KEY!r} holds {array.dtype}, expected floats of 16, 32 or 64 bits, or integers: convert it"
        )
    return Stack(count, height, width, array.dtype.str)


def _require_held(path: Path, array: h5py.Dataset, size_bytes: int) -> None:
    """Hold what the header promises against the file, before anything of that size is allocated."""
    settings, promised = array.id.get_create_plist(), prod(array.shape) * array.dtype.itemsize
    layout = settings.get_layout()
    if layout == h5py.h5d.VIRTUAL or settings.get_external_count():
        raise UserError(f"{path}: the pixels of {KEY!r} lie in other files: copy them into one")
    lacking = UserError(
        f"{path}: {KEY!r} promises {array.shape[0]} images of {promised / array.shape[0]:.0f} bytes, more than was "
        f"ever written to the file: {REMEDY}"
    )
    if layout == h5py.h5d.CONTIGUOUS:
        start = array.id.get_offset()
        if start is None or array.id.get_storage_size() != promised or start + promised > size_bytes:
            raise lacking
    elif layout == h5py.h5d.CHUNKED:
        ends: list[int] = []
        array.id.chunk_iter(lambda chunk: ends.append(chunk.byte_offset + chunk.size))
        wanted = prod(ceil(side / chunk) for side, chunk in zip(array.shape, array.chunks, strict=True))
        if len(ends) != wanted or max(ends) > size_bytes:
            raise lacking
