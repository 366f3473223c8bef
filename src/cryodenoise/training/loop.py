"""The training loop, from top to bottom."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cryodenoise import devices, seeds
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.training import TrainParameters
from cryodenoise.config.training_record import Epoch, TargetReached
from cryodenoise.console import Console
from cryodenoise.dataset.loader import Loader
from cryodenoise.dataset.order import batches, share, shuffled
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.errors import Interrupted
from cryodenoise.interruption import deferred
from cryodenoise.metrics.accumulate import psnr_db
from cryodenoise.models import Network
from cryodenoise.training import narration, optimizers, scalars
from cryodenoise.training.checkpoints import Progress
from cryodenoise.training.keeper import Keeper
from cryodenoise.training.processes import Group
from cryodenoise.training.start import Started, largest_share, start
from cryodenoise.training.step import Where, apply
from cryodenoise.training.validation import validate

_PROBE_SAMPLES = 2  # the fixed batch on which a reloaded checkpoint must predict the same


def run_training(
    parameters: TrainParameters,
    network: Network,
    data_dir: Path,
    dataset: DatasetRecord,
    made_from: dict[str, Any],
    model_dir: Path,
    group: Group,
    console: Console,
) -> Started:
    """Train, from the start or from the state that model_dir holds; the run as it ended.

    A signal ends the run after the step under way, its state saved; the state is also saved after each epoch and every
    `checkpoints.every_min` minutes. Weights, history and best epoch do not depend on how often that happened.

    Raises:
        UserError: If a sample is damaged, the state is another run's, the loss is no longer finite, not even one sample
            fits into the memory, or another process has ended.
        Interrupted: On a signal, after saving.
    """
    started = start(parameters, network, dataset, made_from, model_dir, group, console)
    progress, most = started.run.progress, largest_share(parameters, dataset, group.world)
    with (
        SplitReader(data_dir, dataset, "train") as train,
        SplitReader(data_dir, dataset, "validation") as validation,
        scalars.writer(model_dir, parameters.tensorboard and group.first, progress.history) as write_scalars,
        deferred() as interruption,
    ):
        first = np.arange(min(_PROBE_SAMPLES, validation.samples, progress.micro_batch_size))
        probe = devices.place(torch.from_numpy(validation.read(first)[0]), group.device)
        keeper = Keeper(started.run, model_dir, parameters.checkpoints, group, probe)

        def asked() -> int:
            stop = interruption()
            return stop.number if stop else 0

        def save_or_stop(save_now: bool = False) -> None:
            number, due = group.highest(asked(), save_now or keeper.due())
            if number or due:
                keeper.save()
            if number:
                console.say(f"stopped in epoch {progress.epoch} after step {progress.step}: run again to go on")
                raise Interrupted(number)

        console.say(narration.header(group.device.type == "cuda"))
        while progress.epoch <= parameters.epochs and progress.target is None:
            label = f"epoch {progress.epoch}/{parameters.epochs}"
            done_before = min(progress.step * parameters.batch_size, train.samples)
            with (
                Loader(train, group.device, parameters.read_ahead_mib, most) as loader,
                console.progress(label, train.samples, "patches", done_before) as advance,
            ):
                for samples in _steps(parameters, started, train.samples, loader, keeper, group):
                    advance(samples)
                    save_or_stop()
            keeper.gather()
            keeper.require_finite()
            evaluated = started.run.evaluated()
            group.average_buffers(evaluated)
            began_s = time.monotonic()
            with (
                Loader(validation, group.device, parameters.read_ahead_mib, progress.micro_batch_size) as loader,
                console.progress(f"{label}, validation", validation.samples, "patches") as advance,
            ):

                def advance_or_stop(count: int, advance: Callable[[int], None] = advance) -> None:
                    advance(count)
                    save_or_stop()

                mse, progress.input_mse = validate(
                    evaluated, loader, validation.samples, progress.micro_batch_size,
                    parameters.precision, group, advance_or_stop,
                )  # fmt: skip
            keeper.require_number(mse)
            epoch = _finished_epoch(progress, train.samples, mse, time.monotonic() - began_s)
            keeper.finish_epoch(epoch, evaluated)
            psnr_db_reached = math.inf if epoch.validation_psnr_db is None else epoch.validation_psnr_db
            if parameters.target and psnr_db_reached >= parameters.target.validation_psnr_db:
                progress.target = TargetReached(
                    epoch=epoch.epoch, samples_seen=epoch.samples_seen, elapsed_s=epoch.elapsed_s
                )
            write_scalars(epoch)
            console.say(narration.row(epoch, parameters.epochs, devices.peak_memory_bytes(group.device)))
            save_or_stop(save_now=True)
        if number := group.highest(asked())[0]:  # a signal that came with the last state: all is saved
            raise Interrupted(number)
    return started


def _steps(
    parameters: TrainParameters,
    started: Started,
    samples: int,
    loader: Loader,
    keeper: Keeper,
    group: Group,
) -> Iterator[int]:
    """Do what is left of an epoch, step by step; yields the samples of each step when all that it changes is noted."""
    run, progress, batch_size = started.run, started.run.progress, parameters.batch_size
    steps_per_epoch = -(-samples // batch_size)
    order = shuffled(samples, parameters.seed, progress.epoch)
    plan = [share(batch, group.rank, group.world) for batch in batches(order, batch_size, progress.step)]
    begun_s, waited_s, read_bytes = time.monotonic() - progress.train_s, progress.waited_s, keeper.begin_epoch()
    for indices, (inputs, targets) in zip(plan, loader.batches(plan), strict=True):
        done = (progress.epoch - 1) * steps_per_epoch + progress.step
        size = min(batch_size, samples - progress.step * batch_size)
        seed = seeds.derive(parameters.seed, "step", done, group.rank) % 2**63  # of random layers
        loss = started.step.gradients(inputs, targets, size, seed)
        rate = optimizers.learning_rate(
            parameters.optimizer, parameters.schedule, done, steps_per_epoch, parameters.epochs
        )
        if not apply(run.optimizer, run.scaler, rate, parameters.gradient_clip_norm):
            progress.skipped_steps += 1
        if run.average:
            run.average.update(run.module, done)
        progress.step += 1
        progress.learning_rate = rate
        progress.train_s, progress.waited_s = time.monotonic() - begun_s, waited_s + loader.waited_s
        devices.hand_back_memory_above(group.device, parameters.memory_limit_gib)
        keeper.note(loss, read_bytes + loader.read_bytes, Where(progress.epoch, progress.step, indices))
        paused_s = time.monotonic()
        yield size
        begun_s += time.monotonic() - paused_s  # in which a state may have been saved


def _finished_epoch(progress: Progress, samples: int, validation_mse: float, validation_s: float) -> Epoch:
    psnr, of_inputs = psnr_db(validation_mse), psnr_db(progress.input_mse or 0.0)
    return Epoch(
        epoch=progress.epoch,
        train_loss=progress.loss / samples,
        validation_mse=validation_mse,
        validation_psnr_db=psnr,
        gain_over_input_db=None if psnr is None or of_inputs is None else psnr - of_inputs,
        learning_rate=progress.learning_rate,
        samples_seen=progress.samples_seen + samples,
        elapsed_s=progress.elapsed_s + progress.train_s + validation_s,
        train_patches_per_s=samples / progress.train_s,
        read_mb_per_s=progress.read_bytes / 1e6 / progress.train_s,
        waiting_fraction=min(progress.waited_s / progress.train_s, 1.0),
        skipped_steps=progress.skipped_steps,
    )
