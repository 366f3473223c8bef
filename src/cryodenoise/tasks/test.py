"""Task `test`: the test split through the best weights, report.json out."""

from pathlib import Path

from cryodenoise import devices, environment
from cryodenoise.claims import claim
from cryodenoise.config.documents import MadeFrom
from cryodenoise.config.report import Report, TrainingConditions
from cryodenoise.config.run_files import TestParameters
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.evaluation.score import evaluate, remarks
from cryodenoise.models import require_takes
from cryodenoise.report import table
from cryodenoise.training.checkpoints import load_network
from cryodenoise.training.record import network_of, open_training

DOCUMENT_NAME = "report.json"


def test(
    parameters_file: Path, data_dir: Path, model_dir: Path, results_dir: Path, code_dir: Path | None, console: Console
) -> None:
    """Score the network of model_dir on the test split of data_dir; code_dir holds the code of one's own."""
    parameters = TestParameters.load(parameters_file)
    dataset = open_dataset(data_dir)
    training = open_training(model_dir)
    network = network_of(training, model_dir, code_dir)
    require_takes(network, dataset.sample_shape, f"{model_dir / 'training.json'}: model")
    module = load_network(model_dir / training.weights.name, network)
    made_from = MadeFrom(
        parameters=parameters.determining(),
        inputs={"dataset": dataset.identity, "weights": training.weights.sha256},
    )
    with claim(results_dir, DOCUMENT_NAME, "test", made_from.model_dump()) as work:
        if work.finished:
            console.say(table.render(Report.load_document(results_dir / DOCUMENT_NAME)))
            console.say(f"{results_dir / DOCUMENT_NAME} already holds these scores: nothing to do")
            return
        device = devices.choose(parameters.device)
        with devices.told_if_memory_runs_out(parameters.batch_size):
            evaluation = evaluate(module, data_dir, dataset, parameters, device, console)
        report = Report(
            format=Report.FORMAT,
            format_version=Report.VERSION,
            model=network.name,
            parameters=training.parameters,
            samples=evaluation.samples,
            sample_shape=dataset.sample_shape,
            pairs=dataset.pairs,
            against_target=evaluation.against_target,
            against_truth=evaluation.against_truth,
            remarks=remarks(evaluation, dataset, training.made_from.inputs["dataset"]) + training.remarks,
            skipped=dataset.skipped,
            inference_patches_per_s=evaluation.samples / evaluation.inference_s,
            elapsed_s=evaluation.elapsed_s,
            peak_host_memory_bytes=devices.peak_host_memory_bytes(),
            peak_device_memory_bytes=devices.peak_device_memory_bytes(device),
            device=devices.name_of(device),
            dataset_identity=dataset.identity,
            weights=training.weights,
            download=dataset.source,
            preprocess=dataset.made_from,
            train=training.made_from,
            made_from=made_from,
            machine=parameters.of_the_machine(),
            training=TrainingConditions(
                device=training.device, machine=training.machine, environment=training.environment
            ),
            environment=environment.describe(),
        )
        work.finish(report.dumps())
    console.say(table.render(report))
    console.say(f"report: {results_dir / DOCUMENT_NAME}")
