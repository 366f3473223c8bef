"""The sets in reference/: found by name and dataset, made from the run files, as the copies beside them say."""

import re
from pathlib import Path

import pytest

from cryodenoise.config.reference import Reference
from cryodenoise.config.report import Report
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError
from cryodenoise.models import MODELS, parameter_count
from cryodenoise.submission import digests, reference_sets
from small_datasets import random_images, write_dataset

ROOT = Path(__file__).resolve().parents[3]
MEASURED = [reference for reference in reference_sets.all() if reference.runs]


def name_of(reference: Reference) -> str:
    return reference.name


def test_the_sets_are_shipped() -> None:
    assert {"empiar10025", "halves", "smoke", "truth"} == {each.name for each in reference_sets.all()}
    assert [path.stem for path in sorted((ROOT / "reference").glob("*.json"))] == list(
        map(name_of, reference_sets.all())
    )


@pytest.mark.parametrize("reference", reference_sets.all(), ids=name_of)
def test_they_are_of_the_run_files(reference: Reference) -> None:
    folder = ROOT / "run" / ("" if reference.name == "empiar10025" else reference.name)
    train = TrainParameters.load(folder / "train.yaml").determining()
    assert reference.download == DownloadParameters.load(folder / "download.yaml").determining()
    assert reference.preprocess == PreprocessParameters.load(folder / "preprocess.yaml").determining()
    assert reference.train == {key: value for key, value in train.items() if key != "seed"}
    assert reference.parameters == parameter_count(MODELS[reference.train["model"]].build())


def test_nothing_is_claimed_of_the_full_benchmark() -> None:
    full = reference_sets.of("empiar10025")
    assert (full.dataset_identity, full.test_digest, full.runs, full.tolerance_db) == (None, None, [], None)


@pytest.mark.parametrize("reference", MEASURED, ids=name_of)
def test_what_was_measured_is_what_the_report_beside_it_says(reference: Reference) -> None:
    folder = ROOT / "reference" / reference.name
    report = Report.load_document(folder / "report.json")
    assert report.across_seeds is not None
    assert {run.seed: run.psnr_db for run in reference.runs} == dict(
        zip(report.across_seeds.seeds, report.across_seeds.psnr_db, strict=True)
    )
    assert len(reference.runs) >= 10
    assert reference.runs[0].seed == TrainParameters.load(folder / "train.yaml").seed
    assert (reference.dataset_identity, reference.environment) == (report.dataset_identity, report.environment)
    assert report.download is not None
    assert (reference.download, reference.preprocess) == (report.download.parameters, report.preprocess.parameters)
    assert all(path.stat().st_size < 2**20 for path in folder.iterdir())


@pytest.mark.parametrize("reference", MEASURED, ids=name_of)
def test_the_readme_has_their_figures(reference: Reference) -> None:
    report = Report.load_document(ROOT / "reference" / reference.name / "report.json")
    assert report.across_seeds is not None
    mean, deviation = report.across_seeds.mean_db, report.across_seeds.standard_deviation_db
    row = rf"\| `{reference.name}` .*\| {mean:.3f} \| {deviation:.3f} \|"
    assert re.search(row, (ROOT / "reference/README.md").read_text())


def test_a_set_is_found_by_its_name() -> None:
    assert reference_sets.of("smoke").name == "smoke"
    with pytest.raises(UserError, match="found 'smok', expected one of empiar10025"):
        reference_sets.of("smok")


@pytest.mark.parametrize("reference", MEASURED, ids=name_of)
def test_a_set_is_found_by_its_dataset_or_its_test_split_alone(reference: Reference) -> None:
    assert reference.dataset_identity is not None
    assert reference_sets.find(reference.dataset_identity) == reference
    assert reference_sets.find("0" * 64, reference.test_digest) == reference
    assert reference_sets.find("0" * 64) is None
    assert reference_sets.find("0" * 64, "0" * 64) is None


def test_the_identity_counts_before_the_test_split() -> None:
    one, other = (Reference.model_copy(MEASURED[0], update={"dataset_identity": mark * 64}) for mark in "ab")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(reference_sets, "all", lambda: (one, other))
        assert reference_sets.find("b" * 64, one.test_digest) is other


def test_a_dataset_is_known_by_its_test_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path, random_images((8, 8)))
    dataset = open_dataset(tmp_path)
    assert reference_sets.of_dataset(dataset) is None
    known = MEASURED[0].model_copy(update={"test_digest": digests.test_digest(dataset)})
    monkeypatch.setattr(reference_sets, "all", lambda: (known,))
    assert reference_sets.of_dataset(dataset) is known
