"""What the README promises of the cube, seen in a real container engine."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.e2e

Completed = subprocess.CompletedProcess[str]
TASKS = ("download", "preprocess", "train", "test")


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def layers(image: str) -> list[str]:
    names: list[str] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return names


def identity(data_dir: Path) -> str:
    document: dict[str, str] = json.loads((data_dir / "dataset.json").read_text())
    return document["identity"]


def test_smoke_tasks_leave_their_documents(workspace: Path) -> None:
    documents = ("raw/download.json", "data/dataset.json", "model/training.json", "results/report.json")
    for document in documents:
        json.loads((workspace / "smoke" / document).read_text())
    assert (workspace / "smoke/model/best.safetensors").stat().st_size > 0


def test_smoke_tasks_touch_only_their_subfolder(workspace: Path) -> None:
    assert sorted(path.name for path in workspace.iterdir()) == ["code", "predictions", "smoke"]
    for shared in ("code", "predictions"):
        assert list((workspace / shared).iterdir()) == []


def test_outputs_belong_to_the_caller(workspace: Path, caller: dict[str, Any]) -> None:
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in workspace.rglob("*")}
    assert owners == {(caller.get("user", os.getuid()), caller.get("group", os.getgid()))}


@pytest.mark.usefixtures("image")
def test_graphene_is_made_trained_on_and_scored_in_the_container(place: Path, mlcube: Callable[..., Completed]) -> None:
    folder = place / "graphene"
    for task in TASKS:
        name = f"run/emdenoise/smoke/{task}.yaml"
        result = mlcube("run", "--mlcube=.", f"--workspace={folder}", f"--task={name}")
        assert result.returncode == 0, result.stdout
    report = json.loads((folder / "emdenoise/smoke/results/report.json").read_text())
    assert report["pairs"] == "given"
    assert report["samples"] == 16


def test_short_names_find_the_same_work_done(workspace: Path, cube: Path, mlcube: Callable[..., Completed]) -> None:
    folders = [f"{role}_dir={workspace}/smoke/{role}" for role in ("raw", "data", "model", "results")]
    for task in TASKS:
        run_file = f"parameters_file={cube}/run/smoke/{task}.yaml"
        result = mlcube(
            "run", "--mlcube=.", f"--workspace={workspace.parent}/short", f"--task={task}", run_file, *folders
        )
        assert result.returncode == 0, result.stdout
        assert "nothing to do" in result.stdout


def test_the_container_reproduces_the_reference(workspace: Path) -> None:
    said = (workspace / "smoke/logs/test.log").read_text()
    assert " reproduced: dataset identity as in reference/smoke.json" in said, said[-600:]


def test_logs_are_checked_in_the_container(workspace: Path, mlcube: Callable[..., Completed]) -> None:
    results = workspace / "smoke/results"
    words = ("run", "--mlcube=.", f"--workspace={workspace.parent}/logs", "--task=check_logs", f"results_dir={results}")
    found = mlcube(*words)
    assert found.returncode == 0, found.stdout
    assert "no findings" in found.stdout


def test_what_the_container_scored_is_submitted_and_verified_on_the_host(workspace: Path, place: Path) -> None:
    def cryodenoise(*words: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "cryodenoise", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    output = place / "submission"
    cryodenoise("submit", f"{workspace}/smoke", "--org=acme", "--system=container", f"--output_dir={output}")
    (archive,) = output.glob("*.tar")
    assert "no findings" in cryodenoise("check", str(archive))
    verified = cryodenoise("verify", str(archive), f"--data_dir={workspace}/smoke/data", "--device=cpu")
    assert "verified: every figure is within its tolerance" in verified


def test_own_micrographs_are_read_where_they_lie(workspace: Path, mlcube: Callable[..., Completed]) -> None:
    raw = workspace / "smoke/raw"
    before = sorted(raw.iterdir())
    own = workspace.parent / "own"
    result = mlcube("run", "--mlcube=.", f"--workspace={own}", "--task=run/laptop/preprocess.yaml", f"raw_dir={raw}")
    assert result.returncode == 0, result.stdout
    assert (own / "laptop/data/dataset.json").exists()
    assert sorted(raw.iterdir()) == before


def test_micrographs_are_denoised_in_the_container_as_on_the_host(
    workspace: Path, cube: Path, place: Path, mlcube: Callable[..., Completed], tmp_path: Path
) -> None:
    raw, run_file = workspace / "smoke/raw", cube / "run/denoise.yaml"
    for name, model_dir in (("trained", workspace / "smoke/model"), ("shipped", place / "no-model")):
        out = place / f"denoised-{name}"
        result = mlcube(
            "run", "--mlcube=.", f"--workspace={place}/denoise", "--task=run/denoise.yaml", f"micrographs_dir={raw}",
            f"model_dir={model_dir}", f"denoised_dir={out}",
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
        words = [
            sys.executable, "-m", "cryodenoise", str(run_file), f"--micrographs_dir={raw}", f"--model_dir={model_dir}",
            f"--denoised_dir={tmp_path / name}",
        ]  # fmt: skip
        subprocess.run(words, check=True)
        made = {path.name: path.read_bytes() for path in out.glob("*.mrc")}
        assert len(made) == 4
        assert made == {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.mrc")}
        assert len(list((out / "previews").glob("*.png"))) == 4


def test_code_of_ones_own_reaches_the_container(
    workspace: Path, cube: Path, place: Path, mlcube: Callable[..., Completed]
) -> None:
    code, run_file = place / "own-code", place / "own-run/train.yaml"
    (code / "mine").mkdir(parents=True)
    (code / "mine/net.py").write_text("from torch import nn\ndef build(): return nn.Conv2d(1, 1, 3, padding=1)\n")
    run_file.parent.mkdir()
    run_file.write_text(yaml.safe_dump({"model": {"import": "mine.net:build"}, "epochs": 1}))
    given = {"train": run_file, "test": cube / "run/smoke/test.yaml"}
    for task, parameters_file in given.items():
        result = mlcube(
            "run", "--mlcube=.", f"--workspace={place}/own-network", f"--task={task}", f"code_dir={code}",
            f"parameters_file={parameters_file}", f"data_dir={workspace}/smoke/data",
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
    report = json.loads((place / "own-network/results/report.json").read_text())
    assert (report["denoiser"]["name"], report["denoiser"]["parameters"]) == ("mine.net:build", 10)


def test_images_of_another_program_reach_the_container(
    workspace: Path, place: Path, mlcube: Callable[..., Completed]
) -> None:
    images = place / "images"
    images.mkdir()
    shutil.copy(workspace / "smoke/data/test_input.bin", images / "test_denoised.bin")
    result = mlcube(
        "run", "--mlcube=.", f"--workspace={place}/images-scored", "--task=run/smoke/test.yaml",
        f"data_dir={workspace}/smoke/data", f"predictions={images}",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    report = json.loads((place / "images-scored/smoke/results/report.json").read_text())
    assert report["denoiser"]["kind"] == "predictions"
    assert report["against_target"]["methods"]["noisy_input"]["gain_db"] == 0


@pytest.mark.usefixtures("image")
def test_command_lines_of_emdenoise(cube: Path, mlcube: Callable[..., Completed]) -> None:
    """Those of the benchmark that went before, word for word."""
    settings = cube / "platforms/docker.yaml"
    before = settings.read_bytes()
    where = ("--mlcube=.", "--platform=platforms/docker.yaml")
    lines = [("configure", *where), *(("run", *where, f"--task=run/{task}.yaml") for task in TASKS)]
    for line in lines:
        result = mlcube(*line, MLCUBE_SYSTEM_SETTINGS=str(settings))
        assert result.returncode == 0, result.stdout
        assert "Default runner config contains parameters" not in result.stdout
    assert (cube / "workspace/results/report.json").exists()
    assert settings.read_bytes() == before


@pytest.mark.usefixtures("image")
def test_a_mistake_of_the_user_ends_in_exit_code_2(place: Path, mlcube: Callable[..., Completed]) -> None:
    result = mlcube("run", "--mlcube=.", f"--workspace={place}/empty", "--task=run/smoke/train.yaml")
    assert result.returncode == 2, result.stdout
    assert "preprocess" in result.stdout


@pytest.mark.parametrize(
    ("driver_exit_code", "options", "expected"),
    [(0, [], True), (0, ["-Pplatform.accelerator_count=0"], False), (9, [], False)],
)
def test_gpus_are_asked_for_where_a_driver_answers(
    driver_exit_code: int, options: list[str], expected: bool, place: Path, mlcube: Callable[..., Completed]
) -> None:
    """With programs in the place of the engine and the driver, since few test machines have a GPU."""
    programs = place / f"driver-exits-{driver_exit_code}"
    programs.mkdir(exist_ok=True)
    for name, script in {"docker": 'echo "$@"', "nvidia-smi": f"exit {driver_exit_code}"}.items():
        (programs / name).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name).chmod(0o755)
    where = ("--mlcube=.", f"--workspace={place}/gpus", "--task=run/smoke/download.yaml")
    result = mlcube("run", *where, *options, PATH=f"{programs}:{os.environ['PATH']}")
    assert result.returncode == 0, result.stdout
    assert ("--gpus=all" in result.stdout.split()) is expected


def test_docker_stop_ends_training_in_order(
    workspace: Path, image: str, cube: Path, mlcube_docker: Path, caller: dict[str, Any]
) -> None:
    parameters = yaml.safe_load((cube / "run/smoke/train.yaml").read_text()) | {"epochs": 100_000}
    run_file = workspace.parent / "stop/train.yaml"
    run_file.parent.mkdir()
    run_file.write_text(yaml.safe_dump(parameters))
    arguments = [f"parameters_file={run_file}", f"data_dir={workspace}/smoke/data"]
    with subprocess.Popen(
        [mlcube_docker, "run", "--mlcube=.", f"--workspace={workspace.parent}/stopped", "--task=train", *arguments],
        cwd=cube,
        env={**os.environ, "HOME": str(workspace.parent / "home")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **caller,
    ) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if "1/100000" in line), None)
        assert said is not None
        docker("stop", *docker("ps", "--quiet", "--filter", f"ancestor={image}").split())
        process.stdout.read()
        assert process.wait() == 143
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}") == ""


def test_container_and_host_make_the_same_dataset(workspace: Path, cube: Path, tmp_path: Path) -> None:
    for task in TASKS[:2]:
        folders = [f"--raw_dir={tmp_path}/raw", f"--data_dir={tmp_path}/data"][: 1 + TASKS.index(task)]
        command = [
            sys.executable,
            "-m",
            "cryodenoise",
            task,
            f"--parameters_file={cube}/run/smoke/{task}.yaml",
            *folders,
        ]
        subprocess.run(command, check=True)
    assert identity(tmp_path / "data") == identity(workspace / "smoke/data")


def test_the_image_needs_neither_user_nor_home_nor_network(
    image: str, cube: Path, place: Path, caller: dict[str, Any]
) -> None:
    """Only the mounted folders and /tmp can be written, by a uid that the image's passwd file does not know."""
    uid, gid = caller.get("user", os.getuid()), caller.get("group", os.getgid())
    confined = (f"--user={uid}:{gid}", "--read-only", "--tmpfs=/tmp", "--network=none")
    mounts = (f"--volume={cube}/run:/run_files:ro", f"--volume={place}:/place")
    roles = (("raw",), ("raw", "data"), ("data", "model"), ("data", "model", "results"))
    for task, needed in zip(TASKS, roles, strict=True):
        folders = [f"--{role}_dir=/place/confined/{role}" for role in needed]
        docker("run", "--rm", *confined, *mounts, image, task, f"--parameters_file=/run_files/{task}.yaml", *folders)
    assert (place / "confined/results/report.json").exists()


def test_the_image_names_its_revision(image: str, workspace: Path, cube: Path) -> None:
    head = subprocess.run(
        ["git", "-C", cube, "-c", f"safe.directory={cube}", "rev-parse", "HEAD"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    revision = head.stdout.strip()
    assert revision in docker("run", "--rm", image, "info")
    assert revision in (workspace / "smoke/results/report.json").read_text()
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
    assert docker("image", "inspect", "--format", label, image).strip() == revision


def test_an_edit_of_the_source_keeps_the_layers_of_its_dependencies(
    image: str, cube: Path, mlcube: Callable[..., Completed]
) -> None:
    source, edited = cube / "src/cryodenoise/__init__.py", f"{image}-edited"
    original = source.read_text()
    try:
        source.write_text(original + "# edited\n")
        result = mlcube("configure", "--mlcube=.", f"-Pdocker.image={edited}")
        assert result.returncode == 0, result.stdout
        before, after = layers(image), layers(edited)
        assert docker("run", "--rm", edited, "info").count("-dirty") == 1
    finally:
        source.write_text(original)
        docker("image", "rm", "--force", edited)
    new = [other for one, other in zip(before, after, strict=True) if one != other]
    assert len(new) == 2, "the copied sources and the installed program"
