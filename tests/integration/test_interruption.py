"""A task that was interrupted and run again ends as if it had not been."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGSTOP, SIGTERM, Signals
from typing import Any

import numpy as np
import psutil
import pytest
from torch.optim.optimizer import register_optimizer_step_post_hook

from cryodenoise.cli import main
from outcomes import outcome
from processes import PATIENCE_S, Start
from refusals import OUTPUTS
from workspaces import Workspace

CODES = {SIGINT: 130, SIGTERM: 143, SIGKILL: -9}


def start_anew(workspace: Workspace, task: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Remove what a task left, and write its run file; what it left."""
    undisturbed = outcome(workspace, task)
    assert undisturbed
    shutil.rmtree(workspace / OUTPUTS[task])
    workspace.write(task, changes)
    return undisturbed


def require_interrupted(ended: tuple[int, str], task: str, sent: Signals) -> None:
    code, errors = ended
    assert code == CODES[sent]
    if sent != SIGKILL:
        assert errors == f"cryodenoise {task}: stopped by {sent.name}: run the same command again to go on\n"


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("open synthetic_0001.mrc.partial 1", SIGINT),
        ("rename synthetic_0002.mrc 1", SIGKILL),
        ("rename truth/synthetic_0001.mrc 1", SIGKILL),
        ("open particles/synthetic_0000.json.partial 1", SIGTERM),
        ("rename particles/synthetic_0003.star 1", SIGKILL),
        ("open journal.jsonl 6", SIGKILL),
        ("rename download.json 1", SIGTERM),
        ("remove unfinished.json 1", SIGKILL),
    ],
)
def test_interrupted_download_equals_an_undisturbed_one(
    finished: Workspace, start: Start, moment: str, sent: Signals
) -> None:
    undisturbed = start_anew(finished, "download")
    running = start(finished.arguments("download"), moment, sent)
    require_interrupted(running.end(), "download", sent)
    assert finished.run("download") == 0
    assert outcome(finished, "download") == undisturbed


@pytest.mark.parametrize(
    ("moment", "sent", "workers"),
    [
        ("import numpy 1", SIGINT, 1),
        ("open train_target.bin.partial 1", SIGKILL, 1),
        ("open train_input.bin.partial 3", SIGINT, 1),
        ("open test_target.xxh3.partial 2", SIGTERM, 1),
        ("open journal.jsonl 1", SIGTERM, 2),
        ("open journal.jsonl 2", SIGKILL, 1),
        ("open journal.jsonl 2", SIGKILL, 2),
        ("open journal.jsonl 3", SIGINT, 2),
        ("rename train_target.bin 1", SIGTERM, 1),
        ("rename dataset.json 1", SIGKILL, 1),
        ("remove unfinished.json 1", SIGINT, 1),
        ("remove journal.jsonl 1", SIGKILL, 1),
    ],
)
def test_interrupted_preprocessing_equals_an_undisturbed_one(
    finished: Workspace, start: Start, moment: str, sent: Signals, workers: int
) -> None:
    undisturbed = start_anew(finished, "preprocess", {"workers": workers})
    running = start(finished.arguments("preprocess"), moment, sent)
    require_interrupted(running.end(), "preprocess", sent)
    assert finished.run("preprocess") == 0
    assert outcome(finished, "preprocess") == undisturbed


@pytest.mark.parametrize(
    ("moment", "sent"),
    [("import numpy 1", SIGINT), ("import numpy 1", SIGTERM), ("open train_input.bin.partial 1", SIGINT)],
)
def test_signal_to_every_process_at_once_ends_them_with_one_message(
    finished: Workspace, start: Start, moment: str, sent: Signals
) -> None:
    undisturbed = start_anew(finished, "preprocess", {"workers": 2})
    running = start(finished.arguments("preprocess"), moment, sent, process="worker", group=True)
    require_interrupted(running.end(), "preprocess", sent)
    assert finished.run("preprocess") == 0
    assert outcome(finished, "preprocess") == undisturbed


def test_killed_worker_ends_the_task_which_can_be_run_again(finished: Workspace, start: Start) -> None:
    undisturbed = start_anew(finished, "preprocess", {"workers": 2})
    moment = "open train_target.bin.partial 1"
    code, errors = start(finished.arguments("preprocess"), moment, SIGKILL, process="worker").end()
    assert code == 2
    assert "workers" in errors
    assert "run again" in errors
    assert finished.run("preprocess") == 0
    assert outcome(finished, "preprocess") == undisturbed


def test_no_worker_outlives_a_killed_task(finished: Workspace, start: Start) -> None:
    undisturbed = start_anew(finished, "preprocess", {"workers": 2})
    running = start(finished.arguments("preprocess"), "open journal.jsonl 1", SIGSTOP)
    running.wait_until_stopped()
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert len(children) >= 2
    running.process.kill()
    assert running.end()[0] == -SIGKILL

    def alive(child: psutil.Process) -> bool:
        try:
            return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    deadline_s = time.monotonic() + PATIENCE_S
    while any(map(alive, children)) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not any(map(alive, children))
    assert finished.run("preprocess") == 0
    assert outcome(finished, "preprocess") == undisturbed


def tear_journal(data_dir: Path) -> None:
    with (data_dir / "journal.jsonl").open("a") as stream:
        stream.write('{"index":2,"microgr')


def copy_without_blocks_of_zeros(data_dir: Path) -> None:
    """What a file system that compresses does, or `cp --sparse=always`."""
    for path in data_dir.glob("*.partial"):
        blocks = path.read_bytes()
        path.unlink()
        with path.open("wb") as stream:
            for at in range(0, len(blocks), 4096):
                if any(block := blocks[at : at + 4096]):
                    stream.seek(at)
                    stream.write(block)
            stream.truncate(len(blocks))


def lose_partial_file(data_dir: Path) -> None:
    """What a power cut can do to a name that was not flushed."""
    (data_dir / "train_input.bin.partial").unlink()


@pytest.mark.parametrize("change", [tear_journal, copy_without_blocks_of_zeros, lose_partial_file])
def test_preprocessing_goes_on_from_what_is_left(
    finished: Workspace, start: Start, change: Callable[[Path], None]
) -> None:
    undisturbed = start_anew(finished, "preprocess")
    assert start(finished.arguments("preprocess"), "open journal.jsonl 3", SIGKILL).end()[0] == -SIGKILL
    change(finished / "data")
    assert finished.run("preprocess") == 0
    assert outcome(finished, "preprocess") == undisturbed


def test_bad_micrograph_found_after_an_interruption_costs_nobody_elses_files(
    empty: Workspace, start: Start, write_mrc: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    empty.write("preprocess")
    for number in range(4):
        image = np.random.default_rng(number).poisson(50, (96, 80)).astype(np.float32)
        image[0, 0] = np.nan if number == 3 else 0
        write_mrc(empty / f"raw/{number}.mrc", image)
    assert start(empty.arguments("preprocess"), "open journal.jsonl 2", SIGKILL).end()[0] == -SIGKILL
    (empty / "data/figures").mkdir()
    (empty / "data/notes.txt").write_text("mine")
    assert empty.run("preprocess") == 2
    assert f"{empty / 'raw/3.mrc'}: 1 of 7680 pixels" in capsys.readouterr().err
    assert (empty / "data/figures").is_dir()
    assert (empty / "data/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("import torch 1", SIGTERM),
        ("rename unfinished.json 1", SIGKILL),
        ("rename last-2.safetensors 1", SIGKILL),
        ("rename last.safetensors.partial 2", SIGKILL),
        ("step 13", SIGINT),
        ("step 13", SIGKILL),
        ("rename best.safetensors 1", SIGKILL),
        ("rename last.safetensors 1", SIGKILL),
        ("rename last.safetensors 1", SIGTERM),
        ("rename last.safetensors 2", SIGTERM),
        ("rename training_log.txt 1", SIGKILL),
        ("rename training.json 1", SIGKILL),
    ],
)
def test_interrupted_training_equals_an_undisturbed_one(
    finished: Workspace, start: Start, moment: str, sent: Signals
) -> None:
    undisturbed = start_anew(finished, "train")
    running = start(finished.arguments("train"), moment, sent)
    require_interrupted(running.end(), "train", sent)
    assert finished.run("train") == 0
    assert outcome(finished, "train") == undisturbed


@pytest.mark.parametrize(("optimizer", "epochs", "steps"), [("adam", 2, 20), ("sgd", 1, 10)])
def test_training_interrupted_after_every_step_equals_an_undisturbed_one(
    finished: Workspace, optimizer: str, epochs: int, steps: int
) -> None:
    changes = {"optimizer": {"name": optimizer}, "epochs": epochs}
    shutil.rmtree(finished / "model")
    finished.write("train", changes)
    assert finished.run("train") == 0
    undisturbed = start_anew(finished, "train", changes)
    hook = register_optimizer_step_post_hook(lambda *_: os.kill(os.getpid(), SIGINT))
    try:
        codes = [finished.run("train") for _ in range(steps + 1)]
    finally:
        hook.remove()
    assert codes == [130] * steps + [0]
    assert outcome(finished, "train") == undisturbed


@pytest.mark.parametrize(
    ("moment", "sent"),
    [("open test_input.xxh3 2", SIGTERM), ("rename result_0.txt 1", SIGKILL), ("rename report.json 1", SIGKILL)],
)
def test_interrupted_test_equals_an_undisturbed_one(
    finished: Workspace, start: Start, moment: str, sent: Signals
) -> None:
    undisturbed = start_anew(finished, "test")
    running = start(finished.arguments("test"), moment, sent)
    require_interrupted(running.end(), "test", sent)
    assert finished.run("test") == 0
    assert outcome(finished, "test") == undisturbed


def test_interrupted_pipeline_equals_an_undisturbed_one(finished: Workspace, start: Start) -> None:
    undisturbed = outcome(finished, *OUTPUTS)
    again = Workspace(finished.root.parent / "again")
    arguments = ["pipeline", str(finished / "run"), f"--workspace={again.root}"]
    assert start(arguments, "step 7", SIGTERM).end()[0] == 143
    assert start(arguments, "rename last.safetensors 2", SIGINT).end()[0] == 130
    assert not (again / "results").exists()
    assert main(arguments) == 0
    assert outcome(again, *OUTPUTS) == undisturbed


@pytest.mark.parametrize(
    ("task", "moment"),
    [
        ("download", "rename synthetic_0001.mrc 1"),
        ("preprocess", "open journal.jsonl 2"),
        ("train", "step 5"),
        ("test", "rename report.json 1"),
    ],
)
def test_second_task_in_a_folder_under_work_is_refused(
    finished: Workspace, start: Start, capsys: pytest.CaptureFixture[str], task: str, moment: str
) -> None:
    undisturbed = start_anew(finished, task)
    running = start(finished.arguments(task), moment, SIGSTOP)
    running.wait_until_stopped()
    assert finished.run(task) == 2
    message = capsys.readouterr().err
    assert f"{finished / OUTPUTS[task]}: another `cryodenoise {task}` is writing here" in message
    running.process.send_signal(SIGCONT)
    assert running.end()[0] == 0
    assert outcome(finished, task) == undisturbed


@pytest.mark.parametrize("task", OUTPUTS)
def test_finished_task_has_nothing_to_do_and_changes_no_file(
    finished: Workspace, capsys: pytest.CaptureFixture[str], task: str
) -> None:
    def state() -> dict[Path, tuple[int, bytes]]:
        files = (path for path in finished.root.rglob("*") if path.is_file() and path.suffix != ".log")
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    assert finished.run(task) == 0
    said = capsys.readouterr()
    assert "nothing to do" in said.out
    assert str(finished / OUTPUTS[task]) in said.out
    assert not said.err
    assert state() == before


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("preprocess", {"workers": 2}),
        ("train", {"device": "auto", "read_ahead_mib": 1}),
        ("test", {"device": "auto", "read_ahead_mib": 1, "batch_size": 3}),
    ],
)
def test_another_way_of_doing_the_same_finds_it_done(
    finished: Workspace, capsys: pytest.CaptureFixture[str], task: str, changes: dict[str, Any]
) -> None:
    finished.write(task, changes)
    assert finished.run(task) == 0
    assert "nothing to do" in capsys.readouterr().out
