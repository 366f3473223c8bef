"""The four tasks on tiny data: what they write is what the documents say, and the same again and elsewhere."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from cryodenoise import commands
from cryodenoise.cli import main
from cryodenoise.dataset.order import shuffled
from workspaces import Workspace

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = {
    "download": "raw/download.json",
    "exposure": "raw/particles/synthetic_0000.json",
    "dataset": "data/dataset.json",
    "training": "model/training.json",
    "report": "results/report.json",
}


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def document(workspace: Workspace, name: str) -> dict:  # type: ignore[type-arg]
    content: dict = json.loads((workspace / DOCUMENTS[name]).read_text())  # type: ignore[type-arg]
    return content


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_every_document_follows_its_published_schema(finished: Workspace, name: str) -> None:
    schema = json.loads((PROJECT / "docs" / "schemas" / f"{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document(finished, name), schema)


@pytest.mark.parametrize("name", sorted(commands.DOCUMENTS))
def test_the_published_schemas_are_those_of_the_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", name]) == 0
    assert (PROJECT / "docs" / "schemas" / f"{name}.schema.json").read_text() == capsys.readouterr().out


def test_the_report_names_all_that_it_was_made_from(finished: Workspace) -> None:
    report, dataset, training = (document(finished, name) for name in ("report", "dataset", "training"))
    assert report["dataset_identity"] == dataset["identity"] == training["made_from"]["inputs"]["dataset"]
    weights = hashlib.sha256((finished / "model/best.safetensors").read_bytes()).hexdigest()
    assert report["denoiser"]["sha256"] == report["training"]["weights"]["sha256"] == weights
    assert report["measures_sha256"] == hashlib.sha256((finished / "results/measures.npz").read_bytes()).hexdigest()
    assert report["download"]["parameters"]["synthetic"]["seed"] == 42
    assert report["preprocess"]["parameters"]["noise"]["seed"] == 42
    assert report["training"]["made_from"]["parameters"]["optimizer"]["learning_rate"] == 0.001
    assert report["samples"] == dataset["splits"]["test"]["samples"] == 20
    assert set(report["environment"]) >= {"source_revision", "source_digest", "packages", "processor", "gpus"}
    assert report["machine"]["batch_size"] == 4
    assert report["training"]["environment"] == training["environment"]
    resources = report["resources"]
    assert resources["patches_per_s"] > 0
    assert resources["peak_host_memory_bytes"] > 2**20
    assert resources["reading_s"] + resources["denoising_s"] + resources["scoring_s"] == resources["elapsed_s"]
    assert len(report["self_tests"]) >= 15


def test_no_document_holds_a_path(finished: Workspace) -> None:
    for name in DOCUMENTS:
        assert str(finished.root) not in (finished / DOCUMENTS[name]).read_text()


def test_the_best_epoch_is_the_one_with_the_lowest_validation_error(finished: Workspace) -> None:
    training = document(finished, "training")
    errors = {epoch["epoch"]: epoch["validation_mse"] for epoch in training["history"]}
    assert training["best_epoch"] == min(errors, key=lambda epoch: errors[epoch])
    assert training["parameters"] == 2625


def test_the_scores_are_those_of_a_few_lines_of_numpy(finished: Workspace) -> None:
    noisy, target = (
        np.fromfile(finished / f"data/test_{role}.bin", "<f4").astype("f8").reshape(-1, 32 * 32)
        for role in ("input", "target")
    )
    scores = document(finished, "report")["against_target"]
    of_input, wiener = (scores["methods"][name]["scores"] for name in ("noisy_input", "scalar_wiener"))
    assert of_input["mse"] == pytest.approx(((noisy - target) ** 2).mean(), rel=1e-12)
    slope, offset = np.polyfit(noisy.ravel(), target.ravel(), 1)
    assert wiener["mse"] == pytest.approx(((slope * noisy + offset - target) ** 2).mean(), rel=1e-10)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(noisy, target, strict=True)]
    assert of_input["correlation"]["median"] == pytest.approx(np.median(correlations), rel=1e-10)


def test_two_runs_give_the_same_bytes(finished: Workspace, tmp_path: Path) -> None:
    again = Workspace(tmp_path / "again")
    assert again.run("download", "preprocess", "train", "test") == 0
    assert contents(again / "raw") == contents(finished / "raw")
    assert contents(again / "data") == contents(finished / "data")
    assert document(again, "dataset")["identity"] == document(finished, "dataset")["identity"]
    best = "model/best.safetensors"
    assert (again / best).read_bytes() == (finished / best).read_bytes()
    assert document(again, "report")["against_target"] == document(finished, "report")["against_target"]


def test_the_scores_do_not_depend_on_the_batch_size(finished: Workspace) -> None:
    scores = document(finished, "report")["against_target"]
    shutil.rmtree(finished / "results")
    finished.write("test", {"batch_size": 7, "read_ahead_mib": 1})
    assert finished.run("test") == 0
    again = document(finished, "report")["against_target"]
    assert again["methods"].keys() == scores["methods"].keys() >= {"noisy_input", "scalar_wiener", "wiener"}
    first, second = (
        {"denoised": each["denoised"], **{name: method["scores"] for name, method in each["methods"].items()}}
        for each in (scores, again)
    )
    for name, before in first.items():
        assert second[name]["mse"] == pytest.approx(before["mse"], rel=1e-6)
        assert second[name]["ssim"]["mean"] == pytest.approx(before["ssim"]["mean"], rel=1e-6)
        assert second[name]["correlation"]["mean"] == pytest.approx(before["correlation"]["mean"], rel=1e-6)
    assert again["spectra"]["denoised"]["frc"] == pytest.approx(scores["spectra"]["denoised"]["frc"], abs=1e-5)


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_any_number_of_workers_writes_the_same_bytes(finished: Workspace, workers: int) -> None:
    before = contents(finished / "data")
    shutil.rmtree(finished / "data")
    finished.write("preprocess", {"workers": workers})
    assert finished.run("preprocess") == 0
    assert contents(finished / "data") == before


def test_noise_depends_on_pixels_and_position_not_on_file_names(finished: Workspace, tmp_path: Path) -> None:
    raw = finished / "raw"
    one, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    for workspace, names in ((one, "abc"), (other, "xyz")):
        (workspace / "raw").mkdir(parents=True)
        for number, name in enumerate(names):
            shutil.copy(raw / f"synthetic_{number:04d}.mrc", workspace / f"raw/{name}.mrc")
        assert workspace.run("preprocess") == 0
    assert contents(one / "data") == contents(other / "data")
    assert document(one, "dataset")["identity"] == document(other, "dataset")["identity"]


def test_validation_and_test_are_micrographs_that_training_never_sees(finished: Workspace) -> None:
    dataset = document(finished, "dataset")
    assert dataset["held_out"] == "micrographs"
    seen: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
    for segment in dataset["segments"]:
        seen[segment["split"]].add(segment["micrograph"])
    assert all(seen.values())
    assert len(seen["train"] | seen["validation"] | seen["test"]) == sum(map(len, seen.values())) == 4
    train, validation = dataset["splits"]["train"], dataset["splits"]["validation"]
    visited = train["first_sample"] + shuffled(train["samples"], 42, 1)
    assert visited.max() < validation["first_sample"]


def test_one_micrograph_is_split_into_regions_and_the_report_says_so(
    empty: Workspace, write_mrc: Callable[..., Path]
) -> None:
    image = np.random.default_rng(0).poisson(30, (160, 64)).astype(np.float32)
    write_mrc(empty / "raw/only.mrc", image)
    assert empty.run("preprocess", "train", "test") == 0
    assert document(empty, "dataset")["held_out"] == "regions"
    assert any("regions" in remark for remark in document(empty, "report")["remarks"])


def test_targets_are_the_normalised_patches_and_the_pixel_size_is_kept(
    empty: Workspace, write_mrc: Callable[..., Path]
) -> None:
    images = [np.random.default_rng(seed).gamma(4, 5, (64, 48)).astype(np.float32) for seed in range(3)]
    for number, image in enumerate(images):
        write_mrc(empty / f"raw/{number}.mrc", image, pixel_size_angstrom=1.77)
    empty.write("preprocess", {"noise": {"model": "none"}})
    assert empty.run("preprocess") == 0
    sizes = [entry["pixel_size_angstrom"] for entry in document(empty, "dataset")["micrographs"]]
    assert sizes == pytest.approx([1.77] * 3)
    assert (empty / "data/test_input.bin").read_bytes() == (empty / "data/test_target.bin").read_bytes()


def test_without_noise_there_is_no_psnr_of_the_input_and_no_gain(empty: Workspace) -> None:
    empty.write("preprocess", {"noise": {"model": "none"}})
    assert empty.run("download", "preprocess", "train", "test") == 0
    report = document(empty, "report")
    of_input = report["against_target"]["methods"]["noisy_input"]
    assert of_input["scores"]["psnr_db"] is None
    assert of_input["gain_db"] is None


def test_scores_of_a_network_trained_on_other_data_say_so(finished: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    other.write("preprocess", {"noise": {"seed": 1}})
    assert other.run("download", "preprocess") == 0
    shutil.copytree(finished / "model", other / "model")
    assert other.run("test") == 0
    assert any("another dataset" in remark for remark in document(other, "report")["remarks"])


def test_micrographs_that_are_there_take_the_place_of_a_download(finished: Workspace, tmp_path: Path) -> None:
    words = ["pipeline", str(finished / "run"), f"--workspace={tmp_path / 'own'}", f"--raw_dir={finished / 'raw'}"]
    assert main(words) == 0
    assert not (tmp_path / "own/raw").exists()
    assert contents(tmp_path / "own/data") == contents(finished / "data")


def test_the_pipeline_runs_the_four_tasks_and_finds_its_work_done(
    empty: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for task in ("download", "preprocess", "train", "test"):
        empty.write(task)
    words = ["pipeline", str(empty / "run"), "--workspace", str(empty.root)]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "Scalar Wiener (bound)" in shown
    assert f"report: {empty / 'results/report.json'}" in shown
    assert main(words) == 0
    assert capsys.readouterr().out.count("nothing to do") == 4
    assert "cnn3" in (empty / "logs/pipeline.log").read_text()
