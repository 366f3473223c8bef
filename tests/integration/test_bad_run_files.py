"""Run files: mistakes end with exit code 2, one message, files as they were."""

from typing import Any

import pytest

from refusals import TASKS, Refusal
from workspaces import Workspace


@pytest.mark.parametrize(
    ("task", "text", "words"),
    [
        ("train", "epoch: 3", ["epoch: unknown key", "'epochs'"]),
        ("train", "colour: red", ["colour: unknown key", "epochs", "optimizer"]),
        ("train", "optimizer: {learningrate: 1}", ["optimizer.learningrate: unknown key", "'learning_rate'"]),
        ("train", "1: 2", ["1: unknown key"]),
        ("test", "batchsize: 3", ["batchsize: unknown key", "'batch_size'"]),
        ("preprocess", "patches: {size: 32}", ["patches.size: unknown key", "'size_px'"]),
        (
            "download",
            "source: synthetic\nsynthetic: {micrograph: 4, micrographs: 4, height_px: 96, width_px: 80}",
            ["synthetic.micrograph: unknown key", "'micrographs'"],
        ),
        ("train", "epochs: two", ["epochs: found", '"two"', "integer"]),
        ("train", "epochs: '3'", ["epochs: found", '"3"', "integer"]),
        ("train", "batch_size: 2.5", ["batch_size: found 2.5", "integer"]),
        ("train", "epochs: true", ["epochs: found true", "integer"]),
        ("train", "epochs: 0", ["epochs: found 0", "1"]),
        ("train", "optimizer: [adam]", ["optimizer: found", "adam"]),
        ("train", "optimizer: {learning_rate: .nan}", ["optimizer.learning_rate", "finite"]),
        ("train", "optimizer: {learning_rate: .inf}", ["optimizer.learning_rate", "finite"]),
        ("train", "optimizer: {name: adamax}", ["optimizer.name", '"adamax"', "'adam'", "'sgd'"]),
        ("train", "device: gpu", ["device", '"gpu"', "'auto'", "'cuda'"]),
        ("preprocess", "split: 3", ["split: found 3"]),
        ("preprocess", "patches: null", ["patches: found null"]),
        ("preprocess", "noise: {electrons_at_one: 401}", ["noise.electrons_at_one: found 401", "400"]),
        ("preprocess", "split: {test_fraction: 1}", ["split.test_fraction: found 1", "less than 1"]),
        ("download", "", ["source: missing"]),
        ("download", "source: synthetic", ["add the section `synthetic:`"]),
        ("download", "source: empiar\nempiar: {entry: 10025}", ["empiar.directory: missing"]),
        ("train", "epochs: 1\nepochs: 2", ["'epochs' given twice", "line"]),
        ("preprocess", "patches: {size_px: 32, stride_px: 8, size_px: 64}", ["'size_px' given twice", "line 1"]),
    ],
)
def test_key_or_type_that_no_run_file_has(
    empty: Workspace, refuse: Refusal, task: str, text: str, words: list[str]
) -> None:
    path = empty.write(task)
    path.write_text(text)
    refuse(empty, task, str(path), *words)


def test_all_findings_of_a_run_file_are_told_at_once(empty: Workspace, refuse: Refusal) -> None:
    path = empty.write("train")
    path.write_text("epoch: 3\nbatch_size: many\nseed: -1\n")
    lines = refuse(empty, "train", "epoch: unknown key", "batch_size: found", "seed: found -1").splitlines()
    assert len(lines) == 3
    assert all(str(path) in line for line in lines)


@pytest.mark.parametrize(
    "content",
    [
        b"epochs: [1",
        b"\tepochs: 1",
        b"epochs: 1\nbatch_size 4\n",
        b"just words",
        b"- epochs\n- 3\n",
        b"PK\x03\x04\x00\x00",
        b"\xff\xfee\x00p\x00",
        b"epochs: !!python/object/apply:os.getpid []",
        b"seed: 2024-02-30",
        b"seed: !!int many",
        b"epochs: &a [*a]",
    ],
)
def test_run_file_that_is_not_yaml(empty: Workspace, refuse: Refusal, content: bytes) -> None:
    path = empty.write("train")
    path.write_bytes(content)
    refuse(empty, "train", str(path))


@pytest.mark.parametrize("task", TASKS)
def test_missing_run_file(empty: Workspace, refuse: Refusal, task: str) -> None:
    empty.write(task).unlink()
    refuse.command(empty.arguments(task), empty.root, str(empty / f"run/{task}.yaml"), "no such run file")


def test_folder_in_the_place_of_a_run_file(empty: Workspace, refuse: Refusal) -> None:
    (empty / "run/train.yaml").mkdir(parents=True)
    refuse(empty, "train", str(empty / "run/train.yaml"), "no text file")


@pytest.mark.parametrize(
    ("task", "changes", "place", "words"),
    [
        ("train", {"model": "cnn4"}, "model", ["'cnn4'", "cnn3", "did you mean 'cnn3'"]),
        ("train", {"model": "transformer"}, "model", ["'transformer'", "cnn3"]),
        ("preprocess", {"noise": {"model": "gausian"}}, "noise.model", ["'gausian'", "poisson", "mean 'gaussian'"]),
        ("preprocess", {"normalization": "p1p99"}, "normalization", ["'p1p99'", "p95", "did you mean 'p1_p99'"]),
        ("download", {"source": "empair", "synthetic": None}, "source", ["'empair'", "synthetic", "mean 'empiar'"]),
        ("download", {"source": "synthtic"}, "source", ["'synthtic'", "empiar", "did you mean 'synthetic'"]),
    ],
)
def test_unknown_name(
    finished: Workspace, refuse: Refusal, task: str, changes: dict[str, Any], place: str, words: list[str]
) -> None:
    path = finished.write(task, changes)
    refuse(finished, task, f"{path}: {place}: ", *words)


def test_section_of_another_source(empty: Workspace, refuse: Refusal) -> None:
    empty.write("download", {"source": "empiar", "empiar": {"entry": 10025, "directory": "data/14sep05c"}})
    refuse(empty, "download", "source is 'empiar'", "remove the section `synthetic:`")
