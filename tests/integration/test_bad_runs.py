"""Training, devices and run sets: mistakes end with exit code 2, one message, files as they were."""

import shutil

import pytest
import torch

from cryodenoise.cli import main
from refusals import OUTPUTS, TASKS, Refusal
from workspaces import Workspace


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
