"""Weights as safetensors files: tensors and one JSON text, never code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import write_atomically

_KEY = "cryodenoise"  # one key: the format does not keep the order of several, and equal content gives equal files


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and what they are about, whole or not at all."""
    # Copies, since the format holds no tensors that share memory, as tied weights do.
    content = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }
    noted = {"about": about, "digest": _digest(content, about)}
    write_atomically(path, save(content, {_KEY: json.dumps(noted, sort_keys=True)}))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        UserError: If the file is no safetensors file of this program, or was altered.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            noted = json.loads((stream.metadata() or {})[_KEY])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118  no dict
        if noted["digest"] != _digest(tensors, noted["about"]):
            raise ValueError("its content was altered")
        return tensors, noted["about"]
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no checkpoint of cryodenoise ({error}): {TrainingRecord.remedy()}") from error


def _digest(tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 over what the tensors are about and, in order of their names, their names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def load_into(network: nn.Module, tensors: Mapping[str, torch.Tensor], model: str, path: Path) -> None:
    """Put weights into a network.

    Args:
        network: Takes the weights.
        tensors: By the names of the network's state.
        model: The network's name, for the message.
        path: Where the weights came from, for the message.

    Raises:
        UserError: If they are those of another network.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if found != expected:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))[0]
        raise UserError(
            f"{path}: weights of another network than {model}: {odd} has shape {found.get(odd)}, expected "
            f"{expected.get(odd)}: give the folder of a run with this model"
        )
    network.load_state_dict(dict(tensors))
