"""MRC files with one image: https://www.ccpem.ac.uk/mrc_format/mrc2014.php, and the older headers still around.

`mrcfile` reads and writes; the header is held against the file's length first, since a forged or truncated file would
otherwise be read in part or fill the memory.
"""

import hashlib
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np

from cryodenoise.errors import InputError, UserError
from cryodenoise.files import commit, partial

SUFFIX = ".mrc"
HEADER_BYTES = 1024
LABEL = b"cryodenoise"
_IMOD_STAMP = 1146047817  # https://bio3d.colorado.edu/imod/doc/mrc_format.txt
_PIXEL_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}
_REMEDY = "fetch or export it again, or move it out of the folder"


@dataclass(frozen=True)
class MrcHeader:
    """What the header of a sound one-image MRC file says."""

    height_px: int
    width_px: int
    pixel_size_angstrom: float | None
    """None where the header has no cell."""
    unsigned_bytes: bool = False
    """Whether mode 0 means 0 to 255, as in older files of IMOD, instead of -128 to 127."""


def read_header(path: Path) -> MrcHeader:
    """Read and check the header of an MRC file with one image.

    Raises:
        UserError: If the file is no MRC file, is not as long as its header says, holds other than real numbers or
            more than one image.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        raw = stream.read(HEADER_BYTES)
    if len(raw) < HEADER_BYTES:
        raise UserError(f"{path}: {size_bytes} bytes, shorter than the {HEADER_BYTES} of an MRC header: {_REMEDY}")
    for order in ("<", ">"):  # the machine stamp is missing or wrong in many old files; the mode is not
        nx, ny, nz, mode = struct.unpack(order + "4i", raw[:16])
        if mode in range(128) and min(nx, ny, nz) >= 1:
            break
    else:
        raise UserError(f"{path}: no MRC file, its first numbers make no header: {_REMEDY}")
    if mode not in _PIXEL_BYTES:
        raise UserError(f"{path}: MRC mode {mode}, expected one of {', '.join(map(str, _PIXEL_BYTES))}: convert it")
    (mx,) = struct.unpack(order + "i", raw[28:32])
    (cell_x,) = struct.unpack(order + "f", raw[40:44])
    (extended_bytes,) = struct.unpack(order + "i", raw[92:96])
    expected = HEADER_BYTES + extended_bytes + nx * ny * nz * _PIXEL_BYTES[mode]
    if extended_bytes < 0 or size_bytes != expected:
        raise UserError(
            f"{path}: {size_bytes} bytes, its header asks for {expected}: it is truncated or damaged: {_REMEDY}"
        )
    if nz != 1:
        raise UserError(f"{path}: a stack of {nz} images, expected one: sum the frames of a movie first")
    pixel_size = cell_x / mx if mx > 0 and np.isfinite(cell_x) and cell_x > 0 else None
    imod_stamp, imod_flags = struct.unpack(order + "2i", raw[152:160])
    return MrcHeader(ny, nx, pixel_size, mode == 0 and imod_stamp == _IMOD_STAMP and not imod_flags & 1)


def read(path: Path) -> np.ndarray:
    """The pixels of an MRC file with one image, float32, shape (h, w).

    Raises:
        UserError: As `read_header`.
        InputError: If a pixel is NaN or infinite.
    """
    header = read_header(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old headers have no map stamp; what matters was checked above
        with mrcfile.open(path, permissive=True) as mrc:
            pixels = np.asarray(mrc.data).reshape(header.height_px, header.width_px)
    image = (pixels.view(np.uint8) if header.unsigned_bytes else pixels).astype(np.float32)
    finite = np.isfinite(image)
    if not finite.all():
        y, x = np.argwhere(~finite)[0]
        raise InputError(
            f"{path}: {finite.size - np.count_nonzero(finite)} of {finite.size} pixels are NaN or infinite, the first "
            f"in row {y}, column {x}: replace them or move the file out of the folder"
        )
    return image


def write(path: Path, image: np.ndarray, pixel_size_angstrom: float) -> None:
    """Write one image, whole or not at all, as MRC mode 2 with pixel size and statistics.

    The label says `cryodenoise` where mrcfile puts a time stamp: equal images give equal files.
    """
    with warnings.catch_warnings(), mrcfile.new(partial(path), overwrite=True) as mrc:
        warnings.simplefilter("ignore")
        mrc.set_data(np.ascontiguousarray(image, dtype=np.float32))
        mrc.voxel_size = pixel_size_angstrom
        mrc.header.label[0] = LABEL
    commit(path)


def pixel_digest(image: np.ndarray) -> str:
    """SHA-256 of a line `cryodenoise pixels 1 HEIGHT WIDTH` and the pixels as little-endian float32, row by row."""
    height, width = image.shape
    digest = hashlib.sha256(f"cryodenoise pixels 1 {height} {width}\n".encode())
    digest.update(np.ascontiguousarray(image, dtype="<f4").data)
    return digest.hexdigest()
