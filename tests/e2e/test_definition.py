"""mlcube.yaml against the files that it names; needs no engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import cryodenoise

ROOT = Path(__file__).resolve().parents[2]
CUBE = yaml.safe_load((ROOT / "mlcube.yaml").read_text())
TASKS: dict[str, Any] = CUBE["tasks"]


def folders(task: dict[str, Any]) -> Iterator[str]:
    """The folders of data; code and the images of other programs are shared by all run sets."""
    for direction in task["parameters"].values():
        named = {name: parameter for name, parameter in direction.items() if name not in ("code_dir", "predictions")}
        yield from (parameter["default"] for parameter in named.values() if parameter["type"] == "directory")


def test_every_run_file_of_a_task_is_a_task_of_its_name() -> None:
    run_files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "run").rglob("*.yaml")}
    run_files -= {"run/compare.yaml"}  # of a command that runs tasks
    assert {name for name in TASKS if name.startswith("run/")} == run_files


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"check_logs"}))
def test_a_task_reads_the_run_file_of_its_name(name: str) -> None:
    run_file = name if name.startswith("run/") else f"run/{name}.yaml"
    assert TASKS[name]["parameters"]["inputs"]["parameters_file"]["default"] == "${runtime.root}/" + run_file


@pytest.mark.parametrize("run_set", ["smoke", "laptop", "empiar30", "truth", "halves", "emdenoise"])
def test_a_run_set_keeps_to_its_subfolder(run_set: str) -> None:
    used = {folder for name in TASKS if name.startswith(f"run/{run_set}/") for folder in folders(TASKS[name])}
    assert used
    assert {folder.split("/")[0] for folder in used} == {run_set}


def test_the_small_graphene_set_keeps_to_a_subfolder_of_its_own() -> None:
    used = {folder for name in TASKS if name.startswith("run/emdenoise/smoke/") for folder in folders(TASKS[name])}
    assert used == {f"emdenoise/smoke/{name}" for name in ("raw", "data", "model", "results", "logs")}
    published = {folder for name in TASKS if name.startswith("run/emdenoise/") for folder in folders(TASKS[name])}
    assert published - used >= {f"emdenoise/{name}" for name in ("raw", "data", "model", "results", "logs")}


def test_checking_logs_needs_no_run_file() -> None:
    reads = {"results_dir": {"type": "directory", "default": "results", "opts": "ro"}}
    writes = {"log_dir": {"type": "directory", "default": "logs"}}
    assert TASKS["check_logs"]["parameters"] == {"inputs": reads, "outputs": writes}


@pytest.mark.parametrize("name", TASKS)
def test_what_runs_networks_can_be_given_code(name: str) -> None:
    expected = {"type": "directory", "default": "code", "opts": "ro"}
    takes_code = Path(name).stem in ("train", "test", "denoise")
    assert TASKS[name]["parameters"]["inputs"].get("code_dir") == (expected if takes_code else None)


@pytest.mark.parametrize("name", TASKS)
def test_test_can_be_given_images_of_another_program(name: str) -> None:
    expected = {"type": "directory", "default": "predictions", "opts": "ro"}
    takes_images = Path(name).stem == "test"
    assert TASKS[name]["parameters"]["inputs"].get("predictions") == (expected if takes_images else None)


@pytest.mark.parametrize("run_set", ["baseline", "unet", "dncnn12"])
def test_other_networks_write_beside_the_full_benchmark(run_set: str) -> None:
    for task in ("train", "test"):
        parameters = TASKS[f"run/{run_set}/{task}.yaml"]["parameters"]
        assert parameters["inputs"]["data_dir"]["default"] == "data"
        assert all(output["default"].startswith(f"{run_set}/") for output in parameters["outputs"].values())


@pytest.mark.parametrize("track", ["truth", "halves", "laptop", "empiar30", "emdenoise"])
@pytest.mark.parametrize("network", ["baseline", "unet"])
def test_networks_of_the_field_run_on_the_data_of_every_track(track: str, network: str) -> None:
    for task in ("train", "test"):
        parameters = TASKS[f"run/{track}/{network}/{task}.yaml"]["parameters"]
        assert parameters["inputs"]["data_dir"]["default"] == f"{track}/data"
        assert all(output["default"].startswith(f"{track}/{network}/") for output in parameters["outputs"].values())


def test_the_image_bears_the_version_of_the_program() -> None:
    assert CUBE["docker"]["image"] == f"cryodenoise:{cryodenoise.__version__}"


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_platform_file_names_its_engine_and_all_that_the_runner_asks_for(engine: str) -> None:
    settings = yaml.safe_load((ROOT / f"platforms/{engine}.yaml").read_text())
    platform = settings["platforms"][f"platforms/{engine}.yaml"]
    assert platform["docker"] == engine
    assert settings["platforms"]["docker"] == platform
    other = yaml.safe_load((ROOT / "platforms/docker.yaml").read_text())
    assert settings["runners"] == other["runners"]
    assert platform.keys() == other["platforms"]["docker"].keys()


def test_the_cube_leaves_the_engine_to_the_platform() -> None:
    """A `docker` in this section would go before that of platforms/podman.yaml."""
    assert "docker" not in CUBE["docker"]
