"""Preprocessing shared among processes gives the bytes of one process."""

import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from cryodenoise.config.documents import DatasetRecord
from processes import PATIENCE_S, Start
from workspaces import Workspace

Files = dict[str, bytes]


def binaries(workspace: Workspace) -> Files:
    folder = workspace / "data"
    record = DatasetRecord.load_document(folder / "dataset.json")
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(["dataset.json", *(name for file in record.files for name in (file.name, file.checksums))])
    return {name: (folder / name).read_bytes() for name in names if name != "dataset.json"} | {
        "identity": record.identity.encode()
    }


def downloaded(root: Path) -> Workspace:
    workspace = Workspace(root)
    assert workspace.run("download") == 0
    return workspace


def launched(workspace: Workspace, rank: int, world: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cryodenoise", *workspace.arguments("preprocess")],
        env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(world)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output, errors


@pytest.fixture
def alone(finished: Workspace) -> Files:
    """What one process makes."""
    return binaries(finished)


@pytest.mark.parametrize("changes", [{}, {"on_bad_micrograph": "skip"}], ids=["error", "skip"])
def test_torchrun_gives_the_same_bytes(tmp_path: Path, alone: Files, changes: dict[str, Any]) -> None:
    workspace = downloaded(tmp_path / "shared")
    workspace.write("preprocess", changes)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "cryodenoise"]
    done = subprocess.run(
        [*command, *workspace.arguments("preprocess")], timeout=PATIENCE_S, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("identity") == 1
    assert {path.name for path in (workspace / "logs").iterdir()} >= {"preprocess.log", "preprocess.1.log"}
    assert binaries(workspace) == alone


def test_more_processes_than_micrographs_give_the_same_bytes(tmp_path: Path, alone: Files) -> None:
    workspace = downloaded(tmp_path / "shared")
    workspace.write("preprocess")
    processes = [launched(workspace, rank, 6) for rank in (5, 3, 1, 4, 2, 0)]
    assert [code for code, _, _ in map(ended, processes)] == [0] * 6
    assert binaries(workspace) == alone


def test_what_some_processes_began_one_can_finish(tmp_path: Path, alone: Files) -> None:
    workspace = downloaded(tmp_path / "shared")
    workspace.write("preprocess")
    first, second = launched(workspace, 0, 2), launched(workspace, 1, 2)
    assert ended(second)[0] == 0
    first.kill()  # wherever it is
    ended(first)
    assert workspace.run("preprocess") == 0
    assert binaries(workspace) == alone


def test_processes_run_again_before_the_last_step_find_it_done(tmp_path: Path, start: Start, alone: Files) -> None:
    workspace = downloaded(tmp_path / "shared")
    workspace.write("preprocess")
    running = start(workspace.arguments("preprocess"), "rename dataset.json 1", SIGKILL)
    assert running.end()[0] == -9
    processes = [launched(workspace, rank, 3) for rank in (1, 0, 2)]
    assert [(code, errors) for code, _, errors in map(ended, processes)] == [(0, "")] * 3
    assert binaries(workspace) == alone


def test_a_micrograph_that_one_process_cannot_use_ends_the_others_and_leaves_nothing(
    tmp_path: Path, alone: Files
) -> None:
    workspace = downloaded(tmp_path / "shared")
    workspace.write("preprocess")
    bad = workspace / "raw/synthetic_0003.mrc"
    sound = bad.read_bytes()
    bad.write_bytes(sound[:2000] + b"\xff\xff\xff\x7f" + sound[2004:])
    processes = [launched(workspace, rank, 2) for rank in (0, 1)]
    (first_code, _, first_errors), (code, _, errors) = map(ended, processes)
    assert (first_code, code) == (2, 2)
    assert "synthetic_0003.mrc: 1 of 7680 pixels are NaN" in errors
    assert "another process of this run gave up: see what it" in first_errors
    bad.write_bytes(sound)
    assert workspace.run("preprocess") == 0
    assert binaries(workspace) == alone


def test_a_process_refuses_work_made_from_something_else(tmp_path: Path, alone: Files) -> None:
    assert alone
    workspace = downloaded(tmp_path / "shared")
    assert workspace.run("preprocess") == 0
    workspace.write("preprocess", {"noise": {"seed": 7}})
    code, _, errors = ended(launched(workspace, 1, 2))
    assert code == 2
    assert "made from something else (parameters.noise.seed: 42 there, 7 now)" in errors


def test_an_impossible_place_is_refused(finished: Workspace) -> None:
    code, _, errors = ended(launched(finished, 2, 2))
    assert code == 2
    assert "environment: found RANK=2, WORLD_SIZE=2" in errors
