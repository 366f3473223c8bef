"""Every mistake in what is given ends with exit code 2, one message that helps, and files as they were."""

import json
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.files import sha256_of
from cryodenoise.models.weights import read_tensors, write_tensors
from workspaces import Workspace

WriteMrc = Callable[..., Path]
TASKS = ("download", "preprocess", "train", "test")
OUTPUTS = {"download": "raw", "preprocess": "data", "train": "model", "test": "results"}
DOCUMENTS = {"raw": "download.json", "data": "dataset.json", "model": "training.json", "results": "report.json"}
NOBODY = 65534
FILES_OF_10_KB = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
runpy.run_module("cryodenoise", run_name="__main__", alter_sys=True)
"""


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder but the logs."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".log")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Refusal:
    """Sees a command refuse with a message that holds some words, and leave every file as it was."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, workspace: Workspace, task: str, *words: str) -> str:
        if not (workspace / f"run/{task}.yaml").exists():
            workspace.write(task)
        return self.command(workspace.arguments(task), workspace.root, *words)

    def command(self, arguments: list[str], root: Path, *words: str) -> str:
        before = contents(root)
        self.capsys.readouterr()
        code = main(arguments)
        message = self.capsys.readouterr().err
        assert code == 2, message
        assert "Traceback" not in message
        assert all(line.startswith(f"cryodenoise {arguments[0]}: ") for line in message.splitlines())
        missing = [word for word in words if word not in message]
        assert not missing, message
        after = contents(root)
        assert {name for name in before | after if before.get(name) != after.get(name)} == set()
        return message


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Sees a command refuse."""
    return Refusal(capsys)


def noisy(seed: int = 0, height_px: int = 96, width_px: int = 80) -> np.ndarray:
    """Counted electrons, float32."""
    return np.random.default_rng(seed).poisson(50, (height_px, width_px)).astype(np.float32)


@pytest.fixture
def own(empty: Workspace, write_mrc: WriteMrc) -> Workspace:
    """A workspace with four micrographs of one's own, `a.mrc` to `d.mrc`."""
    for number, name in enumerate("abcd"):
        write_mrc(empty / f"raw/{name}.mrc", noisy(number))
    return empty


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a JSON document as a user with an editor would."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def flip_byte(path: Path, position: int) -> None:
    """Alter one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def unfinish(workspace: Workspace) -> Path:
    """Make the finished training one of three epochs that was interrupted after two; its saved state."""
    document = workspace / "model/training.json"
    made_from = json.loads(document.read_text())["made_from"]
    made_from["parameters"]["epochs"] = 3
    (workspace / "model/unfinished.json").write_text(json.dumps({"task": "train", "made_from": made_from}))
    document.unlink()
    workspace.write("train", {"epochs": 3})
    return workspace / "model/last.safetensors"


# Run files


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
        ("train", "optimizer: {name: adamw}", ["optimizer.name", '"adamw"', "'adam'", "'sgd'"]),
        ("train", "device: gpu", ["device", '"gpu"', "'auto'", "'cuda'"]),
        ("preprocess", "split: 3", ["split: found 3"]),
        ("preprocess", "patches: null", ["patches: found null"]),
        ("preprocess", "noise: {electrons_at_one: 401}", ["noise.electrons_at_one: found 401", "400"]),
        ("preprocess", "split: {test_fraction: 1}", ["split.test_fraction: found 1", "less than 1"]),
        ("download", "", ["source: missing"]),
        ("download", "source: synthetic", ["synthetic", "missing"]),
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
    refuse(empty, "download", "'synthetic'", "'empiar'")


def test_source_that_is_not_fetched_tells_where_its_files_are(empty: Workspace, refuse: Refusal) -> None:
    empty.write(
        "download", {"source": "empiar", "synthetic": None, "empiar": {"entry": 10025, "directory": "data/14sep05c"}}
    )
    refuse(empty, "download", "https://", "10025", "data/14sep05c", str(empty / "raw"))


# Micrographs


def test_missing_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    refuse(empty, "preprocess", str(empty / "raw"), "does not exist", "cryodenoise download")


def test_file_in_the_place_of_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    empty.write("preprocess")
    (empty / "raw").write_text("")
    refuse(empty, "preprocess", str(empty / "raw"), "is a file")


def test_empty_raw_dir(empty: Workspace, refuse: Refusal) -> None:
    (empty / "raw").mkdir(parents=True)
    refuse(empty, "preprocess", str(empty / "raw"), "no .mrc file", "empty", "cryodenoise download")


def test_raw_dir_with_other_kinds_of_files(empty: Workspace, refuse: Refusal) -> None:
    (empty / "raw").mkdir(parents=True)
    for name in ("a.tif", "b.eer", "c.mrcs"):
        (empty / "raw" / name).write_bytes(b"1")
    refuse(empty, "preprocess", str(empty / "raw"), "no .mrc file", ".eer, .mrcs, .tif")


def test_micrograph_that_is_a_link_to_nowhere(own: Workspace, refuse: Refusal) -> None:
    (own / "raw/e.mrc").symlink_to(own / "elsewhere/e.mrc")
    refuse(own, "preprocess", str(own / "raw/e.mrc"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.random.default_rng(0).bytes(31_744), ["no MRC file"]),
        (b"These are my notes on the micrographs.\n" * 100, ["no MRC file"]),
        (b"", ["0 bytes", "1024"]),
        (b"MAP ", ["4 bytes", "1024"]),
        (bytes(31_744), ["no MRC file"]),
    ],
)
def test_file_that_is_no_mrc(own: Workspace, refuse: Refusal, content: bytes, words: list[str]) -> None:
    path = own / "raw/b.mrc"
    path.write_bytes(content)
    refuse(own, "preprocess", str(path), *words)


def with_header_value(position: int, value: int) -> Callable[[bytes], bytes]:
    """A change that puts one 4-byte integer into a header."""
    return lambda content: content[:position] + struct.pack("<i", value) + content[position + 4 :]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], ["31743 bytes", "31744", "truncated"]),
        (lambda content: content[:1024], ["1024 bytes", "31744", "truncated"]),
        (lambda content: content + b"\0", ["31745 bytes", "31744"]),
        (with_header_value(92, 1 << 30), ["31744 bytes", str(31_744 + (1 << 30))]),
        (with_header_value(92, -1024), ["31744 bytes"]),
        (with_header_value(12, 4), ["mode 4", "2", "convert"]),
        (with_header_value(12, 101), ["mode 101"]),
        (with_header_value(0, 1 << 30), ["31744 bytes"]),
        (with_header_value(0, 0), ["no MRC file"]),
    ],
    ids=["one-byte-short", "header-alone", "one-byte-long", "extended-header-beyond-the-file",
         "extended-header-negative", "complex", "packed", "width-forged", "width-0"],
)  # fmt: skip
def test_mrc_whose_header_does_not_fit_the_file(
    own: Workspace, refuse: Refusal, change: Callable[[bytes], bytes], words: list[str]
) -> None:
    path = own / "raw/c.mrc"
    path.write_bytes(change(path.read_bytes()))
    refuse(own, "preprocess", str(path), *words)


def test_mrc_stack(own: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    path = write_mrc(own / "raw/a.mrc", noisy(height_px=192))
    path.write_bytes(with_header_value(8, 2)(with_header_value(4, 96)(path.read_bytes())))
    refuse(own, "preprocess", str(path), "stack of 2 images", "sum the frames")


@pytest.mark.parametrize(
    ("value", "name", "workers"), [(np.nan, "a", 1), (np.inf, "d", 1), (np.nan, "a", 2), (-np.inf, "d", 2)]
)
def test_pixel_that_is_no_number(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, value: float, name: str, workers: int
) -> None:
    own.write("preprocess", {"workers": workers})
    image = noisy()
    image[7, 11] = image[90, 70] = value
    path = write_mrc(own / f"raw/{name}.mrc", image)
    refuse(own, "preprocess", str(path), "2 of 7680 pixels", "NaN or infinite", "row 7, column 11")
    path.unlink()
    assert own.run("preprocess") == 0


def test_micrograph_under_two_names(own: Workspace, refuse: Refusal) -> None:
    shutil.copy(own / "raw/b.mrc", own / "raw/e.mrc")
    refuse(own, "preprocess", str(own / "raw"), "b.mrc and e.mrc", "same micrograph", "remove one")


def test_micrograph_smaller_than_a_patch(own: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    path = write_mrc(own / "raw/d.mrc", noisy(height_px=31))
    refuse(own, "preprocess", str(path), "31 × 80 pixels", "32 × 32", "patches.size_px")


@pytest.mark.parametrize(
    ("micrographs", "changes", "words"),
    [
        (1, {"patches": {"size_px": 48}}, ["4 lines", "size_px"]),
        (2, {"patches": {"size_px": 96, "stride_px": 16}}, ["1 lines", "size_px"]),
        (3, {"split": {"test_fraction": 0.9}}, ["2 of 3 micrographs", "test_fraction"]),
        (4, {"split": {"validation_fraction": 0.9}}, ["3 for validation", "validation_fraction"]),
    ],
)
def test_too_little_to_hold_anything_out(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, micrographs: int, changes: dict[str, Any], words: list[str]
) -> None:
    shutil.rmtree(own / "raw")
    for number in range(micrographs):
        write_mrc(own / f"raw/{number}.mrc", noisy(number, width_px=96))
    own.write("preprocess", changes)
    refuse(own, "preprocess", *words)


def lose(path: Path) -> None:
    path.unlink()


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def replace_pixels(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8] + np.array([1, 2], "<f4").tobytes())


@pytest.mark.parametrize(
    ("task", "damage"),
    [("download", lose), ("download", shorten), ("preprocess", lose), ("preprocess", replace_pixels)],
)
def test_damaged_download_is_made_whole_as_the_message_says(
    finished: Workspace, refuse: Refusal, task: str, damage: Callable[[Path], None]
) -> None:
    shutil.rmtree(finished / "data")
    damage(finished / "raw/synthetic_0002.mrc")
    refuse(finished, task, str(finished / "raw/synthetic_0002.mrc"), "remove the folder", "cryodenoise download")
    shutil.rmtree(finished / "raw")
    assert finished.run("download", "preprocess") == 0


# Normalisation


def test_offset_that_p95_cannot_take_is_named_with_a_rule_that_can(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc
) -> None:
    for number, name in enumerate("abcd"):
        image = np.random.default_rng(number).normal(10_000, 5, (96, 80))
        write_mrc(own / f"raw/{name}.mrc", image.astype(np.float32))
    refuse(own, "preprocess", "a.mrc", "hardly any contrast", "mean 1e+04", "standard deviation 5", "p1_p99")
    own.write("preprocess", {"normalization": "p1_p99"})
    assert own.run("preprocess") == 0


def test_no_positive_pixel_under_p95_is_named_with_a_rule_that_holds(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc
) -> None:
    path = write_mrc(own / "raw/b.mrc", -noisy())
    refuse(own, "preprocess", str(path), "positive", "p1_p99")
    own.write("preprocess", {"normalization": "p1_p99"})
    assert own.run("preprocess") == 0


@pytest.mark.parametrize("value", [7, 0, -3])
@pytest.mark.parametrize("rule", ["p95", "p1_p99"])
def test_constant_image_is_to_be_removed(
    own: Workspace, refuse: Refusal, write_mrc: WriteMrc, rule: str, value: float
) -> None:
    own.write("preprocess", {"normalization": rule})
    path = write_mrc(own / "raw/b.mrc", np.full((96, 80), value))
    message = refuse(own, "preprocess", str(path), "remove")
    assert "use `normalization" not in message


# Datasets


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
    edit(path, lambda document: document.update(format_version=2))
    refuse(finished, task, str(path), "version 2", "expected 'cryodenoise/dataset' version 1")


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
        (without("format_version"), ["version None", "version 1"]),
        (lambda document: document.update(formats=1), ["formats: unknown key", "'format'"]),
        (lambda document: document.update(format="cryodenoise/training"), ["'cryodenoise/training'"]),
        (lambda document: document.update(dtype="<f8"), ["dtype", "<f8", "<f4"]),
        (lambda document: document.update(files=[]), []),
        (lambda document: document["files"].pop(), []),
        (lambda document: document["splits"].pop("validation"), []),
        (with_samples(1_000), []),
        (lambda document: document.update(sample_shape=[32, 64]), []),
        (lambda document: document["files"][0].update(name="../../run/train.yaml"), []),
    ],
    ids=["no-segments", "no-version", "unknown-key", "other-format", "other-dtype", "no-files", "a-file-less",
         "a-split-less", "more-samples", "other-shape", "file-outside"],
)  # fmt: skip
def test_edited_dataset_document(
    finished: Workspace, refuse: Refusal, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    shutil.rmtree(finished / "model")
    path = finished / "data/dataset.json"
    edit(path, change)
    refuse(finished, "train", str(path), *words)


# Checkpoints


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
        (lambda path: write_tensors(path, other_network("network."), {"model": "cnn3"}), ["another network"]),
        (lambda path: shutil.copy(path.with_name("best.safetensors"), path), ["cnn3"]),
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


# Places to write


@pytest.mark.parametrize("task", TASKS)
def test_full_disk_is_seen_before_writing(
    finished: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    folder = finished / OUTPUTS[task]
    shutil.rmtree(folder)
    monkeypatch.setattr("cryodenoise.files.free_bytes", lambda _: 1_000_000)
    refuse(finished, task, str(folder), "0.00 GB free", "needed", "free some space")


@pytest.mark.parametrize("task", ["download", "preprocess", "train"])
def test_write_that_fails_half_way_names_the_folder_and_can_be_repeated(finished: Workspace, task: str) -> None:
    folder = finished / OUTPUTS[task]
    shutil.rmtree(folder)
    before = contents(finished.root)
    process = subprocess.run(
        [sys.executable, "-c", FILES_OF_10_KB, *finished.arguments(task)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2, process.stderr
    assert str(folder) in process.stderr
    assert "Traceback" not in process.stderr
    assert contents(finished.root) == before
    assert finished.run(task) == 0


@pytest.mark.parametrize("task", TASKS)
def test_output_folder_below_a_file(finished: Workspace, refuse: Refusal, task: str) -> None:
    (finished / "file").write_text("")
    arguments = [*finished.arguments(task), f"--{OUTPUTS[task]}_dir={finished / 'file/folder'}"]
    refuse.command(arguments, finished.root, str(finished / "file/folder"), "cannot be written", "another folder")


def test_log_folder_below_a_file(finished: Workspace, refuse: Refusal) -> None:
    (finished / "file").write_text("")
    arguments = [*finished.arguments("train"), f"--log_dir={finished / 'file/logs'}"]
    refuse.command(arguments, finished.root, str(finished / "file/logs"), "cannot be written")


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be a user whom permissions bind: root is not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def reachable(finished: Workspace) -> Iterator[Workspace]:
    """A finished workspace that every user can read."""
    root = Path(tempfile.mkdtemp(prefix="cryodenoise-"))
    root.chmod(0o755)
    shutil.copytree(finished.root, root / "workspace")
    yield replace(finished, root=root / "workspace")
    for folder in root.rglob("*/"):
        folder.chmod(0o755)
    shutil.rmtree(root)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("state", ["empty", "missing"])
def test_output_folder_without_permission(reachable: Workspace, refuse: Refusal, task: str, state: str) -> None:
    folder = reachable / OUTPUTS[task]
    shutil.rmtree(folder)
    if state == "empty":
        folder.mkdir()
    parent = folder if state == "empty" else reachable.root
    arguments = [word for word in reachable.arguments(task) if not word.startswith("--log_dir")]
    parent.chmod(0o555)
    with unprivileged():
        refuse.command(arguments, reachable.root, str(folder), "cannot be written", "permission")


@pytest.mark.parametrize(
    ("task", "name"),
    [("preprocess", "run/preprocess.yaml"), ("preprocess", "raw/synthetic_0001.mrc"), ("train", "data/dataset.json"),
     ("train", "data/train_input.bin"), ("test", "model/training.json"), ("test", "model/best.safetensors")],
)  # fmt: skip
def test_input_without_permission(reachable: Workspace, refuse: Refusal, task: str, name: str) -> None:
    shutil.rmtree(reachable / OUTPUTS[task])
    (reachable / OUTPUTS[task]).mkdir()
    (reachable / OUTPUTS[task]).chmod(0o777)
    arguments = [word for word in reachable.arguments(task) if not word.startswith("--log_dir")]
    (reachable / name).chmod(0)
    with unprivileged():
        code, message = main(arguments), refuse.capsys.readouterr().err
    assert code == 2
    assert str(reachable / name) in message
    assert "Permission denied" in message
    assert not list((reachable / OUTPUTS[task]).iterdir())


@pytest.mark.parametrize("task", TASKS)
def test_output_folder_with_files_of_others(finished: Workspace, refuse: Refusal, task: str) -> None:
    folder = finished / OUTPUTS[task]
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    refuse(finished, task, str(folder), "notes.txt", "empty folder")


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("download", {"synthetic": {"seed": 7}}, ["parameters.synthetic.seed: 42 there, 7 now"]),
        ("preprocess", {"patches": {"stride_px": 8}}, ["parameters.patches.stride_px: 16 there, 8 now"]),
        ("train", {"epochs": 3, "seed": 7}, ["parameters.epochs: 2 there, 3 now", "parameters.seed: 42 there, 7 now"]),
    ],
)
@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_work_of_other_parameters_is_not_overwritten(
    finished: Workspace, refuse: Refusal, task: str, changes: dict[str, Any], words: list[str], state: str
) -> None:
    folder = OUTPUTS[task]
    if state == "unfinished":
        (finished / folder / DOCUMENTS[folder]).rename(finished / folder / "unfinished.json")
    finished.write(task, changes)
    refuse(finished, task, str(finished / folder), f"{state} work", *words, "another folder")


def test_dataset_of_other_micrographs_is_not_overwritten(own: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    assert own.run("preprocess") == 0
    write_mrc(own / "raw/c.mrc", noisy(9))
    refuse(own, "preprocess", str(own / "data"), "inputs.micrographs.c.mrc", "another folder")


def test_network_of_another_dataset_is_not_overwritten(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "data")
    finished.write("preprocess", {"noise": {"seed": 7}})
    assert finished.run("preprocess") == 0
    refuse(finished, "train", str(finished / "model"), "inputs.dataset", "another folder")


def test_report_on_other_weights_is_not_overwritten(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "model")
    finished.write("train", {"seed": 7})
    assert finished.run("train") == 0
    refuse(finished, "test", str(finished / "results"), "inputs.weights", "another folder")


def test_mistake_leaves_the_folder_free_for_the_mended_run_file(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "model")
    finished.write("train", {"optimizer": {"name": "sgd", "learning_rate": 1e30}})
    refuse(finished, "train", "diverged", "learning_rate")
    finished.write("train")
    assert finished.run("train") == 0


def test_mistake_leaves_a_folder_free_that_also_takes_the_log(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "model")
    arguments = [*finished.arguments("train"), f"--log_dir={finished / 'model'}"]
    finished.write("train", {"optimizer": {"name": "sgd", "learning_rate": 1e30}})
    refuse.command(arguments, finished.root, "diverged")
    finished.write("train")
    assert main(arguments) == 0


# Training, devices, run sets


@pytest.mark.parametrize("batch_size", [4, 64])
def test_diverging_training(finished: Workspace, refuse: Refusal, batch_size: int) -> None:
    shutil.rmtree(finished / "model")
    finished.write("train", {"batch_size": batch_size, "optimizer": {"name": "sgd", "learning_rate": 1e30}})
    refuse(finished, "train", "diverged", "epoch 1", "optimizer.learning_rate")


@pytest.mark.parametrize("task", ["train", "test"])
def test_gpu_where_there_is_none(
    finished: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    shutil.rmtree(finished / OUTPUTS[task])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    finished.write(task, {"device": "cuda"})
    refuse(finished, task, "device: found 'cuda'", "no GPU", "device: auto")


def pipeline(workspace: Workspace, *options: str) -> list[str]:
    return ["pipeline", str(workspace / "run"), "--workspace", str(workspace / "work"), *options]


@pytest.mark.parametrize("task", ["preprocess", "train", "test"])
def test_run_set_without_a_run_file(empty: Workspace, refuse: Refusal, task: str) -> None:
    for name in TASKS:
        empty.write(name)
    (empty / f"run/{task}.yaml").unlink()
    refuse.command(pipeline(empty), empty.root, str(empty / f"run/{task}.yaml"), "missing", "run/smoke")


def test_run_set_that_is_not_there(empty: Workspace, refuse: Refusal) -> None:
    refuse.command(pipeline(empty), empty.root, str(empty / "run"), "missing", "run/smoke")


def test_own_micrographs_for_a_run_set_that_downloads(own: Workspace, refuse: Refusal) -> None:
    for name in TASKS:
        own.write(name)
    refuse.command(pipeline(own, f"--raw_dir={own / 'raw'}"), own.root, "download.yaml", "leave out --raw_dir")


def test_run_set_for_own_micrographs_without_them(empty: Workspace, refuse: Refusal) -> None:
    for name in ("preprocess", "train", "test"):
        empty.write(name)
    refuse.command(pipeline(empty), empty.root, "download.yaml", "--raw_dir")


def test_pipeline_ends_with_the_first_task_that_refuses(own: Workspace, refuse: Refusal) -> None:
    for name in ("preprocess", "train", "test"):
        own.write(name)
    (own / "raw/a.mrc").write_bytes(b"")
    refuse.command(pipeline(own, f"--raw_dir={own / 'raw'}"), own.root, str(own / "raw/a.mrc"))
    assert not (own / "work/data").exists()


def test_debug_shows_where_a_mistake_was_found(empty: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    empty.write("train")
    assert main([*empty.arguments("train"), "--debug"]) == 2
    message = capsys.readouterr().err
    assert str(empty / "data") in message
    assert "Traceback" in message
