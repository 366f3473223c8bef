"""Weights of the v28f project (github.com/frasertajima/cryo_em_denoising2): its files, and orders of their values.

Its training writes the three convolutions of `cnn3` as conv1_weights.bin, conv1_bias.bin, … conv3_bias.bin into a
folder epoch_NNNN: float32, little-endian, no header (v28f_e_final_training/cryo_train.cuf, save_checkpoint and
save_layer_weights). The files do not say in which order the values lie, and its own programs disagreed on it.

In common/conv2d_cudnn.cuf a filter is described to cuDNN as NCHW of (out, in, kH, kW), and the convolution as a
cross-correlation; an image lies in memory row by row. So memory holds what PyTorch calls (out, in, kH, kW), in C order.
The Fortran arrays around that memory are declared (out, in, kH, kW), too, which in Fortran's order is something else.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from cryodenoise.errors import UserError

MODEL = "cnn3"
Shape = tuple[int, int, int, int]
"""Of a kernel: outputs, inputs, rows, columns."""
LAYERS: dict[str, tuple[str, Shape]] = {
    "conv1": ("0", (16, 1, 3, 3)),
    "conv2": ("2", (16, 16, 3, 3)),
    "conv3": ("4", (1, 16, 3, 3)),
}
"""Of each of its layers the place in `cnn3` and the shape of the kernel."""
_DTYPE = "<f4"
_OF_A_LAYER = re.compile(r"conv(\d+)_(weights|bias)\.bin")


def _in_axes(axes: tuple[int, int, int, int], values: np.ndarray, shape: Shape) -> np.ndarray:
    """Values whose axes lie in another order, the slowest first, each named by its place in (out, in, kH, kW)."""
    stored = values.reshape([shape[axis] for axis in axes])
    return stored.transpose(np.argsort(axes))


def _by_declaration(values: np.ndarray, shape: Shape) -> np.ndarray:
    """Undo a copy from (out, in, kH, kW) to (kH, kW, in, out) by index, both in Fortran's order."""
    declared = _in_axes((0, 1, 3, 2), values, shape)
    return declared.ravel(order="F").reshape(shape)  # what the declaration calls by these indices, as memory has it


ORDERS: dict[str, Callable[[np.ndarray, Shape], np.ndarray]] = {
    "out-in-kh-kw": partial(_in_axes, (0, 1, 2, 3)),
    "out-in-kw-kh": partial(_in_axes, (0, 1, 3, 2)),
    "kh-kw-in-out": partial(_in_axes, (2, 3, 1, 0)),
    "kw-kh-in-out": partial(_in_axes, (3, 2, 1, 0)),
    "scrambled": _by_declaration,
}
"""Name → the kernel (out, in, kH, kW) that values of shape (n,) are. Names of axes begin with the slowest, as C has it.

out-in-kh-kw: a copy of memory, which the files are since the fix: CRITICAL_WEIGHT_BUG_FIX.md ("Fortran Code Fix"),
    and the loader of notebooks/cryo_cnn_evaluation.ipynb. Fortran's order of (kW, kH, in, out).
out-in-kw-kh: Fortran's order of (kH, kW, in, out), as the saving routine declared its array before the fix.
kh-kw-in-out: what loaders took the files for before the fix: reshape(3, 3, in, out).transpose(3, 2, 0, 1).
kw-kh-in-out: Fortran's order of (out, in, kH, kW), as arrays are declared now, and as TENSOR_LAYOUT.md would have it.
scrambled: what CRITICAL_WEIGHT_BUG_FIX.md says of the files before the fix: copied index by index between arrays that
    are declared (out, in, kH, kW) and (kH, kW, in, out), the former around cuDNN's memory.
"""


@dataclass(frozen=True)
class RawFile:
    """A file of values.

    Attributes:
        values: All of them, float32, shape (n,).
        size_bytes: Length of the file.
        sha256: SHA-256 of the file.
    """

    values: np.ndarray
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class RawWeights:
    """The files of a folder.

    Attributes:
        files: By file name, sorted.
        not_read: Names of other files of values beside them.
    """

    files: dict[str, RawFile]
    not_read: list[str]


def read(directory: Path) -> RawWeights:
    """Read the six files of a network.

    Raises:
        UserError: If files are missing, of another length, hold values that are not finite, or belong to another
            network; the message has a line for each.
    """
    expected = {
        f"{layer}_{part}.bin": count
        for layer, (_, shape) in LAYERS.items()
        for part, count in (("bias", shape[0]), ("weights", math.prod(shape)))
    }
    _require_folder(directory, expected)
    others = sorted(path.name for path in directory.iterdir() if path.suffix == ".bin" and path.name not in expected)
    if more := [name for name in others if _OF_A_LAYER.fullmatch(name)]:
        raise UserError(
            f"{directory}: found {', '.join(more)}, expected the layers {', '.join(LAYERS)} alone: another network "
            f"than {MODEL}, whose weights cannot be imported"
        )
    found, wrong = {}, []
    for name, count in sorted(expected.items()):
        path, size_bytes = directory / name, (directory / name).stat().st_size
        length = count * np.dtype(_DTYPE).itemsize
        if size_bytes != length:
            wrong.append(
                f"{path}: {size_bytes} bytes, {size_bytes / 4:g} values, expected {length} bytes, {count} values of "
                "float32: give files that v28f wrote whole"
            )
            continue
        content = path.read_bytes()
        values = np.frombuffer(content, _DTYPE).astype(np.float32)
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            wrong.append(f"{path}: {bad} of {count} values are not finite, expected numbers: give another epoch")
        found[name] = RawFile(values, size_bytes, hashlib.sha256(content).hexdigest())
    if wrong:
        raise UserError("\n".join(wrong))
    return RawWeights(found, others)


def _require_folder(directory: Path, expected: Mapping[str, int]) -> None:
    """Refuse a folder in which files are missing; one above folders of epochs gets their names."""
    if not directory.is_dir():
        found = "is a file" if directory.exists() else "does not exist"
        raise UserError(f"{directory}: {found}, expected a folder with {', '.join(sorted(expected))}")
    missing = [name for name in sorted(expected) if not (directory / name).is_file()]
    if not missing:
        return
    folders = sorted(path.parent.name for path in directory.glob("*/*.bin") if path.name in expected)
    inside = list(dict.fromkeys(folders))
    others = sorted(path.name for path in directory.iterdir() if _OF_A_LAYER.fullmatch(path.name))
    others = [name for name in others if name not in expected]
    hint = f"give one of its folders {', '.join(inside)}" if inside else "give the folder of an epoch, all files in it"
    beside = f"; found {', '.join(others)}, which are another network's" if others else ""
    raise UserError(f"{directory}: {', '.join(missing)} missing{beside}: {hint}")


def state(weights: RawWeights, order: str) -> dict[str, torch.Tensor]:
    """The weights as `cnn3` names and shapes them, float32.

    Args:
        weights: What `read` found.
        order: A name of ORDERS.
    """
    tensors = {}
    for layer, (place, shape) in LAYERS.items():
        kernel = ORDERS[order](weights.files[f"{layer}_weights.bin"].values, shape)
        tensors[f"{place}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel))
        tensors[f"{place}.bias"] = torch.from_numpy(weights.files[f"{layer}_bias.bin"].values.copy())
    return tensors
