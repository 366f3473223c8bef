"""What a run starts with: initial weights or a saved state, and a micro-batch that the memory holds."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cryodenoise import devices, seeds
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.training import ImportedModel, TrainParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.models import Network, has_batch_statistics
from cryodenoise.training import objectives, optimizers
from cryodenoise.training.averages import AveragedWeights
from cryodenoise.training.checkpoints import BEST_NAME, Run, forget_newer, load_newest, save_weights
from cryodenoise.training.footprint import Work
from cryodenoise.training.memory import held_bytes, micro_batch, trial
from cryodenoise.training.processes import Group
from cryodenoise.training.step import Step, compiled


@dataclass(frozen=True)
class Started:
    """A run, ready for its next step.

    Attributes:
        run: What is trained.
        step: How.
        compiled: Whether torch.compile fused the network's operations.
        initialization_s: Seconds that this took.
    """

    run: Run
    step: Step
    compiled: bool
    initialization_s: float


def largest_share(parameters: TrainParameters, dataset: DatasetRecord, world: int) -> int:
    """Samples of a batch that a process gets at most."""
    return -(-min(parameters.batch_size, dataset.splits["train"].samples) // world)


def start(
    parameters: TrainParameters,
    network: Network,
    dataset: DatasetRecord,
    made_from: dict[str, Any],
    model_dir: Path,
    group: Group,
    console: Console,
) -> Started:
    """Make a run, or go on with the one whose state model_dir holds.

    Raises:
        UserError: If the state is another run's or unsound, or the memory does not hold a sample, or the micro-batch
            that the run file asks for.
    """
    device, began_s = group.device, time.monotonic()
    torch.manual_seed(seeds.derive(parameters.seed, "weights") % 2**63)
    module = devices.place(network.build(), device)
    run = Run(
        network,
        module,
        optimizers.build(parameters.optimizer, module),
        AveragedWeights(module, parameters.ema_decay) if parameters.ema_decay else None,
        torch.amp.GradScaler(device.type, enabled=parameters.precision == "fp16"),
        made_from,
    )
    number = load_newest(model_dir, run, console.say)
    # All have read before the first changes anything.
    found = (number, run.progress.epoch, run.progress.step)
    if group.highest(*found) != [-value for value in group.highest(*(-value for value in found))]:
        raise UserError(
            f"{model_dir}: process {group.rank} finds a state of epoch {found[1]}, step {found[2]} there, another "
            "finds another: give a folder that all machines see"
        )
    if number:
        if group.first:
            forget_newer(model_dir, number)
        if run.best and group.first:  # whatever became of the file since
            save_weights(model_dir / BEST_NAME, network.name, run.best)
        console.say(f"going on with epoch {run.progress.epoch}, step {run.progress.step + 1}")
    run.progress.sessions += 1

    losses = objectives.losses(parameters.objective)
    wanted = parameters.micro_batch_size or 0
    if group.world > 1 and has_batch_statistics(module) and wanted > parameters.batch_size // group.world:
        raise UserError(
            f"micro_batch_size: {wanted}: each of {group.world} processes gets fewer samples of a "
            f"batch of {parameters.batch_size}, and batch normalisation depends on how many meet: start fewer "
            "processes or raise batch_size"
        )
    share = largest_share(parameters, dataset, group.world)
    sample_shape = dataset.sample_shape
    held = held_bytes(parameters, sample_shape, share, device)
    most_bytes = devices.cap_memory(device, parameters.memory_limit_gib)
    attempt = trial(Work(module, losses, sample_shape, parameters.precision), device, most_bytes, held)
    # Never more than before an interruption, so that the weights are those of an undisturbed run.
    fitting = micro_batch(parameters, sample_shape, min(share, run.progress.micro_batch_size or share), attempt)
    run.progress.micro_batch_size = -group.highest(-fitting)[0]
    devices.start_memory_figures_anew(device)  # the search went to the limit, training may not

    fused = module
    if parameters.compile:
        try:
            fused = compiled(module, (run.progress.micro_batch_size, *sample_shape), device, parameters.precision)
        except RuntimeError as error:
            console.say(f"compile: torch.compile failed, training goes on without it: {str(error)[:200]}")
    step = Step(
        group.distributed(fused),
        losses,
        run.scaler,
        device,
        parameters.precision,
        run.progress.micro_batch_size,
        group.world,
        network.name if isinstance(parameters.model, ImportedModel) else None,
    )
    return Started(run, step, fused is not module, time.monotonic() - began_s)
