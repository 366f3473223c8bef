"""Processes that train together: gloo on the processor, started by torchrun or by hand."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.models import MODELS
from cryodenoise.models.weights import read_tensors
from cryodenoise.training.checkpoints import load_network, predict
from cryodenoise.training.record import open_trainings
from processes import PATIENCE_S
from workspaces import Workspace

SGD: dict[str, Any] = {
    "optimizer": {"name": "sgd", "learning_rate": 0.05}, "epochs": 4, "batch_size": 7, "ema_decay": 0.9,
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def launch(workspace: Workspace, world: int) -> list[subprocess.Popen[str]]:
    """Start all processes as a job script does."""
    shared = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "cryodenoise", *workspace.arguments("train")]
    return [
        subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1", **shared, "RANK": str(rank)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(world)
    ]  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in errors, errors
    return process.returncode, output, errors


def trained(workspace: Workspace) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """training.json, and the last state."""
    record = json.loads((workspace / "model/training.json").read_text())
    return record, read_tensors(workspace / "model/last.safetensors")[0]


@pytest.mark.parametrize("world", [2, 3])
def test_several_processes_come_to_what_one_comes_to(preprocessed: Workspace, world: int) -> None:
    """Batches of 7 of the set's samples: shares differ, and the last batch is smaller."""
    preprocessed.write("train", SGD)
    assert preprocessed.run("train") == 0
    alone, weights = trained(preprocessed)
    (preprocessed / "model").rename(preprocessed / "alone")
    processes = [ended(process) for process in launch(preprocessed, world)]
    assert [code for code, _, _ in processes] == [0] * world, processes
    assert [bool(output) for _, output, _ in processes] == [True] + [False] * (world - 1)
    together, found = trained(preprocessed)
    assert together["processes"] == world
    for mine, other in zip(alone["history"], together["history"], strict=True):
        for key in ("train_loss", "validation_mse", "learning_rate", "samples_seen"):
            assert other[key] == pytest.approx(mine[key], rel=1e-5), key
    assert together["validation_input_mse"] == alone["validation_input_mse"]
    for name, value in weights.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_averaged_weights_and_running_statistics_of_several_processes_are_those_that_are_kept(
    preprocessed: Workspace,
) -> None:
    changes = {"model": "emdenoise", "micro_batch_size": 2, "batch_size": 4, "ema_decay": 0.5, "epochs": 1}
    preprocessed.write("train", changes)
    processes = [ended(process) for process in launch(preprocessed, 2)]
    assert [code for code, _, _ in processes] == [0, 0], processes
    record, _ = trained(preprocessed)
    network = load_network(preprocessed / "model/best.safetensors", MODELS["emdenoise"])
    dataset = open_dataset(preprocessed / "data")
    with SplitReader(preprocessed / "data", dataset, "validation") as reader:
        inputs, targets = map(torch.from_numpy, reader.read(np.arange(reader.samples)))
    mse = (predict(network, inputs).double() - targets).square().mean().item()
    assert record["history"][0]["validation_mse"] == pytest.approx(mse, rel=1e-5)


def test_a_share_below_the_micro_batch_of_a_batch_normalisation_is_refused(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"model": "emdenoise", "micro_batch_size": 4, "batch_size": 4})
    for code, _, errors in map(ended, launch(preprocessed, 2)):
        assert code == 2
        assert "micro_batch_size: 4: each of 2 processes gets fewer" in errors or "has ended" in errors


def test_a_process_may_have_no_sample_of_a_batch(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"precision": "fp16", "batch_size": 2, "epochs": 1, "gradient_clip_norm": 1.0})
    processes = [ended(process) for process in launch(preprocessed, 3)]
    assert [code for code, _, _ in processes] == [0, 0, 0], processes
    assert trained(preprocessed)[0]["history"][0]["samples_seen"] == 40


def test_processes_that_find_other_states_do_not_train_together(preprocessed: Workspace, tmp_path: Path) -> None:
    preprocessed.write("train", {**SGD, "epochs": 1})
    assert preprocessed.run("train") == 0
    model = preprocessed / "model"
    (model / "training.json").rename(model / "unfinished.json")
    shutil.copytree(model, tmp_path / "other")
    (tmp_path / "other/last.safetensors").unlink()
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    words = [word for word in preprocessed.arguments("train") if "model_dir" not in word]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "cryodenoise", *words, f"--model_dir={folder}"],
            env={**os.environ, **shared, "RANK": str(rank)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank, folder in enumerate((model, tmp_path / "other"))
    ]  # fmt: skip
    for code, _, errors in map(ended, processes):
        assert code == 2
        assert "give a folder that all machines see" in errors or "has ended" in errors


def test_torchrun_stopped_by_sigterm_goes_on_when_run_again(preprocessed: Workspace) -> None:
    preprocessed.write("train", {**SGD, "epochs": 12})
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}"]
    command += ["-m", "cryodenoise", *preprocessed.arguments("train")]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if line.split()[:1] == ["2/12"]:  # the row of the second epoch
            running.send_signal(signal.SIGTERM)
            break
    said += running.communicate(timeout=PATIENCE_S)[0]
    assert running.returncode != 0
    assert "run again to go on" in said
    again = subprocess.run(command, env=variables, timeout=PATIENCE_S, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "going on with epoch" in again.stdout
    record, _ = trained(preprocessed)
    assert [epoch["epoch"] for epoch in record["history"]] == list(range(1, 13))
    assert record["sessions"] == 2


def test_the_end_of_one_process_is_told_by_the_others_and_costs_nothing(preprocessed: Workspace) -> None:
    preprocessed.write("train", {**SGD, "epochs": 1000, "checkpoints": {"every_min": 0.001}})
    first, second = launch(preprocessed, 2)
    assert first.stdout is not None
    for line in first.stdout:
        if line.split()[:1] == ["2/1000"]:
            break
    second.kill()
    second.communicate()
    code, _, errors = ended(first)
    assert code == 2
    assert "another process of this run has ended" in errors
    assert "run all of them again" in errors
    state = preprocessed / "model/last.safetensors"
    epoch = read_tensors(state)[1]["progress"]["epoch"]
    assert epoch >= 2
    preprocessed.write("train", {**SGD, "epochs": 1000, "checkpoints": {"every_min": 0.001}})
    again = launch(preprocessed, 2)
    assert again[0].stdout is not None
    for line in again[0].stdout:
        if "going on with epoch" in line:
            break
    else:
        pytest.fail(ended(again[0])[2])
    for process in again:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("key", "place"), [("seed", "parameters.seed"), ("repeat", "repeat")])
def test_processes_of_different_runs_do_not_train_together(
    preprocessed: Workspace, tmp_path: Path, key: str, place: str
) -> None:
    preprocessed.write("train", SGD)
    processes = []
    port = str(free_port())
    for rank, value in ((0, 1), (1, 2)):
        run_file = preprocessed.write("train", {**SGD, key: value}).rename(tmp_path / f"{rank}.yaml")
        words = [word for word in preprocessed.arguments("train") if "parameters_file" not in word]
        variables = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "cryodenoise", *words, f"--parameters_file={run_file}"],
                env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    (first_code, _, first_errors), (code, _, errors) = map(ended, processes)
    assert (first_code, code) == (2, 2)
    assert "another run than process 0" in errors
    assert f"({place}: 1 there, 2 now)" in errors
    assert "another process of this run has ended" in first_errors


def test_processes_that_cannot_meet_say_so(preprocessed: Workspace) -> None:
    preprocessed.write("train", SGD)
    done = subprocess.run(
        [sys.executable, "-m", "cryodenoise", *preprocessed.arguments("train")],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("MASTER")}, "RANK": "0", "WORLD_SIZE": "2"},
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "MASTER_ADDR" in done.stderr
    assert "torchrun" in done.stderr


def test_processes_repeat_a_training_together(preprocessed: Workspace) -> None:
    preprocessed.write("train", {**SGD, "epochs": 1, "seed": 4})
    assert [ended(process)[0] for process in launch(preprocessed, 2)] == [0, 0]
    _, plain = trained(preprocessed)
    shutil.rmtree(preprocessed / "model")
    preprocessed.write("train", {**SGD, "epochs": 1, "seed": 3, "repeat": 2})
    processes = [ended(process) for process in launch(preprocessed, 2)]
    assert [code for code, _, _ in processes] == [0, 0], processes
    assert [bool(output) for _, output, _ in processes] == [True, False]
    found = open_trainings(preprocessed / "model")
    assert [(record.processes, record.trainings) for _, record in found] == [(2, 2), (2, 1)]
    second = read_tensors(preprocessed / "model/repeat-2/last.safetensors")[0]
    for name, value in plain.items():
        assert torch.equal(second[name], value)


def test_a_signal_to_one_process_stops_all_of_them_in_a_further_training_and_they_go_on(
    preprocessed: Workspace,
) -> None:
    changes = {**SGD, "epochs": 40, "repeat": 2}
    preprocessed.write("train", changes)
    first, second = launch(preprocessed, 2)
    assert first.stdout is not None
    for line in first.stdout:
        if line.split()[:1] == ["2/40"]:
            second.send_signal(signal.SIGTERM)
            break
    assert [ended(process)[0] for process in (first, second)] == [143, 143]
    names = [str(path.relative_to(preprocessed / "model")) for path in (preprocessed / "model").rglob("*.json")]
    assert sorted(names) == ["repeat-2/unfinished.json", "unfinished.json"]
    processes = [ended(process) for process in launch(preprocessed, 2)]
    assert [code for code, _, _ in processes] == [0, 0], processes
    assert "going on with epoch" in processes[0][1]
    found = open_trainings(preprocessed / "model")
    assert [(len(record.history), record.sessions) for _, record in found] == [(40, 1), (40, 2)]
