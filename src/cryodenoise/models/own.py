"""A network of one's own: a function of a module in a folder of code, or of an installed package."""

import copy
import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from cryodenoise.config.training import ImportedModel
from cryodenoise.errors import UserError, require_known
from cryodenoise.models.code_folder import faults_told, import_module, searched_first
from cryodenoise.models.network import Network


def import_network(model: ImportedModel, code_dir: Path | None, place: str) -> Network:
    """The network that a function builds, after a trial; PyTorch's random numbers go on as if there had been none.

    Args:
        model: Where the function is, and its arguments.
        code_dir: Searched before installed packages; None searches these alone.
        place: Start of messages, such as `run/train.yaml: model`.

    Raises:
        UserError: If the module or the function is missing, takes other arguments or fails, or what it builds cannot be
            trained.
    """
    folder = code_dir.resolve() if code_dir else None

    def build() -> nn.Module:
        with searched_first(folder), faults_told(f"{place}: {model.import_} failed"):
            built = function(**copy.deepcopy(model.arguments))
        return _trainable(built, f"{place}: {model.import_}")

    with torch.random.fork_rng(devices=[]):
        function = _function(model, folder, place)
        first, second = build(), build()
        if {id(value) for value in first.parameters()} & {id(value) for value in second.parameters()}:
            raise UserError(
                f"{place}: {model.import_} gave the same weights twice, expected new ones a call: make the layers "
                "within the function"
            )
    return Network(model.import_, build)


def _function(model: ImportedModel, folder: Path | None, place: str) -> Callable[..., object]:
    """The function, which takes the arguments."""
    module_name, name = model.import_.split(":")
    module = import_module(module_name, folder, place)
    with faults_told(f"{place}: looking up {model.import_} failed"):
        function: Callable[..., object] | None = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        require_known(f"{place}: function of {module.__file__ or module_name}", name, known)
        raise AssertionError(name)
    try:
        signature = inspect.signature(function)
    except ValueError:  # what is written in C need not tell
        return function
    try:
        signature.bind(**model.arguments)
    except TypeError as error:
        raise UserError(f"{place}: arguments: {error}, expected those of {name}{signature}: mend them") from error
    return function


def _trainable(built: object, place: str) -> nn.Module:
    """Refuse what is no network, has nothing to train or cannot be saved."""
    if not isinstance(built, nn.Module):
        raise UserError(f"{place} gave {type(built).__name__}, expected a torch.nn.Module: mend what it returns")
    if not any(value.requires_grad for value in built.parameters()):
        raise UserError(f"{place} gave a network without trainable parameters, expected some: mend what it returns")
    for name, value in built.state_dict().items():
        if not isinstance(value, torch.Tensor) or is_lazy(value):
            raise UserError(f"{place}: {name} cannot be saved, expected a tensor of known shape: mend that layer")
    return built
