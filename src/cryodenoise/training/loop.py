"""The training loop, from top to bottom."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cryodenoise import devices, seeds
from cryodenoise.config.documents import DatasetRecord, Epoch
from cryodenoise.config.run_files import TrainParameters
from cryodenoise.console import Console
from cryodenoise.dataset.order import batches, shuffled
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.dataset.stream import stream
from cryodenoise.errors import UserError
from cryodenoise.interruption import deferred
from cryodenoise.models import MODELS
from cryodenoise.training.checkpoints import (
    BEST_NAME,
    LAST_NAME,
    Progress,
    load_state,
    predict,
    require_same_prediction,
    save_state,
    save_weights,
)

_PROBE_SAMPLES = 2  # the fixed batch on which a reloaded checkpoint must predict the same
_DIVERGENCE_CHECK_STEPS = 50  # reading the loss waits for a GPU, so not every step
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def run_training(
    parameters: TrainParameters,
    data_dir: Path,
    dataset: DatasetRecord,
    model_dir: Path,
    device: torch.device,
    console: Console,
) -> Progress:
    """Train, from the start or from the state that model_dir holds.

    A signal ends the run after the step under way, its state saved; the state is also saved after each epoch. Weights,
    history and best epoch do not depend on how often that happened.

    Raises:
        UserError: If a sample is damaged, the state is another network's, or the loss is no longer finite.
        Interrupted: On a signal, after saving.
    """
    torch.manual_seed(seeds.derive(parameters.seed, "weights") % 2**63)
    network = devices.place(MODELS[parameters.model](), device)
    optimizer = OPTIMIZERS[parameters.optimizer.name](network.parameters(), lr=parameters.optimizer.learning_rate)
    progress = Progress()
    best_weights: dict[str, torch.Tensor] = {}
    last, best = model_dir / LAST_NAME, model_dir / BEST_NAME
    if last.exists():
        progress, best_weights = load_state(last, parameters.model, network, optimizer)
        if best_weights:  # whatever became of the file since
            save_weights(best, parameters.model, best_weights)
        console.say(f"going on with epoch {progress.epoch}, step {progress.step + 1}")

    with (
        SplitReader(data_dir, dataset, "train") as train,
        SplitReader(data_dir, dataset, "validation") as validation,
        deferred() as interruption,
    ):
        first = np.arange(min(_PROBE_SAMPLES, validation.samples))
        probe = devices.place(torch.from_numpy(validation.read(first)[0]), device)

        def save() -> None:
            save_state(last, parameters.model, network, optimizer, progress, best_weights)
            require_same_prediction(last, parameters.model, network, probe)

        def stop_if_asked() -> None:
            if stop := interruption():
                save()
                console.say(f"stopped in epoch {progress.epoch} after step {progress.step}: run again to go on")
                raise stop

        while progress.epoch <= parameters.epochs:
            label = f"epoch {progress.epoch}/{parameters.epochs}"
            plan = batches(
                shuffled(train.samples, parameters.seed, progress.epoch), parameters.batch_size, progress.step
            )
            done_before = min(progress.step * parameters.batch_size, train.samples)
            spent_s, started_s = progress.train_s, time.monotonic()
            squared_error = torch.tensor(progress.squared_error, dtype=torch.float64, device=device)
            with console.progress(label, train.samples, "patches", done_before) as advance:
                for inputs, targets in _batches_on(device, train, plan, parameters.read_ahead):
                    optimizer.zero_grad()
                    loss = nn.functional.mse_loss(network(inputs), targets)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    squared_error += loss.detach().double() * len(inputs)
                    progress.step += 1
                    advance(len(inputs))
                    if progress.step % _DIVERGENCE_CHECK_STEPS == 0 or interruption():
                        progress.squared_error = _finite(squared_error.item(), progress)
                        progress.train_s = spent_s + time.monotonic() - started_s
                        stop_if_asked()
            progress.squared_error = _finite(squared_error.item(), progress)
            progress.train_s = spent_s + time.monotonic() - started_s

            started_s, total = time.monotonic(), 0.0
            plan = batches(np.arange(validation.samples), parameters.batch_size)
            with console.progress(f"{label}, validation", validation.samples, "patches") as advance:
                for inputs, targets in _batches_on(device, validation, plan, parameters.read_ahead):
                    stop_if_asked()
                    difference = predict(network, inputs).double() - targets
                    total += difference.square().mean(dim=(1, 2, 3)).sum().item()
                    advance(len(inputs))
            epoch = Epoch(
                epoch=progress.epoch,
                train_mse=progress.squared_error / train.samples,
                validation_mse=_finite(total, progress) / validation.samples,
                elapsed_s=progress.train_s + time.monotonic() - started_s,
                train_patches_per_s=train.samples / progress.train_s,
            )
            if progress.best_mse is None or epoch.validation_mse < progress.best_mse:
                progress.best_epoch, progress.best_mse = epoch.epoch, epoch.validation_mse
                best_weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
                save_weights(best, parameters.model, best_weights)
                require_same_prediction(best, parameters.model, network, probe)
            progress.begin_epoch_after(epoch)
            save()
            console.say(
                f"{label}: training MSE {epoch.train_mse:.6f}, validation MSE {epoch.validation_mse:.6f}, "
                f"{epoch.train_patches_per_s:.1f} patches/s, {epoch.elapsed_s:.1f} s"
            )
        if stop := interruption():  # one that came with the last steps: all is saved
            raise stop
    return progress


def _batches_on(
    device: torch.device, reader: SplitReader, plan: Iterable[np.ndarray], read_ahead: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for inputs, targets in stream(reader, plan, read_ahead):
        yield devices.place(torch.from_numpy(inputs), device), devices.place(torch.from_numpy(targets), device)


def _finite(error: float, progress: Progress) -> float:
    if not math.isfinite(error):
        raise UserError(
            f"training diverged: the loss is {error} in epoch {progress.epoch} by step {progress.step}: "
            "lower optimizer.learning_rate and give a new model folder"
        )
    return error
