"""A run's state on the disk, and the proof that what was written is what was meant."""

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ConfigDict, Field
from torch import nn

from cryodenoise import devices
from cryodenoise.claims import differences
from cryodenoise.config.schema import Schema, validate
from cryodenoise.config.training_record import Epoch, TargetReached, TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import PARTIAL_SUFFIX, partial
from cryodenoise.models import Network
from cryodenoise.models.weights import load_into, read_tensors, write_tensors
from cryodenoise.training.averages import AveragedWeights

LAST_NAME = "last.safetensors"
BEST_NAME = "best.safetensors"
_OPTIMIZER = "optimizer."
_NETWORK = "network."
_AVERAGE = "average."
_BEST = "best."


class Progress(Schema):
    """Where a run stands: everything beside tensors that the next step depends on or the record tells."""

    model_config = ConfigDict(frozen=False)

    epoch: int = Field(1, ge=1)
    """The epoch under way."""
    step: int = Field(0, ge=0)
    """Steps done in it."""
    loss: float = 0.0
    """Sum of the objective over the epoch's samples so far."""
    skipped_steps: int = 0
    """Steps of the epoch so far that changed no weight, since a gradient of fp16 overflowed."""
    train_s: float = 0.0
    """Seconds spent on the epoch's steps so far."""
    waited_s: float = 0.0
    """Seconds of these in which the first process waited for samples."""
    read_bytes: int = 0
    """Bytes read for the epoch's steps so far, by all processes."""
    elapsed_s: float = 0.0
    """Seconds of the run before the epoch's steps so far."""
    samples_seen: int = 0
    """Training samples of the finished epochs."""
    history: list[Epoch] = Field(default_factory=list)
    """The finished epochs."""
    best_epoch: int = 0
    """The finished epoch with the lowest validation error; 0 before there is one."""
    best_mse: float | None = None
    """That error."""
    input_mse: float | None = None
    """Error of the validation split's noisy inputs; null until they were read."""
    target: TargetReached | None = None
    """When the quality that was asked for was reached."""
    scaler: dict[str, int | float] = Field(default_factory=dict)
    """State of the loss scaling of fp16."""
    learning_rate: float = 0.0
    """Of the last step."""
    micro_batch_size: int = Field(0, ge=0)
    """Samples computed at a time; 0 before it was found."""
    sessions: int = 0
    """How often the run was started."""

    def begin_epoch_after(self, finished: Epoch) -> None:
        """Note a finished epoch and go to the start of the next."""
        self.history.append(finished)
        self.epoch, self.samples_seen, self.elapsed_s = finished.epoch + 1, finished.samples_seen, finished.elapsed_s
        self.step, self.loss, self.skipped_steps = 0, 0.0, 0
        self.train_s, self.waited_s, self.read_bytes = 0.0, 0.0, 0


@dataclass
class Run:
    """All that changes while a network is trained.

    Attributes:
        network: What is trained, by name.
        module: Its weights.
        optimizer: Its state.
        average: The moving average of the weights, if one is kept.
        scaler: The loss scaling of fp16; does nothing for other types.
        made_from: What the run is made from, as JSON values.
        progress: Where it stands.
        best: The best weights so far; none before there are any.
    """

    network: Network
    module: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedWeights | None
    scaler: torch.amp.GradScaler
    made_from: dict[str, Any]
    progress: Progress = field(default_factory=Progress)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def evaluated(self) -> nn.Module:
        """The network whose weights are validated and kept: of the moving average where there is one."""
        if self.average is None:
            return self.module
        averaged = copy.deepcopy(self.module)
        averaged.load_state_dict(self.average.tensors())
        return averaged


def save_state(path: Path, run: Run) -> None:
    """Write all that `load_state` needs to go on as if nothing had happened."""
    tensors = {_NETWORK + name: value for name, value in run.module.state_dict().items()}
    tensors |= {_BEST + name: value for name, value in run.best.items()}
    if run.average:
        tensors |= {_AVERAGE + name: value for name, value in run.average.tensors().items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{index}.{key}": value for key, value in state.items() if value is not None}
    run.progress.scaler = run.scaler.state_dict()
    about = {"model": run.network.name, "made_from": run.made_from, "progress": run.progress.model_dump(mode="json")}
    write_tensors(path, tensors, about)


def load_state(path: Path, run: Run) -> None:
    """Put a saved state into a run.

    Raises:
        UnsoundError: If the file is damaged.
        UserError: If it is another run's, or another version's; the message names the difference.
    """
    try:
        tensors, about = read_tensors(path)
    except UserError as error:
        raise UnsoundError(str(error)) from error
    if not isinstance(about.get("progress"), dict):
        raise UserError(f"{path}: holds no progress, expected a state of training: {TrainingRecord.remedy()}")
    progress = validate(Progress, json.dumps(about["progress"]), path)
    if other := "; ".join(differences(about.get("made_from"), run.made_from)):
        raise UserError(f"{path}: the state of another run ({other}): give another folder, or remove this one")
    load_into(run.module, _strip(tensors, _NETWORK), run.network.name, path)
    if run.average:
        run.average.load(_strip(tensors, _AVERAGE))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _strip(tensors, _OPTIMIZER).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    if state:
        run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.state_dict()["param_groups"]})
    if progress.scaler:
        run.scaler.load_state_dict(progress.scaler)
    run.progress, run.best = progress, _strip(tensors, _BEST)


class UnsoundError(UserError):
    """A state that is damaged."""


def states(model_dir: Path) -> Iterator[Path]:
    """The saved states of a run that are there, the newest first."""
    number = 1
    while (path := state_path(model_dir, number)).exists():
        yield path
        number += 1


def state_path(model_dir: Path, number: int) -> Path:
    """The name of the newest state (1), of the one before it (2), and so on."""
    return model_dir / (LAST_NAME if number == 1 else f"last-{number}.safetensors")


def load_newest(model_dir: Path, run: Run, say: Callable[[str], None]) -> int:
    """Put the newest sound state into a run; its number, 0 if there is none.

    Raises:
        UserError: If there are states and none is sound, or one is another run's.
    """
    found = list(states(model_dir))
    for number, path in enumerate(found, 1):
        try:
            load_state(path, run)
        except UnsoundError as error:
            if number == len(found):
                raise
            say(f"{error}\n{path}: going on from the state before it")
        else:
            return number
    return 0


def forget_newer(model_dir: Path, number: int) -> None:
    """Remove the states newer than a number, which are damaged: that one becomes the newest.

    What an interruption left of states half made goes, too.
    """
    for path in model_dir.glob(f"last*{PARTIAL_SUFFIX}"):
        path.unlink()
    if number == 1:
        return
    found = list(states(model_dir))
    for place, path in enumerate(found[number - 1 :], 1):
        path.replace(state_path(model_dir, place))
    for path in found[len(found) - number + 1 :]:
        path.unlink(missing_ok=True)


def keep_former_states(model_dir: Path, keep: int) -> None:
    """Before a new state takes the name of the newest: that becomes the second, and so on, and `keep` − 1 stay.

    The newest keeps its name besides until another takes it, so that at every moment there is one.
    """
    found = list(states(model_dir))
    for path in reversed(found[max(keep, 1) :]):
        path.unlink()
    for number in range(min(len(found), keep - 1), 0, -1):
        place = state_path(model_dir, number + 1)
        beside = partial(place)
        beside.unlink(missing_ok=True)
        try:
            os.link(state_path(model_dir, number), beside)
        except OSError:  # a file system without hard links
            beside.write_bytes(state_path(model_dir, number).read_bytes())
        beside.replace(place)


def save_weights(path: Path, model: str, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the state of a network alone, as `test` reads it."""
    write_tensors(path, weights, {"model": model})


def load_network(path: Path, network: Network) -> nn.Module:
    """A module of the network with the weights that a file holds, of either kind.

    Raises:
        UserError: If the file is unsound or another network's.
    """
    tensors, _ = read_tensors(path)
    with torch.random.fork_rng(devices=[]):  # random layers go on as if nothing had been read
        module = network.build()
    load_into(module, _strip(tensors, _NETWORK) or tensors, network.name, path)
    return module


def require_same_prediction(path: Path, network: Network, module: nn.Module, batch: torch.Tensor) -> None:
    """Reload a file of weights and compare its prediction with the network's, bit for bit.

    Args:
        path: The file.
        network: The network, by name.
        module: What was saved, laid out by `devices.place`.
        batch: A fixed batch, likewise.

    Raises:
        RuntimeError: If they differ: the file does not hold what was trained.
    """
    reloaded = devices.place(load_network(path, network), batch.device)
    if not torch.equal(predict(reloaded, batch), predict(module, batch)):
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
