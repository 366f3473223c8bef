"""Checkpoints: mistakes end with exit code 2, one message, files as they were."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cryodenoise.files import sha256_of
from cryodenoise.models.weights import read_tensors, write_tensors
from refusals import Refusal, edit, flip_byte, unfinish
from workspaces import Workspace


def other_network(prefix: str = "") -> dict[str, torch.Tensor]:
    """Weights of a network that is not cnn3."""
    return {f"{prefix}0.weight": torch.zeros(8, 1, 3, 3), f"{prefix}0.bias": torch.zeros(8)}


def replace_best(workspace: Workspace, write: Callable[[Path], object]) -> Path:
    """Put other content into best.safetensors and make training.json believe it; results/ goes."""
    shutil.rmtree(workspace / "results")
    best = workspace / "model/best.safetensors"
    write(best)
    edit(workspace / "model/training.json", lambda document: document["weights"].update(sha256=sha256_of(best)))
    return best


def test_test_with_weights_of_another_network(finished: Workspace, refuse: Refusal) -> None:
    best = replace_best(finished, lambda path: write_tensors(path, other_network(), {"model": "cnn3"}))
    refuse(finished, "test", str(best), "another network than cnn3", "0.bias", "(8,)", "(16,)")


def test_test_with_a_network_that_this_version_does_not_know(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "results")
    path = finished / "model/training.json"
    edit(path, lambda document: document.update(model="cnn5"))
    refuse(finished, "test", str(path), "'cnn5'", "cnn3")


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_bytes(pickle.dumps({"0.weight": 1})),
        lambda path: torch.save({"0.weight": torch.zeros(1)}, path),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:]),
    ],
    ids=["pickle", "torch-save", "empty", "truncated", "header-length-forged"],
)
def test_weights_that_are_no_safetensors(finished: Workspace, refuse: Refusal, write: Callable[[Path], object]) -> None:
    best = replace_best(finished, write)
    refuse(finished, "test", str(best), "no checkpoint", "cryodenoise train")


@pytest.mark.parametrize("task", ["train", "test"])
@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_weights_that_training_json_does_not_name(finished: Workspace, refuse: Refusal, task: str, damage: str) -> None:
    best = finished / "model/best.safetensors"
    flip_byte(best, best.stat().st_size - 1) if damage == "altered" else best.unlink()
    if task == "test":
        shutil.rmtree(finished / "results")
    refuse(finished, task, f"{best}: {damage}", "cryodenoise train")


def with_progress(value: Any) -> Callable[[Path], object]:
    """A change of last.safetensors, to what another version of the program might have saved."""

    def write(path: Path) -> None:
        tensors, about = read_tensors(path)
        write_tensors(path, tensors, {**about, "progress": value})

    return write


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: write_tensors(path, other_network("network."), read_tensors(path)[1]), ["another network"]),
        (lambda path: shutil.copy(path.with_name("best.safetensors"), path), ["progress", "cryodenoise train"]),
        (lambda path: path.write_bytes(pickle.dumps({})), ["no checkpoint", "cryodenoise train"]),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), ["no checkpoint", "cryodenoise train"]),
        (with_progress({"epochs_done": 2}), ["cryodenoise train"]),
        (with_progress(None), ["cryodenoise train"]),
        (lambda path: flip_byte(path, path.stat().st_size - 1), ["cryodenoise train"]),
    ],
    ids=["other-network", "weights-alone", "pickle", "truncated", "other-progress", "no-progress", "altered-byte"],
)  # fmt: skip
def test_training_does_not_go_on_from_a_state_that_is_not_its_own(
    finished: Workspace, refuse: Refusal, write: Callable[[Path], object], words: list[str]
) -> None:
    last = unfinish(finished)
    write(last)
    refuse(finished, "train", str(last), *words)


@pytest.mark.parametrize("damage", ["lost", "swapped"])
def test_best_weights_of_unfinished_training_come_back(finished: Workspace, damage: str) -> None:
    undisturbed = (finished / "model/best.safetensors").read_bytes()
    (finished / "model/training.json").rename(finished / "model/unfinished.json")
    best = finished / "model/best.safetensors"
    best.unlink()
    if damage == "swapped":
        write_tensors(best, other_network(""), {"model": "cnn3"})
    assert finished.run("train") == 0
    assert best.read_bytes() == undisturbed
