"""The rules that every package keeps, whatever its division: it is whole, and its parts fit each other."""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from cryodenoise.claims import differences
from cryodenoise.config.reference import Reference
from cryodenoise.config.report import TrainingConditions
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.submission import Manifest
from cryodenoise.config.training import ImportedModel
from cryodenoise.dataset import layout as dataset_layout
from cryodenoise.errors import UserError
from cryodenoise.evaluation import self_test
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.metrics.accumulate import psnr_db
from cryodenoise.models import choose, parameter_count
from cryodenoise.models.weights import read_tensors
from cryodenoise.submission import contents, digests, log, logged, reference_sets, scores, system
from cryodenoise.submission.package import (
    CONFIG_NAME,
    MANIFEST_NAME,
    SYSTEM_NAME,
    Package,
    run_folder,
)
from cryodenoise.training import check as model_rules
from cryodenoise.training.checkpoints import BEST_NAME, load_network
from cryodenoise.training.record import DOCUMENT_NAME as TRAINING_NAME
from cryodenoise.training.record import made_from_of
from cryodenoise.training.seen import told_by

_CONFIG_KEYS = ("organization", "system", "descriptor", "division", "track", "reference_set")


def config_of(manifest: Manifest) -> dict[str, Any]:
    """What config.yaml says: the manifest's heading, for people."""
    return {"application": "cryodenoise", **{key: getattr(manifest, key) for key in _CONFIG_KEYS}}


@rule("PACKAGE-6", "manifest.json, config.yaml and the folders' names say the same")
def named(package: Package) -> Iterator[Finding]:
    """Runs and logs under other names, and headings that differ."""
    manifest = package.manifest
    *_, organization, application, system_name, descriptor = ("", "", "", "", *package.path.resolve().parts)
    found = (organization, application, system_name, descriptor)
    if found != (expected := (manifest.organization, "cryodenoise", manifest.system, manifest.descriptor)):
        yield Finding(Path(MANIFEST_NAME), f"lies in {'/'.join(found)}, expected {'/'.join(expected)}")
    for number, run in enumerate(manifest.runs):
        if run.folder != run_folder(number):
            yield Finding(Path(MANIFEST_NAME), f"runs.{number}.folder: {run.folder!r}, expected {run_folder(number)!r}")
    logs = [name for run in manifest.runs for name in run.logs]
    if logs != [log.result_name(number) for number in range(sum(len(run.seeds) for run in manifest.runs))]:
        yield Finding(Path(MANIFEST_NAME), f"logs: {logs}, expected one a seed: {log.result_name(0)}, …")
    told = contents.read_yaml(package.path / CONFIG_NAME)
    for line in differences(told, config_of(manifest)):
        yield Finding(Path(CONFIG_NAME), f"{line} (there: {CONFIG_NAME}; now: {MANIFEST_NAME})")


@rule("RUN-1", "a run scored a trained network, and report.json tells of the training that training.json tells of")
def same_training(package: Package) -> Iterator[Finding]:
    """Reports of something else, and every difference."""
    for run in package.runs:
        report, place = run.report, run.report_place
        if report.training is None or report.denoiser.kind != "network":
            yield Finding(
                place, f"scored {report.denoiser.name!r} ({report.denoiser.kind}), expected a network that `train` made"
            )
            continue
        record = run.trainings[0].record
        for name in TrainingConditions.model_fields:
            found, expected = getattr(report.training, name), getattr(record, name)
            if found != expected:
                yield Finding(place, f"training.{name}: another than in {run.trainings[0].folder / TRAINING_NAME}")
        weights = [training.record.weights.sha256 for training in run.trainings]
        if report.made_from.inputs.get("weights") != (weights[0] if len(weights) == 1 else weights):
            yield Finding(place, "made_from.inputs.weights: others than those of the trainings in the package")
        if record.trainings != len(run.trainings):
            yield Finding(place, f"{record.trainings} trainings were scored, {len(run.trainings)} are in the package")
        for number, training in enumerate(run.trainings[1:], start=2):
            expected_of = made_from_of(record, number).model_dump()
            if other := "; ".join(differences(training.record.made_from.model_dump(), expected_of)):
                yield Finding(training.folder / TRAINING_NAME, f"more differs from the first than the seed: {other}")


@rule("RUN-2", "weights have the digest that was scored, fit the network, and have the parameters that are told")
def weights(package: Package) -> Iterator[Finding]:
    """Other weights than were scored, and another number of parameters."""
    for run in package.runs:
        first = run.trainings[0].record
        denoiser = run.report.denoiser
        if denoiser.sha256 != first.weights.sha256:
            yield Finding(run.report_place, "denoiser.sha256: another than the weights of the training")
        if denoiser.parameters != first.parameters:
            yield Finding(run.report_place, f"denoiser.parameters: {denoiser.parameters}, trained {first.parameters}")
        for training in run.trainings:
            yield from _weights_of(package.path, training.folder, training.record)


def _weights_of(path: Path, place: Path, record: Any) -> Iterator[Finding]:
    yield from model_rules.best_weights.findings(model_rules.ModelFolder(path / place, record, None, None))
    if record.weights.name != BEST_NAME:
        return  # RUN-3 tells of it; it may be any place of this machine
    file = path / place / BEST_NAME
    try:
        if isinstance(record.model, ImportedModel):  # its code is the submitter's and is not run
            tensors, _ = read_tensors(file)
            if record.parameters > (found := sum(tensor.numel() for tensor in tensors.values())):
                yield Finding(place / TRAINING_NAME, f"parameters: {record.parameters}, the weights hold {found}")
            return
        network = choose(record.model, None, "model")
        load_network(file, network)
        if record.parameters != (count := parameter_count(network.build())):
            yield Finding(place / TRAINING_NAME, f"parameters: {record.parameters}, {network.name} has {count}")
    except UserError as error:
        yield Finding(place, str(error).removeprefix(f"{file}: "))


@rule("RUN-3", "training.json does not contradict itself: epochs, best epoch, weights")
def trainings(package: Package) -> Iterator[Finding]:
    """Every contradiction."""
    for training in package.trainings:
        folder = model_rules.ModelFolder(training.folder, training.record, None, None)
        yield from model_rules.consistent.findings(folder)
        history = training.record.history
        for epoch in history:
            if epoch.validation_psnr_db != psnr_db(epoch.validation_mse):
                told = f"history: epoch {epoch.epoch}: validation_psnr_db does not follow from validation_mse"
                yield Finding(training.folder / TRAINING_NAME, told)
        for before, after in pairwise(history):
            if not (after.elapsed_s > before.elapsed_s and after.samples_seen > before.samples_seen):
                yield Finding(training.folder / TRAINING_NAME, f"history: epoch {after.epoch} took no time or samples")


@rule("RUN-4", "dataset.json does not contradict itself, and is that of the report")
def dataset(package: Package) -> Iterator[Finding]:
    """Contradictions, and reports of other data."""
    for run in package.runs:
        place = run.place / "data" / dataset_layout.DOCUMENT_NAME
        yield from (Finding(place, problem) for problem in dataset_layout.inconsistencies(run.dataset))
        expected = {
            "dataset_identity": run.dataset.identity,
            "samples": run.dataset.splits["test"].samples,
            "sample_shape": run.dataset.sample_shape,
            "pairs": run.dataset.pairs,
            "preprocess": run.dataset.made_from,
            "download": run.dataset.source,
        }
        for name, value in expected.items():
            if getattr(run.report, name) != value:
                yield Finding(run.report_place, f"{name}: another than in {place}")
        if (run.report.against_truth is not None) != dataset_layout.has_truth(run.dataset.segments):
            yield Finding(run.report_place, f"against_truth: told or left out otherwise than {place} tells of a truth")
        if run.report.made_from.inputs.get("dataset") != run.dataset.identity:
            yield Finding(run.report_place, f"made_from.inputs.dataset: another than in {place}")


@rule("RUN-6", "the scorer was tested before it scored, and gave the known answers")
def tested(package: Package) -> Iterator[Finding]:
    """Self-tests that are missing, or whose answers are wrong."""
    known = {test.name: test.expected for test in self_test.run(torch.device("cpu"))}
    for run in package.runs:
        told = {test.name: test for test in run.report.self_tests}
        if told.keys() != known.keys():
            yield Finding(run.report_place, f"self_tests: {len(told)} tests, expected the scorer's {len(known)}")
        for name, test in told.items():
            if name in known and not self_test.is_right(known[name], test.found):
                yield Finding(run.report_place, f"self_tests: {name}: found {test.found}, expected {known[name]}")


@rule("RUN-7", "seeds are distinct, and enough for the set")
def seeds(package: Package) -> Iterator[Finding]:
    """Seeds that come twice, others than manifest.json tells, or too few."""
    place = Path(MANIFEST_NAME)
    found = [seed for run in package.runs for seed in run.seeds]
    if found != (told := [seed for run in package.manifest.runs for seed in run.seeds]):
        yield Finding(place, f"runs.seeds: {told}, training.json tells of {found}")
    if twice := sorted(seed for seed, count in Counter(found).items() if count > 1):
        yield Finding(place, f"seeds {twice}: each given more than once, expected distinct ones")
    digests = Counter(training.record.weights.sha256 for training in package.trainings)
    if same := [digest for digest, count in digests.items() if count > 1]:
        yield Finding(
            place, f"weights {same[0][:16]}… of several trainings are the same, expected one set for each seed"
        )
    first = package.runs[0].trainings[0].record
    for run in package.runs[1:]:
        record = run.trainings[0].record
        expected = made_from_of(first, 1 + run.seeds[0] - package.runs[0].seeds[0]).model_dump()
        if record.model != first.model or (other := "; ".join(differences(record.made_from.model_dump(), expected))):
            what = other if record.model == first.model else "another network"
            yield Finding(run.trainings[0].folder / TRAINING_NAME, f"more differs from run 0 than the seed: {what}")
    reference = named_set(package)
    if reference and len(set(found)) < reference.runs_required:
        yield Finding(place, f"{len(set(found))} seeds, the set {reference.name} asks for {reference.runs_required}")


@rule("RUN-8", "what training.json says that was trained on follows from dataset.json, as far as that tells")
def trained_on(package: Package) -> Iterator[Finding]:
    """Every difference, where the training had the dataset of its run."""
    for run in package.runs:
        expected = told_by(run.dataset)
        for training in run.trainings:
            if training.record.made_from.inputs.get("dataset") != run.dataset.identity:
                continue  # allowed in the open division; of that dataset the package tells nothing
            for name, value in expected.items():
                if (found := getattr(training.record.trained_on, name)) != value:
                    yield Finding(training.folder / TRAINING_NAME, f"trained_on.{name}: {found}, expected {value}")


@rule("SYSTEM-1", "system.json has the fields that MLCommons asks for, as mlperf-logging's checker says")
def described(package: Package) -> Iterator[Finding]:
    """What that checker says, and what differs from manifest.json."""
    yield from system.findings(package.path / SYSTEM_NAME, package.manifest)


@rule("DATA-1", "the test data are those of the set that manifest.json names")
def test_data(package: Package) -> Iterator[Finding]:
    """Sets that are unknown, and other data."""
    manifest, place = package.manifest, Path(MANIFEST_NAME)
    reference = named_set(package)
    if reference is None:
        names = ", ".join(each.name for each in reference_sets.all())
        yield Finding(place, f"reference_set: {manifest.reference_set!r} is unknown, expected one of {names}")
        return
    if manifest.track != reference.track:
        yield Finding(place, f"track: {manifest.track!r}, the set {reference.name} is of {reference.track!r}")
    for run in package.runs:
        if reference.test_digest is None:
            for task, told in (("preprocess", run.report.preprocess), ("download", run.report.download)):
                expected = getattr(reference, task)
                if other := "; ".join(differences(told.parameters if told else None, expected)):
                    yield Finding(run.report_place, f"{task}: another run file than the set's ({other})")
        elif (found := digests.test_digest(run.dataset)) != reference.test_digest:
            expected = f"expected {reference.test_digest[:16]}…, that of {reference.name}"
            yield Finding(run.place / "data" / dataset_layout.DOCUMENT_NAME, f"test data {found[:16]}…, {expected}")


@rule("SCORER-1", "the scorer's settings are the default ones, so that no one draws until the draws suit")
def scored(package: Package) -> Iterator[Finding]:
    """Run files of `test` with another seed or model."""
    expected = TestParameters().determining()
    for run in package.runs:
        told = {**run.report.made_from.parameters, "slow_patches": expected["slow_patches"]}  # which filters, not how
        if other := "; ".join(differences(told, expected)):
            yield Finding(run.report_place, f"test: another run file than the default ({other})")


def named_set(package: Package) -> Reference | None:
    """The set that manifest.json names; None if there is none of the name."""
    return next((each for each in reference_sets.all() if each.name == package.manifest.reference_set), None)


RULES: tuple[Rule[Package], ...] = (
    named, same_training, weights, trainings, dataset, scores.follow, tested, scored, seeds, trained_on, described,
    test_data, *logged.RULES,
)  # fmt: skip
