"""Task `test`: the test split through what is scored, report.json and all that people read of it out."""

import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch

from cryodenoise import devices, environment
from cryodenoise.claims import claim
from cryodenoise.config.documents import DatasetRecord, MadeFrom
from cryodenoise.config.report import Report, Resources, TrainingConditions
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.energy import Energy
from cryodenoise.energy import measured as energy_measured
from cryodenoise.evaluation import layout, measures, references, self_test
from cryodenoise.evaluation.measures import Measures
from cryodenoise.evaluation.remarks import remarks
from cryodenoise.evaluation.score import Evaluation, evaluate
from cryodenoise.files import write_atomically
from cryodenoise.report import table
from cryodenoise.submission import log, reproduced
from cryodenoise.tasks import denoisers

DOCUMENT_NAME = "report.json"


def test(
    parameters_file: Path,
    data_dir: Path,
    model_dir: Path | None,
    results_dir: Path,
    code_dir: Path | None,
    predictions: Path | None,
    console: Console,
) -> None:
    """Score a denoiser on the test split of data_dir.

    Args:
        parameters_file: Run file; its `model` names a classical filter, a published network, or nothing.
        data_dir: What `preprocess` wrote.
        model_dir: What `train` or `import-weights` wrote, whose network is scored unless there is something else to
            score.
        results_dir: Gets report.json, of a network its logs, report.html, figures and tables.
        code_dir: Code of a network of one's own.
        predictions: Images that another program made of the test inputs; they are scored if it holds any.
        console: Takes what is to be said.

    Raises:
        UserError: If something is missing, damaged or does not fit together.
    """
    parameters = TestParameters.load(parameters_file)
    dataset = open_dataset(data_dir)
    source = denoisers.choose(parameters, parameters_file, dataset, model_dir, code_dir, predictions)
    inputs = {"dataset": dataset.identity, "known": layout.known_sha256(dataset), **source.inputs}
    made_from = MadeFrom(parameters=parameters.determining(), inputs=inputs)
    with claim(results_dir, DOCUMENT_NAME, "test", made_from.model_dump()) as work:
        if work.finished:
            former = Report.load_document(results_dir / DOCUMENT_NAME)
            console.say(table.render(former))
            console.say(f"{results_dir / DOCUMENT_NAME} already holds these scores: nothing to do")
            if parameters.figures and not (results_dir / "report.html").exists():
                console.say(f"no page was made of them: `cryodenoise report {results_dir}` does")
            _say_whether_reproduced(former, console)
            return
        device = devices.choose(parameters.device)
        bandwidth = devices.memory_bandwidth_bytes_per_s(device)
        devices.start_memory_figures_anew(device)  # its copies do not count as the denoiser's
        tests = self_test.run(device)
        with (
            devices.told_if_memory_runs_out(parameters.batch_size),
            source.predictions or nullcontext(),
            energy_measured(device) as energy,
        ):
            scored = denoisers.ready(source, data_dir, dataset, device)
            evaluation = evaluate(scored, data_dir, dataset, parameters, device, console)
        of_patches = _measures(evaluation, dataset)
        training = source.trainings[0][1] if source.trainings else None
        measured = evaluation.measured
        report = Report(
            format=Report.FORMAT,
            format_version=Report.VERSION,
            denoiser=scored.denoiser,
            samples=dataset.splits["test"].samples,
            sample_shape=dataset.sample_shape,
            micrographs=len(np.unique(of_patches.micrograph)),
            pixel_size_angstrom=references.pixel_size_angstrom(dataset),
            pairs=dataset.pairs,
            against_target=measured.against_target,
            against_truth=measured.against_truth,
            halves=measured.halves,
            region_snr=measured.region_snr,
            blank=evaluation.blank,
            across_seeds=evaluation.across_seeds,
            subset=evaluation.subset,
            intervals_missing=evaluation.intervals_missing,
            remarks=[
                *remarks(
                    scored.denoiser, measured.against_target, measured.against_truth, evaluation.blank, dataset,
                    training.made_from.inputs["dataset"] if training else None,
                ),
                *source.remarks,
            ],
            skipped=dataset.skipped,
            self_tests=tests,
            resources=_resources(scored.denoiser.kind, evaluation, dataset, parameters, device, energy, bandwidth),
            device=devices.name_of(device),
            dataset_identity=dataset.identity,
            measures_sha256=measures.save(results_dir / measures.NAME, of_patches),
            download=dataset.source,
            preprocess=dataset.made_from,
            training=_conditions(training) if training else None,
            made_from=made_from,
            machine=parameters.of_the_machine(),
            environment=environment.describe(),
        )  # fmt: skip
        if parameters.figures:
            from cryodenoise.report.build import write_all  # matplotlib takes its time to be imported

            write_all(results_dir, report, of_patches, results_dir)
        finished_ms = time.time_ns() // 1_000_000
        for number, (_, record) in enumerate(source.trainings):
            write_atomically(results_dir / log.result_name(number), log.of_result(record, report, finished_ms))
        work.finish(report.dumps())
    console.say(table.render(report))
    console.say(f"report: {results_dir / DOCUMENT_NAME}")
    if parameters.figures:
        console.say(f"page: {results_dir / 'report.html'}, with figures/ and tables/ beside it")
    _say_whether_reproduced(report, console)


def _say_whether_reproduced(report: Report, console: Console) -> None:
    if line := reproduced.line(report):
        console.say(line)


def _measures(evaluation: Evaluation, dataset: DatasetRecord) -> Measures:
    """What figures are drawn from."""
    measured, places = evaluation.measured, layout.columns(dataset)
    counts = measured.counts
    edges, residual_edges = counts.edges(), counts.residual_edges()
    return Measures(
        micrograph=places["micrograph"],
        row=places["row"] * dataset.stride_px,
        column=places["column"] * dataset.stride_px,
        denoised_mse=measured.values["mse"],
        noisy_mse=measured.noisy["mse"],
        denoised_ssim=measured.values["ssim"],
        denoised_correlation=measured.values["correlation"],
        noisy_correlation=measured.noisy["correlation"],
        denoised_edge_preservation=measured.values["edge_preservation"],
        range=np.array([edges[0], edges[-1]]),
        histogram_noisy=np.array(counts.noisy()),
        histogram_denoised=np.array(counts.denoised()),
        histogram_reference=np.array(counts.target()),
        residual_range=np.array([residual_edges[0], residual_edges[-1]]),
        histogram_residual=np.array(counts.residual()),
        joint=np.array(counts.joint()),
        example_samples=evaluation.example_samples,
        examples=evaluation.examples,
    )


def _resources(
    kind: str,
    evaluation: Evaluation,
    dataset: DatasetRecord,
    parameters: TestParameters,
    device: torch.device,
    energy: Energy,
    bandwidth_bytes_per_s: float,
) -> Resources:
    rate, price = None, parameters.price_per_hour
    reading_s, denoising_s = evaluation.reading_s, evaluation.denoising_s
    if kind == "predictions":
        reading_s, denoising_s = reading_s + denoising_s, 0.0
    else:
        rate = evaluation.denoised_patches / denoising_s
    return Resources(
        patches_per_s=rate,
        megapixels_per_s=rate and rate * dataset.sample_shape[0] * dataset.sample_shape[1] / 1e6,
        reading_s=reading_s,
        denoising_s=denoising_s,
        scoring_s=evaluation.elapsed_s - reading_s - denoising_s,
        elapsed_s=evaluation.elapsed_s,
        peak_host_memory_bytes=devices.peak_host_memory_bytes(),
        peak_device_memory_bytes=devices.peak_device_memory_bytes(device),
        memory_bandwidth_bytes_per_s=bandwidth_bytes_per_s,
        energy_joules={str(part): joules for part, joules in energy.joules.items()},
        cost=None if price is None else price * evaluation.elapsed_s / 3600,
    )


def _conditions(training: TrainingRecord) -> TrainingConditions:
    return TrainingConditions(
        device=training.device,
        machine=training.machine,
        environment=training.environment,
        weights=training.weights,
        best_epoch=training.best_epoch,
        history=training.history,
        processes=training.processes,
        peak_host_memory_bytes=training.peak_host_memory_bytes,
        peak_device_memory_bytes=training.peak_device_memory_bytes,
        made_from=training.made_from,
    )
