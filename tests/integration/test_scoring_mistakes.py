"""Mistakes around the task `test`: exit code 2, one message, nothing half-written; and results that were altered."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.files import sha256_of
from cryodenoise.models.weights import read_tensors, write_tensors
from refusals import Refusal, edit, flip_byte
from workspaces import Workspace

NET = '''
import os
import torch
from torch import nn

class Faulty(nn.Module):
    """Keeps its fault from the trial, whose sample is a ramp."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)
        self.single = 0

    def forward(self, noisy):
        denoised, fault = self.layer(noisy), os.environ.get("FAULT")
        if (noisy.flatten().diff() > 0).all():
            return denoised
        self.single += len(noisy) == 1
        # Blank ice comes after the first batch, twice, the 16 other patches and three examples.
        if fault == "nan" or fault == "nan on blank ice" and self.single > 27:
            denoised[-1, 0, 3, 5] = torch.nan
        if fault == "raise":
            raise KeyError("no such thing")
        if fault == "channel":
            return denoised[:, 0]
        if fault == "smaller":
            return denoised[..., 1:-1, 1:-1]
        return [denoised] if fault == "list" else denoised

def build():
    return Faulty()
'''


@pytest.fixture(scope="module")
def _trained(made_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("trained") / "workspace")
    shutil.copytree(made_once / "data", workspace / "data")
    (workspace / "code").mkdir()
    (workspace / "code/mine.py").write_text(NET)
    workspace.write("train", {"model": {"import": "mine:build"}, "epochs": 1, "micro_batch_size": 4})
    assert main([*workspace.arguments("train"), f"--code_dir={workspace / 'code'}"]) == 0
    return workspace


@pytest.fixture
def trained(_trained: Workspace, tmp_path: Path) -> Workspace:
    """A copy of a workspace with the trained network above, and its code."""
    shutil.copytree(_trained.root, tmp_path / "trained")
    return Workspace(tmp_path / "trained")


def words(workspace: Workspace, *options: str, model: bool = False) -> list[str]:
    """The command line, with or without a model_dir."""
    if not (workspace / "run/test.yaml").exists():
        workspace.write("test")
    return [
        *(word for word in workspace.arguments("test") if model or not word.startswith("--model_dir=")),
        *options,
    ]


@pytest.fixture
def predictions(preprocessed: Workspace) -> Path:
    """A folder of images that fit the dataset of `preprocessed`, float32 of shape (20, 32, 32)."""
    folder = preprocessed / "predictions"
    folder.mkdir()
    shutil.copy(preprocessed / "data/test_input.bin", folder / "test_denoised.bin")
    return folder


def images(folder: Path) -> np.ndarray:
    return np.fromfile(folder / "test_denoised.bin", "<f4").reshape(20, 32, 32)


def other_shape(folder: Path) -> None:
    np.save(folder / "test_denoised.npy", images(folder)[:, :-1])
    (folder / "test_denoised.bin").unlink()


def other_count(folder: Path) -> None:
    np.save(folder / "test_denoised.npy", images(folder)[1:])
    (folder / "test_denoised.bin").unlink()


def cut_off(folder: Path) -> None:
    images(folder)[:-1].tofile(folder / "test_denoised.bin")


def two_files(folder: Path) -> None:
    np.save(folder / "test_denoised.npy", images(folder))


def other_name(folder: Path) -> None:
    (folder / "test_denoised.bin").rename(folder / "denoised.bin")


def not_a_number(folder: Path) -> None:
    found = images(folder)
    found[7, 3, 5] = np.nan
    found.tofile(folder / "test_denoised.bin")


def infinite_in_the_last(folder: Path) -> None:
    found = images(folder)
    found[-1, 0, 0] = np.inf
    found.tofile(folder / "test_denoised.bin")


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (other_shape, ["test_denoised.npy: found an array of shape (20, 31, 32), expected (20, 32, 32)"]),
        (other_count, ["test_denoised.npy: found 19 predictions, expected 20"]),
        (cut_off, ["test_denoised.bin: found 77824 bytes, expected 81920 (float32) or 40960 (float16)"]),
        (two_files, ["found test_denoised.bin and test_denoised.npy", "remove all but one"]),
        (other_name, ["found none, expected one of test_denoised.bin, test_denoised.npy, test_denoised.mrc"]),
        (not_a_number, ["test_denoised.bin: patch 7: found 1 of 1024 values that are NaN"]),
        (infinite_in_the_last, ["test_denoised.bin: patch 19: found 1 of 1024 values that are NaN"]),
        (shutil.rmtree, ["predictions: does not exist, expected a folder of predictions"]),
        (a_file, ["predictions: is a file, expected a folder of predictions"]),
    ],
)
def test_predictions_that_do_not_fit_are_refused(
    preprocessed: Workspace,
    predictions: Path,
    refuse: Refusal,
    change: Callable[[Path], None],
    expected: list[str],
) -> None:
    change(predictions)
    refuse.command(words(preprocessed, f"--predictions={predictions}"), preprocessed.root, *expected)
    assert not (preprocessed / "results").exists()


def test_predictions_that_were_mended_are_scored(preprocessed: Workspace, predictions: Path, refuse: Refusal) -> None:
    whole = (predictions / "test_denoised.bin").read_bytes()
    not_a_number(predictions)
    command = words(preprocessed, f"--predictions={predictions}")
    refuse.command(command, preprocessed.root, "patch 7")
    (predictions / "test_denoised.bin").write_bytes(whole)
    assert main(command) == 0
    flip_byte(predictions / "test_denoised.bin", 0)
    refuse.command(command, preprocessed.root, "made from something else (inputs.predictions: ", "give another folder")


def test_one_thing_is_scored_at_a_time(preprocessed: Workspace, predictions: Path, refuse: Refusal) -> None:
    run_file = preprocessed.write("test", {"model": "baseline/wiener"})
    expected = f"{run_file}: model: baseline/wiener, beside --predictions {predictions}: give the one or the other"
    command = words(preprocessed, f"--predictions={predictions}")
    refuse.command(command, preprocessed.root, expected)
    (predictions / "test_denoised.bin").unlink()
    assert main(command) == 0


def test_nothing_to_score_is_refused(preprocessed: Workspace, refuse: Refusal) -> None:
    run_file = preprocessed.write("test")
    expected = f"{run_file}: nothing to score: give --model_dir, --predictions, or `model: baseline/NAME`"
    refuse.command(words(preprocessed), preprocessed.root, expected)
    folder = preprocessed / "predictions"
    folder.mkdir()
    (folder / ".keep").write_text("")
    refuse.command(words(preprocessed, f"--predictions={folder}"), preprocessed.root, expected)
    missing = f"{preprocessed / 'model'}: does not exist"
    refuse.command(words(preprocessed, model=True), preprocessed.root, missing, "`cryodenoise train`")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("baseline/weiner", ["model: found 'weiner', expected one of: affine, ", "did you mean 'wiener'?"]),
        ("baseline/", ['model: found "baseline/", expected']),
        ("wiener", ['model: found "wiener", expected']),
        ("cnn3", ['model: found "cnn3", expected']),
    ],
)
def test_filters_that_there_are_not_are_refused(
    preprocessed: Workspace, refuse: Refusal, model: str, expected: list[str]
) -> None:
    run_file = preprocessed.write("test", {"model": model})
    refuse.command(words(preprocessed), preprocessed.root, f"{run_file}: ", *expected)


def test_a_filter_that_does_not_apply_is_refused(preprocessed: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(preprocessed / "data")
    preprocessed.write("preprocess", {"pixel_size_angstrom": 15.0})
    assert preprocessed.run("preprocess") == 0
    preprocessed.write("test", {"model": "baseline/lowpass20"})
    expected = "model: baseline/lowpass20: Low-pass at 20 Å does not apply to this dataset"
    refuse.command(words(preprocessed), preprocessed.root, expected, "choose another")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("nan", ["mine:build: it makes values of test patch ", " that are not finite"]),
        ("nan on blank ice", ["mine:build: it makes values of ice that shows nothing that are not finite"]),
        ("raise", ["model: mine:build failed in scoring in ", "mine.py, line 23: KeyError: 'no such thing'"]),
        ("channel", ["model: mine:build: found (1, 32, 32) in scoring, expected a tensor of shape (1, 1, 32, 32)"]),
        ("smaller", ["model: mine:build: found (1, 1, 30, 30) in scoring, expected a tensor of shape (1, 1, 32, 32)"]),
        ("list", ["model: mine:build: found list in scoring, expected a tensor of shape (1, 1, 32, 32)"]),
    ],
)
def test_a_network_that_fails_while_it_is_scored_is_named(
    trained: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch, fault: str, expected: list[str]
) -> None:
    monkeypatch.setenv("FAULT", fault)
    refuse.command(words(trained, f"--code_dir={trained / 'code'}", model=True), trained.root, *expected)
    assert not (trained / "results").exists()


def test_a_repetition_that_fails_while_it_is_scored_is_named(preprocessed: Workspace, refuse: Refusal) -> None:
    preprocessed.write("train", {"epochs": 1, "repeat": 2, "seed": 7})
    assert preprocessed.run("train") == 0
    second = preprocessed / "model/repeat-2"
    best = second / "best.safetensors"
    tensors, about = read_tensors(best)
    write_tensors(best, {name: torch.full_like(tensor, torch.inf) for name, tensor in tensors.items()}, about)
    edit(second / "training.json", lambda record: record["weights"].update(sha256=sha256_of(best)))
    expected = "cnn3 of seed 8: it makes values of test patches that are not finite"
    refuse.command(words(preprocessed, model=True), preprocessed.root, expected)


def older(results: Path) -> None:
    edit(results / "report.json", lambda document: document.update(format_version=3))


def edited(results: Path) -> None:
    path = results / "report.json"
    document = json.loads(path.read_text())
    document["samples"] += 1
    path.write_text(json.dumps(document))


def without_measures(results: Path) -> None:
    (results / "measures.npz").unlink()


def altered_measures(results: Path) -> None:
    flip_byte(results / "measures.npz", 1000)


def measures_cut_off(results: Path) -> None:
    path = results / "measures.npz"
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("change", "of_report", "of_check"),
    [
        (older, "report.json: format 'cryodenoise/report' version 3, expected", "FOLDER-3"),
        (edited, "report.json: content_sha256: found", "FOLDER-3"),
        (without_measures, "measures.npz: missing, though report.json names it", "RESULTS-2"),
        (altered_measures, "measures.npz: SHA-256 ", "RESULTS-2"),
        (measures_cut_off, "measures.npz: SHA-256 ", "RESULTS-2"),
    ],
)
def test_results_that_were_altered_are_found_out(
    finished: Workspace,
    refuse: Refusal,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    of_report: str,
    of_check: str,
) -> None:
    results = finished / "results"
    change(results)
    refuse.command(
        ["report", str(results)], finished.root, of_report, "remove the folder and run `cryodenoise test` again"
    )
    assert main(["check", str(results)]) == 1
    said = capsys.readouterr().out
    assert f"  {of_check}: {results}" in said
    assert "what to do: remove the folder and run `cryodenoise test` again" in said
