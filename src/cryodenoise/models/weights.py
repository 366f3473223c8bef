"""Weights as safetensors files: tensors and one JSON text, never code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.files import write_atomically

_KEY = "cryodenoise"  # one key: the format does not keep the order of several, and equal content gives equal files


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and what they are about, whole or not at all."""
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(content, {_KEY: json.dumps(about, sort_keys=True)}))


def read_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        UserError: If the file is no sound safetensors file of this program.
    """
    try:
        with safe_open(path, framework="pt") as stream:
            about = json.loads((stream.metadata() or {})[_KEY])
            return {name: stream.get_tensor(name) for name in stream.keys()}, about  # noqa: SIM118  no dict
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: no checkpoint of cryodenoise ({error}): remove it and run `cryodenoise train` again"
        ) from error


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
