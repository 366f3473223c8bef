"""Task `train`: streaming binaries in, checkpoints and training.json out."""

from pathlib import Path

from cryodenoise import devices, environment
from cryodenoise.claims import claim
from cryodenoise.config.documents import MadeFrom, TrainingRecord, WeightsFile
from cryodenoise.config.run_files import TrainParameters
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import require_known
from cryodenoise.files import sha256_of
from cryodenoise.models import MODELS
from cryodenoise.training.checkpoints import BEST_NAME, load_network
from cryodenoise.training.loop import run_training
from cryodenoise.training.record import DOCUMENT_NAME, open_training


def train(parameters_file: Path, data_dir: Path, model_dir: Path, console: Console) -> None:
    """Train the run file's network on the dataset in data_dir."""
    parameters = TrainParameters.load(parameters_file)
    require_known(f"{parameters_file}: model", parameters.model, MODELS)
    dataset = open_dataset(data_dir)
    made_from = MadeFrom(parameters=parameters.determining(), inputs={"dataset": dataset.identity})
    with claim(model_dir, DOCUMENT_NAME, "train", made_from.model_dump()) as work:
        if work.finished:
            open_training(model_dir)
            console.say(f"{model_dir} already holds this run: nothing to do")
            return
        device = devices.choose(parameters.device)
        with devices.told_if_memory_runs_out(parameters.batch_size):
            progress = run_training(parameters, data_dir, dataset, model_dir, device, console)
        best = model_dir / BEST_NAME
        record = TrainingRecord(
            format=TrainingRecord.FORMAT,
            format_version=TrainingRecord.VERSION,
            model=parameters.model,
            parameters=sum(value.numel() for value in load_network(best, parameters.model).parameters()),
            weights=WeightsFile(name=best.name, sha256=sha256_of(best)),
            best_epoch=progress.best_epoch,
            history=progress.history,
            peak_host_memory_bytes=devices.peak_host_memory_bytes(),
            peak_device_memory_bytes=devices.peak_device_memory_bytes(device),
            device=devices.name_of(device),
            made_from=made_from,
            machine=parameters.of_the_machine(),
            environment=environment.describe(),
        )
        work.finish(record.dumps())
    console.say(f"{model_dir}: {record.model}, {record.parameters:,} parameters, best epoch {record.best_epoch}")
