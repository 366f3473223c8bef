"""Datasets: mistakes end with exit code 2, one message, files as they were."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from refusals import DOCUMENTS, OUTPUTS, Refusal, edit, flip_byte
from workspaces import Workspace


def test_train_before_preprocess(empty: Workspace, refuse: Refusal) -> None:
    refuse(empty, "train", str(empty / "data"), "does not exist", "cryodenoise preprocess")


def test_test_before_preprocess(empty: Workspace, refuse: Refusal) -> None:
    refuse(empty, "test", str(empty / "data"), "does not exist", "cryodenoise preprocess")


def test_test_before_train(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "model")
    shutil.rmtree(finished / "results")
    refuse(finished, "test", str(finished / "model"), "does not exist", "cryodenoise train")


@pytest.mark.parametrize(
    ("task", "folder", "writer"),
    [("train", "data", "preprocess"), ("test", "data", "preprocess"), ("test", "model", "train")],
)
@pytest.mark.parametrize("state", ["empty", "missing", "unfinished"])
def test_input_folder_without_its_document(
    finished: Workspace, refuse: Refusal, task: str, folder: str, writer: str, state: str
) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    document = finished / folder / DOCUMENTS[folder]
    document.unlink()
    if state == "empty":
        shutil.rmtree(document.parent)
        document.parent.mkdir()
    if state == "unfinished":
        (document.parent / "unfinished.json").write_text("{}")
    found = "unfinished" if state == "unfinished" else "missing"
    refuse(finished, task, f"{document}: {found}", f"cryodenoise {writer}")


def test_preprocess_of_an_unfinished_download(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "data")
    (finished / "raw/download.json").rename(finished / "raw/unfinished.json")
    refuse(finished, "preprocess", str(finished / "raw"), "download", "not finished")


@pytest.mark.parametrize("task", ["train", "test"])
def test_dataset_of_another_format_version(finished: Workspace, refuse: Refusal, task: str) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    path = finished / "data/dataset.json"
    edit(path, lambda document: document.update(format_version=1))
    refuse(finished, task, str(path), "version 1", "expected 'cryodenoise/dataset' version 3")


@pytest.mark.parametrize("role", ["input", "target"])
@pytest.mark.parametrize("stem", ["train", "test"])
@pytest.mark.parametrize("suffix", ["bin", "xxh3"])
def test_missing_file_of_a_dataset(finished: Workspace, refuse: Refusal, stem: str, role: str, suffix: str) -> None:
    shutil.rmtree(finished / "model")
    path = finished / f"data/{stem}_{role}.{suffix}"
    path.unlink()
    refuse(finished, "train", f"{path}: missing", "cryodenoise preprocess")


@pytest.mark.parametrize(("length", "task"), [(81_919, "train"), (0, "train"), (81_921, "test")])
def test_binary_of_another_length(finished: Workspace, refuse: Refusal, length: int, task: str) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    path = finished / "data/test_input.bin"
    os.truncate(path, length)
    refuse(finished, task, f"{path}: {length} bytes", "expected 81920", "cryodenoise preprocess")


@pytest.mark.parametrize(
    ("task", "name", "position", "sample"),
    [
        ("train", "train_input.bin", 0, 0),
        ("train", "train_target.bin", 17 * 4096 + 5, 17),
        ("train", "train_input.bin", 45 * 4096, 45),
        ("train", "train_target.bin", 60 * 4096 - 1, 59),
        ("test", "test_input.bin", 4096, 1),
        ("test", "test_target.bin", 20 * 4096 - 1, 19),
    ],
)
def test_altered_byte_is_found_as_it_is_read(
    finished: Workspace, refuse: Refusal, task: str, name: str, position: int, sample: int
) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    flip_byte(finished / "data" / name, position)
    refuse(finished, task, f"{finished / 'data' / name}: sample {sample} ", "altered", "cryodenoise preprocess")


@pytest.mark.parametrize("task", ["train", "test"])
@pytest.mark.parametrize("name", ["train_input.xxh3", "test_target.xxh3"])
def test_altered_checksum_file(finished: Workspace, refuse: Refusal, task: str, name: str) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    flip_byte(finished / "data" / name, 11)
    refuse(finished, task, str(finished / "data" / name), "altered", "cryodenoise preprocess")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00"])
@pytest.mark.parametrize("task", ["preprocess", "train", "test"])
def test_dataset_document_that_is_none(finished: Workspace, refuse: Refusal, task: str, text: str) -> None:
    if task != "preprocess":
        shutil.rmtree(finished / OUTPUTS[task])
    (finished / "data/dataset.json").write_text(text)
    refuse(finished, task, str(finished / "data"))


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document.pop(key)


def with_samples(count: int) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["splits"]["train"].update(samples=count)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("segments"), ["segments: missing"]),
        (without("format_version"), ["version None", "version 3"]),
        (lambda document: document.update(formats=1), ["formats: unknown key", "'format'"]),
        (lambda document: document.update(format="cryodenoise/training"), ["'cryodenoise/training'"]),
        (lambda document: document.update(dtype="<f8"), ["dtype", "<f8", "<f4"]),
        (lambda document: document.update(files=[]), []),
        (lambda document: document["files"].pop(), []),
        (lambda document: document["splits"].pop("validation"), []),
        (with_samples(1_000), []),
        (lambda document: document.update(sample_shape=[32, 64]), []),
        (lambda document: document["files"][0].update(name="../../run/train.yaml"), []),
        (lambda document: document.update(held_out="regions"), ["held_out"]),
        (lambda document: document.update(stride_px=7), ["stride_px"]),
    ],
    ids=["no-segments", "no-version", "unknown-key", "other-format", "other-dtype", "no-files", "a-file-less",
         "a-split-less", "more-samples", "other-shape", "file-outside", "held-out", "stride"],
)  # fmt: skip
def test_edited_dataset_document(
    finished: Workspace, refuse: Refusal, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    shutil.rmtree(finished / "model")
    path = finished / "data/dataset.json"
    edit(path, change)
    refuse(finished, "train", str(path), *words)
