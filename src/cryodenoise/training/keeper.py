"""Saving a run's state and its best weights, and refusing to save what has diverged."""

import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cryodenoise.config.training import CheckpointParameters
from cryodenoise.config.training_record import Epoch
from cryodenoise.errors import UserError
from cryodenoise.files import commit, partial
from cryodenoise.training.checkpoints import (
    BEST_NAME,
    LAST_NAME,
    Run,
    keep_former_states,
    require_same_prediction,
    save_state,
    save_weights,
)
from cryodenoise.training.processes import Group
from cryodenoise.training.step import LossWatch, Where

_SAMPLES_NAMED = 16  # of a batch whose loss is no number


class Keeper:
    """What is kept of a run: its states, its best weights, and the figures of the epoch under way.

    Each process notes its own figures; those of all are put together when a state is saved.
    """

    def __init__(
        self, run: Run, model_dir: Path, parameters: CheckpointParameters, group: Group, probe: torch.Tensor
    ) -> None:
        self._run = run
        self._model_dir = model_dir
        self._parameters = parameters
        self._group = group
        self._probe = probe
        self._watch = LossWatch()
        self._saved_s = time.monotonic()
        self._loss = torch.zeros((), dtype=torch.float64, device=group.device)
        self._read_bytes = 0

    def begin_epoch(self) -> int:
        """Begin or go on with an epoch: its figures so far are the first process's; bytes read so far."""
        progress = self._run.progress
        self._loss.fill_(progress.loss if self._group.first else 0.0)
        self._read_bytes = progress.read_bytes if self._group.first else 0
        return self._read_bytes

    def note(self, loss: torch.Tensor, read_bytes: int, where: Where) -> None:
        """Note a step: the objective, summed over this process's samples, and the bytes read in the epoch so far.

        Raises:
            UserError: If the objective of this step, or on a GPU of the one before, is no number.
        """
        self._loss += loss
        self._read_bytes = read_bytes
        if bad := self._watch.see(loss, where):
            raise self._diverged(bad)

    def due(self) -> bool:
        """Whether it is time to save the state."""
        return time.monotonic() - self._saved_s > 60 * self._parameters.every_min

    def gather(self) -> None:
        """Put the figures of all processes together in the run's progress.

        Raises:
            UserError: If a loss is no number.
        """
        if bad := self._watch.look():
            raise self._diverged(bad)
        loss, read_bytes = self._group.summed(np.array([self._loss.item(), self._read_bytes]))
        self._run.progress.loss, self._run.progress.read_bytes = float(loss), round(read_bytes)

    def save(self) -> None:
        """Save the state; the one before stays as long as it is to be kept.

        Raises:
            UserError: If it has diverged.
        """
        self.gather()
        module, path = self._run.module, self._model_dir / LAST_NAME
        self.require_finite()
        if self._group.first:
            beside = partial(path)
            save_state(beside, self._run)
            require_same_prediction(beside, self._run.network, module, self._probe)
            keep_former_states(self._model_dir, self._parameters.keep_last)
            commit(path)
        self._saved_s = time.monotonic()

    def require_number(self, validation_mse: float) -> None:
        """Refuse a validation error that is no number.

        Raises:
            UserError: If it is none.
        """
        if not math.isfinite(validation_mse):
            raise self._diverged(self._here())

    def finish_epoch(self, epoch: Epoch, evaluated: nn.Module) -> None:
        """Note a validated epoch, and keep the weights if none before it had a lower error."""
        self._keep_if_best(epoch, evaluated)
        self._run.progress.begin_epoch_after(epoch)
        self.begin_epoch()

    def _keep_if_best(self, epoch: Epoch, evaluated: nn.Module) -> None:
        run, path = self._run, self._model_dir / BEST_NAME
        if run.progress.best_mse is not None and epoch.validation_mse >= run.progress.best_mse:
            return
        run.progress.best_epoch, run.progress.best_mse = epoch.epoch, epoch.validation_mse
        run.best = {name: value.detach().clone() for name, value in evaluated.state_dict().items()}
        if self._group.first:
            save_weights(path, run.network.name, run.best)
            require_same_prediction(path, run.network, evaluated, self._probe)

    def require_finite(self) -> None:
        """Refuse weights that are no numbers, as the last step may have left them.

        Raises:
            UserError: If one is none.
        """
        if not all(value.isfinite().all() for value in self._run.module.state_dict().values()):
            raise self._diverged(self._here())

    def _here(self) -> Where:
        return Where(self._run.progress.epoch, self._run.progress.step, np.array([], np.int64))

    def _diverged(self, where: Where) -> UserError:
        named = ", ".join(map(str, where.samples[:_SAMPLES_NAMED])) + ", …" * (len(where.samples) > _SAMPLES_NAMED)
        batch = f"training samples {named}" if named else "after the update"
        last = self._model_dir / LAST_NAME
        state = f"the last good state is {last}" if last.exists() else "no state was saved before"
        return UserError(
            f"training diverged: the loss is no number in epoch {where.epoch}, step {where.step}, {batch}: {state}: "
            "lower optimizer.learning_rate, set gradient_clip_norm or use precision fp32, and give a new model folder"
        )
