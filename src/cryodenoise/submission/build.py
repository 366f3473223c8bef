"""Making a package of folders of results, in the layout that MLCommons Science asks for."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from cryodenoise import environment
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import Report
from cryodenoise.config.submission import Division, Manifest, PackagedFile, PackagedRun
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.dataset import layout
from cryodenoise.errors import UserError
from cryodenoise.evaluation import measures
from cryodenoise.files import sha256_of
from cryodenoise.models import name_of
from cryodenoise.submission import log, reference_sets, system
from cryodenoise.submission.entries import psnr_of_report
from cryodenoise.submission.package import (
    CONFIG_NAME,
    MANIFEST_NAME,
    README_NAME,
    REPORT_NAME,
    SYSTEM_NAME,
    WRITE_UP_NAME,
    folder_in,
    run_folder,
)
from cryodenoise.submission.rules import config_of
from cryodenoise.training.record import DOCUMENT_NAME as TRAINING_NAME
from cryodenoise.training.record import folder_of, open_trainings


@dataclass(frozen=True)
class Finished:
    """A finished run in a workspace.

    Attributes:
        results: Folder that `test` wrote.
        model: Folder that `train` wrote, whose network was scored.
        data: Folder of the dataset.
        report: What report.json says.
        dataset: What dataset.json says.
        trainings: The trainings of model/.
    """

    results: Path
    model: Path
    data: Path
    report: Report
    dataset: DatasetRecord
    trainings: list[tuple[Path, TrainingRecord]]


def find(place: Path) -> Finished:
    """The run that a folder of results, or a workspace with one, holds.

    The model and the data are looked for in the folders model/ and data/ beside the results, and above them.

    Raises:
        UserError: If something is missing, unfinished or altered, or what was scored is no network.
    """
    results = place if (place / REPORT_NAME).exists() or not (place / "results").is_dir() else place / "results"
    if not (results / REPORT_NAME).is_file():
        raise UserError(
            f"{results / REPORT_NAME}: missing: give a folder that `cryodenoise test` wrote, or a workspace"
        )
    report = Report.load_document(results / REPORT_NAME)
    if report.denoiser.kind != "network":
        raise UserError(
            f"{results}: scored {report.denoiser.name} ({report.denoiser.kind}): only a network that `train` made can "
            "be submitted, since its weights are what others recompute the scores from"
        )
    if report.training is None:
        raise UserError(
            f"{results}: scored {report.denoiser.name}: weights that were imported have no training here to hand in, "
            "which others could repeat: train the network with `cryodenoise train`, score that, and submit it"
        )
    measures.load(results / measures.NAME, report.measures_sha256)
    model, data = (
        _beside(results, name, document)
        for name, document in (("model", TRAINING_NAME), ("data", layout.DOCUMENT_NAME))
    )
    trainings = open_trainings(model)
    if trainings[0][1].weights.sha256 != report.denoiser.sha256:
        raise UserError(f"{model}: other weights than {results / REPORT_NAME} tells of: run `cryodenoise test` again")
    dataset = DatasetRecord.load_document(data / layout.DOCUMENT_NAME)
    if dataset.identity != report.dataset_identity:
        raise UserError(f"{data}: another dataset than {results / REPORT_NAME} tells of: run `cryodenoise test` again")
    return Finished(results, model, data, report, dataset, trainings)


def _beside(results: Path, name: str, document: str) -> Path:
    folder = results.absolute()  # of "." and "results", too, there are folders above
    for above in (folder.parent, folder.parent.parent):
        if (above / name / document).is_file():
            return above / name
    raise UserError(f"{folder.parent / name / document}: missing: a submission needs {name}/ beside the results")


def set_of(runs: Sequence[Finished]) -> str:
    """The name of the set whose test data all runs were scored on.

    Raises:
        UserError: If there is none, or they differ.
    """
    found = {run.results: reference_sets.of_dataset(run.dataset) for run in runs}
    for results, reference in found.items():
        if reference is None:
            names = ", ".join(each.name for each in reference_sets.all())
            raise UserError(f"{results}: scored on test data of none of the sets {names}: use the run files of one")
    several = sorted({reference.name for reference in found.values() if reference})
    if len(several) > 1:
        raise UserError(f"the results are of several sets ({', '.join(several)}): submit those of each by themselves")
    return several[0]


def stage(
    root: Path,
    runs: Sequence[Finished],
    organization: str,
    system_name: str,
    descriptor: str,
    division: Division,
    description: tuple[dict[str, str], str],
) -> Path:
    """Write the folder of a package; its rules are for `check`.

    Args:
        root: An empty folder that gets ORGANIZATION/cryodenoise/SYSTEM/DESCRIPTOR/.
        runs: What was run.
        organization: Who submits.
        system_name: What it ran on.
        descriptor: What tells it from other submissions of that system.
        division: Whose rules it keeps.
        description: Fields of system.json that a person stated, and the write-up.

    Returns:
        That folder.
    """
    folder = folder_in(root, organization, system_name, descriptor)
    folder.mkdir(parents=True)
    stated, write_up = description
    told = {**stated, **system.of_report(runs[0].report, organization, system_name, division)}
    packaged, next_log = [], 0
    for number, run in enumerate(runs):
        place = folder / run_folder(number)
        _copy(run.data / layout.DOCUMENT_NAME, place / "data")
        for name in (REPORT_NAME, measures.NAME):
            _copy(run.results / name, place / "results")
        logs = []
        for index, (training, record) in enumerate(run.trainings):
            to = folder_of(place / "model", index + 1)
            for name in (TRAINING_NAME, record.weights.name):
                _copy(training / name, to)
            text = log.with_submission(
                (run.results / log.result_name(index)).read_bytes(), organization, division, told["status"]
            )
            (folder / log.result_name(next_log)).write_bytes(text)
            logs.append(log.result_name(next_log))
            next_log += 1
        seeds = [int(record.made_from.parameters["seed"]) for _, record in run.trainings]
        packaged.append(PackagedRun(folder=run_folder(number), seeds=seeds, logs=logs))
    reference = reference_sets.of(set_of(runs))
    manifest = Manifest(
        format=Manifest.FORMAT,
        format_version=Manifest.VERSION,
        organization=organization,
        system=system_name,
        descriptor=descriptor,
        division=division,
        track=reference.track,
        reference_set=reference.name,
        runs=packaged,
        files={},
        environment=environment.describe(),
    )
    (folder / CONFIG_NAME).write_text(yaml.safe_dump(config_of(manifest), sort_keys=False), encoding="utf-8")
    (folder / SYSTEM_NAME).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / WRITE_UP_NAME).write_text(write_up.rstrip() + "\n", encoding="utf-8")
    (folder / README_NAME).write_text(_readme(manifest, runs), encoding="utf-8")
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {
        path.relative_to(folder).as_posix(): PackagedFile(size_bytes=path.stat().st_size, sha256=sha256_of(path))
        for path in found
    }
    (folder / MANIFEST_NAME).write_text(manifest.model_copy(update={"files": files}).dumps(), encoding="utf-8")
    return folder


def descriptor_of(runs: Sequence[Finished], division: Division) -> str:
    """A descriptor that says set, network and division."""
    model = name_of(runs[0].trainings[0][1].model).replace(":", ".")
    return f"{set_of(runs)}-{model}-{division}"[:64]


def put(folder: Path, destination: Path) -> None:
    """Move a staged package to its place, in whose stead another of the same name is removed."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".old-") as old:
        if destination.exists():
            destination.replace(Path(old) / "package")
        folder.replace(destination)


def _copy(path: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to / path.name)


def _readme(manifest: Manifest, runs: Sequence[Finished]) -> str:
    """What a reader of the folder sees first."""
    lines = [
        f"# {manifest.organization}: {manifest.descriptor} on {manifest.system}",
        "",
        f"A submission to cryodenoise: track `{manifest.track}`, set `{manifest.reference_set}`, division "
        f"`{manifest.division}`.",
        "",
        "| log | network | seed | PSNR/dB |",
        "|-----|---------|-----:|--------:|",
    ]
    for run, packaged in zip(runs, manifest.runs, strict=True):
        model = name_of(run.trainings[0][1].model)
        values = psnr_of_report(run.report)
        lines += [
            f"| `{name}` | {model} | {seed} | {value:.3f} |"
            for name, seed, value in zip(packaged.logs, packaged.seeds, values, strict=True)
        ]
    lines += [
        "",
        "`cryodenoise check` says whether it keeps the rules; `cryodenoise verify PACKAGE --data_dir DATA` recomputes "
        f"the scores from the weights. {WRITE_UP_NAME} says what was done, {SYSTEM_NAME} on which machine.",
        "",
    ]
    return "\n".join(lines)
