"""Places to write: mistakes end with exit code 2, one message, files as they were."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.cli import main
from refusals import DOCUMENTS, OUTPUTS, TASKS, Refusal, WriteMrc, contents, noisy
from workspaces import Workspace

NOBODY = 65534
FILES_OF_10_KB = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
runpy.run_module("cryodenoise", run_name="__main__", alter_sys=True)
"""


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


def test_full_disk_under_the_log_costs_no_result(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(finished / "results")
    (finished / "logs/test.log").unlink()
    (finished / "logs/test.log").symlink_to("/dev/full")
    assert finished.run("test") == 0
    assert "nothing more is logged" in capsys.readouterr().out
