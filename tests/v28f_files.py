"""Files as v28f wrote them, from known weights, by numpy's own means of either order."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

LAYERS = {"conv1": "0", "conv2": "2", "conv3": "4"}
"""Of each layer, its place in `cnn3`."""


def _index_by_index(kernel: np.ndarray) -> np.ndarray:
    """What a loop over the declared indices would do: saved(kh, kw, i, o) = layer(o, i, kh, kw)."""
    layer = np.asfortranarray(np.empty(kernel.shape, np.float32))
    layer.ravel(order="K")[:] = kernel.ravel()  # the same memory, which Fortran calls by other indices
    saved = np.empty((*kernel.shape[2:], kernel.shape[1], kernel.shape[0]), np.float32, order="F")
    for o, i, kh, kw in np.ndindex(*kernel.shape):
        saved[kh, kw, i, o] = layer[o, i, kh, kw]
    return saved.ravel(order="F")


WRITERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "out-in-kh-kw": lambda kernel: kernel.ravel(),
    "out-in-kw-kh": lambda kernel: kernel.transpose(2, 3, 1, 0).ravel(order="F"),
    "kh-kw-in-out": lambda kernel: kernel.transpose(2, 3, 1, 0).ravel(),
    "kw-kh-in-out": lambda kernel: kernel.ravel(order="F"),
    "scrambled": _index_by_index,
}
"""Name of an order → the values of a kernel (out, in, kH, kW) in it."""


def write(folder: Path, weights: Mapping[str, torch.Tensor], order: str) -> Path:
    """Write weights of `cnn3` as six files in an order of WRITERS; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for layer, place in LAYERS.items():
        WRITERS[order](weights[f"{place}.weight"].numpy()).astype("<f4").tofile(folder / f"{layer}_weights.bin")
        weights[f"{place}.bias"].numpy().astype("<f4").tofile(folder / f"{layer}_bias.bin")
    return folder
