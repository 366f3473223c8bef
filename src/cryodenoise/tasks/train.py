"""Task `train`: streaming binaries in, checkpoints and training.json out."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch

from cryodenoise import devices, environment, ranks
from cryodenoise.claims import Claim, claim, differences
from cryodenoise.config.documents import DatasetRecord, MadeFrom
from cryodenoise.config.training import ImportedModel, TrainParameters
from cryodenoise.config.training_record import TrainingRecord, WeightsFile
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError
from cryodenoise.estimates.preflight import preflight
from cryodenoise.files import sha256_of
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
from cryodenoise.training.checkpoints import BEST_NAME
from cryodenoise.training.loop import run_training
from cryodenoise.training.objectives import require_suits
from cryodenoise.training.processes import Group, joined
from cryodenoise.training.record import DOCUMENT_NAME, open_training
from cryodenoise.training.remarks import remarks
from cryodenoise.training.start import Started


def train(parameters_file: Path, data_dir: Path, model_dir: Path, code_dir: Path | None, console: Console) -> None:
    """Train the run file's network on the dataset in data_dir; code_dir holds the code of one's own."""
    parameters = TrainParameters.load(parameters_file)
    dataset = open_dataset(data_dir)
    network = _network(parameters, parameters_file, code_dir, dataset)
    inputs = {"dataset": dataset.identity}
    if isinstance(parameters.model, ImportedModel):
        inputs["code"] = code_digest(code_dir)
    made_from = MadeFrom(parameters=parameters.determining(), inputs=inputs)
    place = ranks.of_environment()
    device = devices.choose(parameters.device, parameters.deterministic, parameters.tf32, place.local_rank)
    with joined(place, device) as group, _taken(model_dir, made_from, group) as work:
        if work.finished:
            open_training(model_dir)
            console.say(f"{model_dir} already holds this run: nothing to do")
            return
        own = isinstance(parameters.model, ImportedModel)
        with faults_told(f"{parameters_file}: model: {network.name} failed in training") if own else nullcontext():
            lines = preflight(parameters, network, dataset, model_dir, group.device, place)
        console.say("\n".join(lines))
        with devices.told_if_memory_runs_out(parameters.batch_size):
            started = run_training(
                parameters, network, data_dir, dataset, made_from.model_dump(mode="json"), model_dir, group, console
            )
        record = _record(parameters, made_from, dataset, model_dir, started, group)
        if group.first:
            work.finish(record.dumps())
    console.say(f"{model_dir}: {network.name}, {record.parameters:,} parameters, best epoch {record.best_epoch}")


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
def _taken(model_dir: Path, made_from: MadeFrom, group: Group) -> Iterator[Claim]:
    """The right to write model_dir, which the first process claims for all."""
    told = json.loads(made_from.model_dump_json())
    if group.first:
        with claim(model_dir, DOCUMENT_NAME, "train", told) as work:
            group.told_by_first((told, work.finished))
            yield work
        return
    of_first, finished = group.told_by_first(None)
    if other := "; ".join(differences(of_first, told)):
        raise UserError(f"process {group.rank}: was given another run than process 0 ({other}): give all the same")
    yield Claim(model_dir, DOCUMENT_NAME, finished)


def _record(
    parameters: TrainParameters,
    made_from: MadeFrom,
    dataset: DatasetRecord,
    model_dir: Path,
    started: Started,
    group: Group,
) -> TrainingRecord:
    best, run = model_dir / BEST_NAME, started.run
    on_device = devices.peak_device_memory_bytes(group.device)
    host_bytes, device_bytes = group.highest(devices.peak_host_memory_bytes(), on_device or 0)
    return TrainingRecord(
        format=TrainingRecord.FORMAT,
        format_version=TrainingRecord.VERSION,
        model=parameters.model,
        parameters=parameter_count(run.module),
        weights=WeightsFile(name=best.name, sha256=sha256_of(best)),
        best_epoch=run.progress.best_epoch,
        history=run.progress.history,
        validation_input_mse=run.progress.input_mse or 0.0,
        target=run.progress.target,
        remarks=remarks(parameters, dataset.pairs, run.progress),
        micro_batch_size=started.step.micro_batch_size,
        processes=group.world,
        compiled=started.compiled,
        sessions=run.progress.sessions,
        peak_host_memory_bytes=host_bytes,
        peak_device_memory_bytes=None if on_device is None else device_bytes,
        device=devices.name_of(group.device),
        made_from=made_from,
        machine=parameters.of_the_machine(),
        environment=environment.describe(),
    )
