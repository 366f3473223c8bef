"""A run's state on the disk, and the proof that what was written is what was meant."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ConfigDict, Field
from torch import nn

from cryodenoise import devices
from cryodenoise.config.documents import Epoch
from cryodenoise.config.schema import Schema, validate
from cryodenoise.models import MODELS
from cryodenoise.models.weights import load_into, read_tensors, write_tensors

LAST_NAME = "last.safetensors"
BEST_NAME = "best.safetensors"
_OPTIMIZER = "optimizer."
_NETWORK = "network."
_BEST = "best."


class Progress(Schema):
    """Where a run stands: everything beside weights and optimizer that the next step depends on or the record tells."""

    model_config = ConfigDict(frozen=False)

    epoch: int = Field(1, ge=1)
    """The epoch under way."""
    step: int = Field(0, ge=0)
    """Steps done in it."""
    squared_error: float = 0.0
    """Sum over the epoch's samples so far of their mean squared errors."""
    train_s: float = 0.0
    """Seconds spent on the epoch's steps so far."""
    history: list[Epoch] = Field(default_factory=list)
    """The finished epochs."""
    best_epoch: int = 0
    """The finished epoch with the lowest validation error; 0 before there is one."""
    best_mse: float | None = None
    """That error."""

    def begin_epoch_after(self, finished: Epoch) -> None:
        """Note a finished epoch and go to the start of the next."""
        self.history.append(finished)
        self.epoch, self.step, self.squared_error, self.train_s = finished.epoch + 1, 0, 0.0, 0.0


def save_state(
    path: Path,
    model: str,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    best_weights: Mapping[str, torch.Tensor],
) -> None:
    """Write all that `load_state` needs to go on as if nothing had happened; no best weights before there are any."""
    tensors = {_NETWORK + name: value for name, value in network.state_dict().items()}
    tensors |= {_BEST + name: value for name, value in best_weights.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{index}.{key}": value for key, value in state.items() if value is not None}
    write_tensors(path, tensors, {"model": model, "progress": progress.model_dump(mode="json")})


def load_state(
    path: Path, model: str, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Put a saved state into network and optimizer.

    Returns:
        Where the run stands, and the best weights so far, if any.

    Raises:
        UserError: If the file is unsound or another network's.
    """
    tensors, about = read_tensors(path)
    load_into(network, _strip(tensors, _NETWORK), model, path)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _strip(tensors, _OPTIMIZER).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    if state:
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return validate(Progress, json.dumps(about.get("progress")), path), _strip(tensors, _BEST)


def save_weights(path: Path, model: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the state of a network alone, as `test` reads it."""
    write_tensors(path, weights, {"model": model})


def load_network(path: Path, model: str) -> nn.Module:
    """A network with the weights that a file holds, of either kind.

    Raises:
        UserError: If the file is unsound or another network's.
    """
    tensors, _ = read_tensors(path)
    network = MODELS[model]()
    load_into(network, _strip(tensors, _NETWORK) or tensors, model, path)
    return network


def require_same_prediction(path: Path, model: str, network: nn.Module, batch: torch.Tensor) -> None:
    """Reload a file of weights and compare its prediction with the network's, bit for bit.

    Args:
        path: The file.
        model: The network's name.
        network: What was saved, laid out by `devices.place`.
        batch: A fixed batch, likewise.

    Raises:
        RuntimeError: If they differ: the file does not hold what was trained.
    """
    reloaded = devices.place(load_network(path, model), batch.device)
    if not torch.equal(predict(reloaded, batch), predict(network, batch)):
        raise RuntimeError(f"{path}: reloaded weights predict something else than the weights that were saved")


@torch.no_grad()
def predict(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """The network's output in evaluation mode, shape (n, 1, h, w); leaves the mode as it was."""
    training = network.training
    output: torch.Tensor = network.eval()(batch)
    network.train(training)
    return output


def _strip(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
