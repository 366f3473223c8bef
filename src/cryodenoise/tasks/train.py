"""Task `train`: streaming binaries in, checkpoints, training.json and the log of the training out."""

import gc
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from cryodenoise import devices, environment, ranks
from cryodenoise.claims import Claim, claim, differences
from cryodenoise.config.documents import DatasetRecord, MadeFrom
from cryodenoise.config.training import ImportedModel, TrainParameters
from cryodenoise.config.training_record import TrainedOn, TrainingRecord, WeightsFile
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError
from cryodenoise.estimates.preflight import preflight
from cryodenoise.files import sha256_of, write_atomically
from cryodenoise.models import (
    Network,
    choose,
    code_digest,
    has_batch_statistics,
    has_random_layers,
    parameter_count,
    require_takes,
)
from cryodenoise.models.code_folder import faults_told
from cryodenoise.submission import log
from cryodenoise.training.checkpoints import BEST_NAME, states
from cryodenoise.training.loop import run_training
from cryodenoise.training.objectives import require_suits
from cryodenoise.training.processes import Group, joined
from cryodenoise.training.record import DOCUMENT_NAME, folder_of, open_training, repeats_in, unfinished
from cryodenoise.training.remarks import remarks
from cryodenoise.training.seen import trained_on
from cryodenoise.training.start import Started


def train(parameters_file: Path, data_dir: Path, model_dir: Path, code_dir: Path | None, console: Console) -> None:
    """Train the run file's network on the dataset in data_dir; code_dir holds the code of one's own.

    Of several trainings that differ by their seed the first lies in model_dir and comes last: so the folder counts as
    finished once all are.
    """
    parameters = TrainParameters.load(parameters_file)
    dataset = open_dataset(data_dir)
    network = _network(parameters, parameters_file, code_dir, dataset)
    own = isinstance(parameters.model, ImportedModel)
    inputs = {"dataset": dataset.identity} | ({"code": code_digest(code_dir)} if own else {})
    place = ranks.of_environment()
    device = devices.choose(parameters.device, parameters.deterministic, parameters.tf32, place.local_rank)
    with joined(place, device) as group, _taken(model_dir, parameters, inputs, group) as work:
        _require_no_more(model_dir, parameters.repeat, parameters_file)
        former = open_training(model_dir) if work.finished else None
        left = group.told_by_first(unfinished(model_dir, parameters.repeat))
        for folder in (folder_of(model_dir, number) for number in left):
            if parameters.resume == "never" and (state := next(states(folder), None)):
                raise UserError(f"{state}: the state of an interrupted run, and resume is 'never': give another folder")
        if left:
            with faults_told(f"{parameters_file}: model: {network.name} failed in training") if own else nullcontext():
                lines = preflight(parameters, network, dataset, model_dir, group.device, place, len(left))
            console.say("\n".join(lines))
        run = _Run(network, data_dir, dataset, inputs, group, console)
        for number in range(2, parameters.repeat + 1):
            folder, alone = folder_of(model_dir, number), parameters.training(number)
            with _taken(folder, alone, inputs, group) as repetition:
                if repetition.finished:
                    open_training(folder)
                    if left:
                        console.say(f"{folder}: finished already")
                    continue
                console.say(f"training {number} of {parameters.repeat}, seed {alone.seed}, in {folder}")
                _train(run, alone, repetition)
        if former is None:
            if parameters.repeat > 1:
                console.say(f"training 1 of {parameters.repeat}, seed {parameters.seed}, in {model_dir}")
            _train(run, parameters, work)
        elif former.trainings != parameters.repeat:
            if group.first:
                work.finish(former.model_copy(update={"trainings": parameters.repeat}).dumps())
            console.say(f"{model_dir}: holds {parameters.repeat} trainings now")
        elif not left:
            console.say(f"{model_dir} already holds this run: nothing to do")


@dataclass(frozen=True)
class _Run:
    """What all trainings of a run share."""

    network: Network
    data_dir: Path
    dataset: DatasetRecord
    inputs: dict[str, str]
    group: Group
    console: Console

    @cached_property
    def trained_on(self) -> TrainedOn:
        """What the training samples are like, which the first process tells all."""
        seen = trained_on(self.dataset, self.data_dir) if self.group.first else None
        told: TrainedOn = self.group.told_by_first(seen)
        return told


def _train(run: _Run, parameters: TrainParameters, work: Claim) -> None:
    """Do one training, in the folder that was claimed for it, to its end."""
    if parameters.compile:
        torch.compiler.reset()  # what was compiled for the training before counts against the number of attempts
    gc.collect()  # its tensors, where they lie in cycles, count against the memory limit
    made_from = _made_from(parameters, run.inputs)
    with devices.told_if_memory_runs_out(parameters.batch_size):
        started = run_training(
            parameters, run.network, run.data_dir, run.dataset, made_from.model_dump(mode="json"), work.directory,
            run.group, run.console,
        )  # fmt: skip
    record = _record(run, parameters, made_from, work.directory, started)
    if run.group.first:
        write_atomically(work.directory / log.TRAINING_NAME, log.of_training(record))
        work.finish(record.dumps())
    run.console.say(
        f"{work.directory}: {run.network.name}, {record.parameters:,} parameters, best epoch {record.best_epoch}"
    )


def _made_from(parameters: TrainParameters, inputs: dict[str, str]) -> MadeFrom:
    return MadeFrom(parameters=parameters.determining(), inputs=inputs)


def _require_no_more(model_dir: Path, trainings: int, parameters_file: Path) -> None:
    """Refuse a folder with more trainings than the run file asks for: it would not say which of them count."""
    if more := [number for number in repeats_in(model_dir) if number > trainings]:
        raise UserError(
            f"{parameters_file}: repeat: found {trainings}, but {folder_of(model_dir, more[-1])} is there: set "
            f"{more[-1]}, or remove the folder{'s' * (len(more) > 1)} of those that are too many"
        )


def _network(
    parameters: TrainParameters, parameters_file: Path, code_dir: Path | None, dataset: DatasetRecord
) -> Network:
    """The run file's network, which suits the dataset and the rest of the run file."""
    network = choose(parameters.model, code_dir, f"{parameters_file}: model")
    require_takes(network, dataset.sample_shape, f"{parameters_file}: model")
    require_suits(parameters.objective, dataset.pairs, f"{parameters_file}: objective")
    with torch.random.fork_rng(devices=[]):
        module = network.build()
    if parameters.micro_batch_size is None and (has_batch_statistics(module) or has_random_layers(module)):
        raise UserError(
            f"{parameters_file}: micro_batch_size: not set, and {network.name} has batch normalisation or dropout, so "
            "that results depend on how many samples are computed at a time: set it to batch_size "
            f"({parameters.batch_size}) or to what fits into the memory"
        )
    return network


@contextmanager
def _taken(model_dir: Path, parameters: TrainParameters, inputs: dict[str, str], group: Group) -> Iterator[Claim]:
    """The right to write the folder of a training, which the first process claims for all."""
    made_from = json.loads(_made_from(parameters, inputs).model_dump_json())
    told = {**made_from, "repeat": parameters.repeat}
    if group.first:
        with claim(model_dir, DOCUMENT_NAME, "train", made_from) as work:
            group.told_by_first((told, work.finished))
            yield work
        return
    of_first, finished = group.told_by_first(None)
    if other := "; ".join(differences(of_first, told)):
        raise UserError(f"process {group.rank}: was given another run than process 0 ({other}): give all the same")
    yield Claim(model_dir, DOCUMENT_NAME, finished)


def _record(
    of: _Run, parameters: TrainParameters, made_from: MadeFrom, model_dir: Path, started: Started
) -> TrainingRecord:
    best, run, dataset, group = model_dir / BEST_NAME, started.run, of.dataset, of.group
    on_device = devices.peak_device_memory_bytes(group.device)
    host_bytes, device_bytes = group.highest(devices.peak_host_memory_bytes(), on_device or 0)
    return TrainingRecord(
        format=TrainingRecord.FORMAT,
        format_version=TrainingRecord.VERSION,
        model=parameters.model,
        parameters=parameter_count(run.module),
        trainings=parameters.repeat,
        weights=WeightsFile(name=best.name, sha256=sha256_of(best)),
        best_epoch=run.progress.best_epoch,
        history=run.progress.history,
        trained_on=of.trained_on,
        validation_samples=dataset.splits["validation"].samples,
        validation_input_mse=run.progress.input_mse or 0.0,
        target=run.progress.target,
        remarks=remarks(parameters, dataset.pairs, run.progress),
        micro_batch_size=started.step.micro_batch_size,
        processes=group.world,
        compiled=started.compiled,
        sessions=run.progress.sessions,
        initialization_s=started.initialization_s,
        finished_ms=time.time_ns() // 1_000_000,
        peak_host_memory_bytes=host_bytes,
        peak_device_memory_bytes=None if on_device is None else device_bytes,
        device=devices.name_of(group.device),
        made_from=made_from,
        machine=parameters.of_the_machine(),
        environment=environment.describe(),
    )
