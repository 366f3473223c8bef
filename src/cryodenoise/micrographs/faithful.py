"""MRC files that keep what the header of their source said: https://www.ccpem.ac.uk/mrc_format/mrc2014.php.

The header is the source's, byte for byte and in its byte order, but for the fields that are set here: so the numbers of
an extended header, and those that programs put into the unused part, keep the order that the machine stamp names.
"""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from cryodenoise import __version__, micrographs
from cryodenoise.errors import InputError
from cryodenoise.files import commit, partial
from cryodenoise.micrographs import mrc
from cryodenoise.micrographs.image import BLOCK_PIXELS, REMEDY, plausible
from cryodenoise.micrographs.mrc import HEADER_BYTES
from cryodenoise.micrographs.streams import opened

Mode = Literal["float32", "float16"]

_MODES = {"float32": (2, "f4"), "float16": (12, "f2")}
_EXTENDED_TYPES = (b"CCP4", b"MRCO", b"SERI", b"AGAR", b"FEI1", b"FEI2", b"HDF5")
_UNNAMED_TYPE = b"MRCO"
_TYPE_OF_THE_WHOLE = b"CCP4"
"""The one type of extended header that is known to have no record for each image."""
_LABELS, _LABEL_BYTES = 10, 80
_VERSION = 20141  # the first that has mode 12
_STAMPS = {"<": (0x44, 0x44, 0, 0), ">": (0x11, 0x11, 0, 0)}
_UNDETERMINED = -1.0
_LARGEST_SQUARED = 1e15
"""Readers that sum squares in float32 get infinity from a hundred million pixels beyond it."""
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class _Kept:
    """What a source says beside its pixels."""

    byte_order: str
    header: bytes
    extended_bytes: int
    images: int
    pixel_size_angstrom: float | None


class _Statistics:
    """Least, greatest, mean and standard deviation of pixels that come in parts (Chan, Golub and LeVeque 1983)."""

    def __init__(self) -> None:
        self.count, self.least, self.greatest, self.mean, self._squares = 0, math.inf, -math.inf, 0.0, 0.0

    def add(self, pixels: np.ndarray) -> None:
        values = pixels.astype(np.float64)
        mean = float(values.mean())
        squares = float(np.square(values - mean).sum())
        count = self.count + values.size
        step = mean - self.mean
        self._squares += squares + step * step * self.count * values.size / count
        self.mean += step * values.size / count
        self.count = count
        self.least, self.greatest = min(self.least, float(values.min())), max(self.greatest, float(values.max()))

    @property
    def rms(self) -> float:
        return math.sqrt(self._squares / self.count)


def naming(model: str, digest: str) -> str:
    """The label that says what made a file: program, version, model and the beginning of its SHA-256."""
    program, shown = f"cryodenoise {__version__}: ", f", sha256 {digest[:16]}"
    return program + model.encode("ascii", "replace").decode()[: _LABEL_BYTES - len(program) - len(shown)] + shown


def write_denoised(
    path: Path,
    images: np.ndarray | Iterable[np.ndarray],
    source: Path,
    pixel_size_angstrom: float | None,
    mode: Mode,
    label: str,
) -> None:
    """Write what became of a micrograph, whole or not at all, with what its source's header said.

    Equal input gives equal files: no time is written. docs/DENOISING.md says where each field comes from.

    Args:
        path: Where to.
        images: One float32 image of shape (h, w); or all images of a stack, an array of shape (n, h, w) or one by one,
            as many as the source has.
        source: The file that they were made from, as `micrographs` reads it.
        pixel_size_angstrom: Pixel size in Å; None takes what the source says, where that is plausible.
        mode: `float32`, MRC mode 2; or `float16`, MRC mode 12, rounded to nearest.
        label: As of `naming`: ASCII, at most 80 characters.

    Raises:
        UserError: If the source is none that can be read.
        InputError: If a pixel is NaN, infinite or beyond what float16 holds, or the source's extended header ends
            early.
        OSError: If it cannot be written; then nothing is left.
    """
    kept = _kept(source)
    expected = kept.images
    if isinstance(images, np.ndarray) and images.ndim == 2:
        images, expected = (images,), 1
    header = np.frombuffer(bytearray(kept.header), HEADER_DTYPE.newbyteorder(kept.byte_order)).copy()
    if expected < kept.images and header["exttyp"][0] != _TYPE_OF_THE_WHOLE:
        kept = replace(kept, extended_bytes=0)
    number, kind = _MODES[mode]
    statistics, count, shape = _Statistics(), 0, (0, 0)
    try:
        with partial(path).open("wb", buffering=0) as stream:
            _put(stream, bytes(HEADER_BYTES))
            _copy_extended(source, kept.extended_bytes, stream)
            for image in images:
                assert image.dtype == np.float32
                assert not count or image.shape == shape
                shape, count = image.shape, count + 1
                for block in _blocks(image):
                    written = _converted(path, block, np.dtype(kept.byte_order + kind))
                    statistics.add(written)
                    _put(stream, written.data)
            assert count == expected
            _set_geometry(header, (count, *shape), kept.pixel_size_angstrom, pixel_size_angstrom)
            _set_content(header, number, kept, statistics)
            _add_label(header, label)
            stream.seek(0)
            _put(stream, header.tobytes())
            os.fsync(stream.fileno())
    except BaseException:
        partial(path).unlink(missing_ok=True)
        raise
    commit(path)


def _kept(source: Path) -> _Kept:
    found = micrographs.read_header(source)
    if not source.name.lower().endswith(mrc.SUFFIXES):
        return _Kept("<", bytes(HEADER_BYTES), 0, found.frames, found.pixel_size_angstrom)
    layout = mrc.read_layout(source)
    with opened(source) as stream:
        header = stream.read(HEADER_BYTES)
    extended_bytes = layout.offset_bytes - HEADER_BYTES
    return _Kept(layout.byte_order, header, extended_bytes, found.frames, found.pixel_size_angstrom)


def _copy_extended(source: Path, size_bytes: int, stream: FileIO) -> None:
    """Copy an extended header as it is, in blocks, as a compressed file may claim one of any length."""
    if not size_bytes:
        return
    with opened(source) as original:
        original.seek(HEADER_BYTES)
        left = size_bytes
        while left:
            block = original.read(min(left, _COPY_BYTES))
            if not block:
                raise InputError(f"{source}: ends in its extended header: it is truncated or damaged: {REMEDY}")
            _put(stream, block)
            left -= len(block)


def _put(stream: FileIO, content: bytes | memoryview) -> None:
    """Write all of it; an error names the file, which those of a full disk do not."""
    left = memoryview(content).cast("B")
    while left:
        try:
            left = left[stream.write(left) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(stream.name)) from error


def _blocks(image: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, BLOCK_PIXELS // image.shape[1])
    for top in range(0, image.shape[0], rows):
        yield image[top : top + rows]


def _converted(path: Path, pixels: np.ndarray, pixel_type: np.dtype) -> np.ndarray:
    """Pixels as they are written, C order."""
    if not np.isfinite(pixels).all():
        raise InputError(f"{path.name}: a denoised pixel is NaN or infinite: the model cannot denoise this micrograph")
    with np.errstate(over="ignore", under="ignore"):
        written = pixels.astype(pixel_type, order="C")
    if not np.isfinite(written).all():
        most, found = np.finfo(np.float16).max, pixels.flat[np.abs(pixels).argmax()]
        raise InputError(
            f"{path.name}: an intensity of {found:g}, float16 holds up to {most:.0f}: write it with mode: float32"
        )
    return written


def _set_geometry(
    header: np.ndarray, shape: tuple[int, ...], found_angstrom: float | None, wanted_angstrom: float | None
) -> None:
    """Shape, grid and cell; an image stack has space group 0 and a grid that is one section deep, as has an image."""
    (rows_sampled,), (cell,) = header["my"], header["cella"]
    size = wanted_angstrom or found_angstrom or 0.0
    row_size = size
    if wanted_angstrom is None and size and rows_sampled > 0:
        row_size = plausible(float(cell["y"]) / float(rows_sampled)) or size
    count, height, width = shape
    for field, value in {"nx": width, "ny": height, "nz": count, "mx": width, "my": height, "mz": 1}.items():
        header[field] = value
    header["cella"] = (size * width, row_size * height, size)
    angles = header["cellb"][0].tolist()
    if not all(0 < angle < 180 for angle in angles):
        header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"], header["ispg"] = 1, 2, 3, 0
    if not all(map(math.isfinite, header["origin"][0].tolist())):
        header["origin"] = (0, 0, 0)


def _set_content(header: np.ndarray, mode: int, kept: _Kept, statistics: _Statistics) -> None:
    """Mode, stamps, what the extended header is, and the statistics of the pixels."""
    header["mode"], header["nversion"], header["map"] = mode, _VERSION, b"MAP "
    header["machst"] = _STAMPS[kept.byte_order]
    header["nsymbt"] = kept.extended_bytes
    if not kept.extended_bytes:
        header["exttyp"] = b""
    elif header["exttyp"][0] not in _EXTENDED_TYPES:
        header["exttyp"] = _UNNAMED_TYPE
    header["dmin"], header["dmax"], header["dmean"] = statistics.least, statistics.greatest, statistics.mean
    # Readers that sum float16 in float16, as mrcfile's validator does, find infinity, and would call the truth wrong.
    summed = mode == 2 and max(-statistics.least, statistics.greatest) < _LARGEST_SQUARED
    header["rms"] = statistics.rms if summed else _UNDETERMINED


def _add_label(header: np.ndarray, label: str) -> None:
    """Put a label behind those that hold text, or in the place of the last where all are taken."""
    assert label.isascii()
    assert len(label) <= _LABEL_BYTES
    old = [bytes(text) for text in header["label"][0] if text.strip()]
    labels = [*old[: _LABELS - 1], label.encode()]
    header["nlabl"] = len(labels)
    header["label"] = np.array(labels + [b""] * (_LABELS - len(labels)), dtype=f"S{_LABEL_BYTES}")
