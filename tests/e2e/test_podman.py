"""The cube under Podman: rootless, through the platform file, with the image that the Dockerfile makes."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.e2e

Completed = subprocess.CompletedProcess[str]
PLATFORM = "--platform=platforms/podman.yaml"


@pytest.fixture(scope="module")
def podman_workspace(
    rootless: Callable[..., Completed], image: str, mlcube_docker: Path, cube: Path, place: Path, caller: dict[str, Any]
) -> Path:
    """A workspace of the caller in which the four tasks ran under Podman: one epoch, and only what is quick to score.

    Podman takes the image that Docker built: to build it again takes minutes.
    """
    archive = place / "image.tar"
    subprocess.run(["docker", "save", "--output", archive, image], check=True)
    os.chown(archive, caller.get("user", -1), caller.get("group", -1))
    loaded = rootless("podman", "load", "--quiet", f"--input={archive}")
    archive.unlink()
    assert loaded.returncode == 0, loaded.stdout
    folder, settings = place / "podman-workspace", cube / "platforms/podman.yaml"
    before = settings.read_bytes()
    quick = place / "podman-run-files/test.yaml"
    quick.parent.mkdir()
    quick.write_text(yaml.safe_dump({**yaml.safe_load((cube / "run/test.yaml").read_text()), "slow_patches": 0}))
    for task in ("download", "preprocess", "train", "test"):
        given = [f"parameters_file={quick}"] if task == "test" else []
        result = rootless(
            mlcube_docker, "run", "--mlcube=.", PLATFORM, f"--workspace={folder}", f"--task={task}", *given,
            MLCUBE_SYSTEM_SETTINGS=str(settings),
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        assert "Default runner config contains parameters" not in result.stdout
    assert settings.read_bytes() == before
    return folder


def test_tasks_under_podman_end_in_a_report(podman_workspace: Path) -> None:
    report = json.loads((podman_workspace / "results/report.json").read_text())
    training = json.loads((podman_workspace / "model/training.json").read_text())
    assert report["denoiser"]["name"] == "cnn3"
    assert training["best_epoch"] == 1
    assert (podman_workspace / "results/report.html").exists()


def test_outputs_of_podman_belong_to_the_caller(podman_workspace: Path, caller: dict[str, Any]) -> None:
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in podman_workspace.rglob("*")}
    assert owners == {(caller.get("user", os.getuid()), caller.get("group", os.getgid()))}


@pytest.mark.usefixtures("podman_workspace")
def test_containers_of_podman_remove_themselves(rootless: Callable[..., Completed]) -> None:
    assert rootless("podman", "ps", "--all", "--quiet").stdout == ""


CDI = "--device=nvidia.com/gpu=all"


@pytest.mark.parametrize(
    ("engine", "rootless_answer", "expected", "unexpected"),
    [
        ("podman", "true", ["0:0", "--cap-drop=all", "--group-add=keep-groups", CDI], "--gpus=all"),
        ("podman", "false", [CDI], "0:0"),
        ("docker", "", ["--gpus=all"], "0:0"),
    ],
)
def test_the_engine_says_how_it_gives_the_callers_ids_and_gpus(
    engine: str, rootless_answer: str, expected: list[str], unexpected: str, place: Path,
    cube: Path, mlcube: Callable[..., Completed],
) -> None:  # fmt: skip
    """With programs in the place of the engine and the driver, since few test machines have a GPU."""
    programs = place / f"{engine}-answers-{rootless_answer}"
    programs.mkdir()
    answers = f'case "$1" in info) echo {rootless_answer};; --version) echo {engine} version 1;; *) echo "$@";; esac'
    for name, script in {engine: answers, "nvidia-smi": "exit 0"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    where = ("--mlcube=.", f"--platform=platforms/{engine}.yaml", f"--workspace={place}/engines", "--task=download")
    result = mlcube(
        "run", *where, PATH=f"{programs}:{os.environ['PATH']}",
        MLCUBE_SYSTEM_SETTINGS=str(cube / f"platforms/{engine}.yaml"),
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    said = result.stdout.split()
    assert set(expected) <= set(said), result.stdout
    assert unexpected not in said
    own_groups = [word for word in said if word.startswith("--group-add=") and word != "--group-add=keep-groups"]
    assert (own_groups == []) is (rootless_answer == "true")
