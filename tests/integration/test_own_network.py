"""A network of one's own: it trains and tests, and its code counts as what the weights were made from."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.cli import main
from cryodenoise.models import code_digest
from refusals import Refusal, contents, edit
from workspaces import Workspace

MODEL = {"import": "mine.net:build", "arguments": {"channels": 3}}
NET = """
from mine.blocks import layer
from torch import nn

def build(channels, dropout=0.1):
    normalised = nn.GroupNorm(1, channels)
    return nn.Sequential(layer(1, channels), nn.ReLU(), normalised, nn.Dropout(dropout), layer(channels, 1))
"""
BLOCKS = "from torch import nn\n\ndef layer(inputs, outputs): return nn.Conv2d(inputs, outputs, 3, padding=1)\n"


@pytest.fixture
def data(finished: Workspace) -> Workspace:
    """A workspace with a dataset, the run file of a network of one's own, and its code."""
    shutil.rmtree(finished / "model")
    shutil.rmtree(finished / "results")
    finished.write("train", {"model": MODEL, "micro_batch_size": 4})
    (finished / "code/mine").mkdir(parents=True)
    (finished / "code/mine/net.py").write_text(NET)
    (finished / "code/mine/blocks.py").write_text(BLOCKS)
    return finished


def words(workspace: Workspace, task: str, code_dir: Path | None = None) -> list[str]:
    return [*workspace.arguments(task), f"--code_dir={code_dir or workspace / 'code'}"]


def document(path: Path) -> Any:
    return json.loads(path.read_text())


def test_it_trains_and_tests_and_the_documents_tell_of_it(
    data: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(data / "code")
    assert main(words(data, "train")) == 0
    # Elsewhere, as a container would have it: the place of the code is no matter.
    shutil.copytree(data / "code", tmp_path / "copied")
    assert main(words(data, "test", tmp_path / "copied")) == 0
    training, report = document(data / "model/training.json"), document(data / "results/report.json")
    assert training["model"] == MODEL
    assert training["parameters"] == 3 * 10 + 6 + 28
    assert training["made_from"]["parameters"]["model"] == MODEL
    assert training["made_from"]["inputs"]["code"] == code_digest(data / "code")
    assert report["denoiser"]["name"] == "mine.net:build"
    assert report["training"]["made_from"] == training["made_from"]
    assert "mine.net:build (64 parameters) gains" in capsys.readouterr().out
    assert contents(data / "code") == before
    assert main(words(data, "train")) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_networks_by_name_have_no_code_and_need_none(data: Workspace) -> None:
    data.write("train", {"model": "cnn3"})
    (data / "empty").mkdir()
    assert main(words(data, "train", data / "empty")) == 0
    assert data.run("test") == 0
    training = document(data / "model/training.json")
    assert (training["model"], training["parameters"]) == ("cnn3", 2625)
    assert list(training["made_from"]["inputs"]) == ["dataset"]


def test_code_that_was_changed_is_refused(data: Workspace, refuse: Refusal) -> None:
    assert main(words(data, "train")) == 0
    before, training = code_digest(data / "code"), str(data / "model/training.json")
    (data / "code/mine/blocks.py").write_text(BLOCKS + "# changed\n")
    now = code_digest(data / "code")
    expected = [training, "mine.net:build", before[:16], "give as code_dir the folder as it was then, or train again"]
    refuse.command(words(data, "test"), data.root, *expected, f"{data / 'code'} has the digest {now[:16]}")
    refuse.command(data.arguments("test"), data.root, *expected, "no code_dir was given")
    refuse.command(words(data, "train"), data.root, "made from something else", "inputs.code")


def test_a_missing_folder_and_one_without_the_code_are_refused(data: Workspace, refuse: Refusal) -> None:
    run_file = str(data / "run/train.yaml")
    refuse(data, "train", f"{run_file}: model: found no module mine without a code_dir", "code_dir")
    refuse.command(words(data, "train", data / "none"), data.root, f"{data / 'none'}: does not exist", "code_dir")
    (data / "empty").mkdir()
    place = f"{run_file}: model: found no module mine in {data / 'empty'}, which has none"
    refuse.command(words(data, "train", data / "empty"), data.root, place)


def test_a_fault_of_the_code_is_told_with_its_line_and_with_all_for_debugging(
    data: Workspace, refuse: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "code/mine/blocks.py").write_text(BLOCKS.replace("outputs, 3", "-outputs, 3"))
    line = f"mine.net:build failed in {data / 'code/mine/blocks.py'}, line 3: "
    refuse.command(words(data, "train"), data.root, f"{data / 'run/train.yaml'}: model: {line}")
    assert main([*words(data, "train"), "--debug"]) == 2
    assert "def layer(inputs, outputs)" in capsys.readouterr().err


def test_a_network_that_gives_other_images_is_refused_before_training(data: Workspace, refuse: Refusal) -> None:
    (data / "code/mine/blocks.py").write_text(BLOCKS.replace("padding=1", "padding=0"))
    refuse.command(words(data, "train"), data.root, "of shape (1, 1, 28, 28), expected floats", "(1, 1, 32, 32)")


@pytest.mark.parametrize("task", ["train", "test"])
def test_patches_of_a_side_that_the_network_does_not_take_are_refused(
    data: Workspace, refuse: Refusal, task: str
) -> None:
    shutil.rmtree(data / "data")
    data.write("train", {"model": "cnn3"})
    data.write("preprocess", {"patches": {"size_px": 28}})
    assert data.run("preprocess", "train") == 0
    if task == "train":
        shutil.rmtree(data / "model")
        data.write("train", {"model": "unet"})
    else:
        edit(data / "model/training.json", lambda training: training.update(model="unet"))
    refuse(data, task, "model: patches of 28 × 28 are no multiples of 8, as unet needs", "patches.size_px to 24 or 32")


def test_check_holds_the_folder_against_the_code(data: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(data, "train")) == 0
    command = ["check", str(data / "model")]
    assert main([*command, f"--code_dir={data / 'code'}"]) == 0
    shown = capsys.readouterr().out
    assert "weights of mine.net:build" in shown
    assert "not checked" not in shown
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "not checked: the number of parameters, and whether weights fit the network: model: mine.net:build" in shown
    assert "no code_dir was given" in shown
    edit(data / "model/training.json", lambda training: training.update(parameters=65))
    assert main([*command, f"--code_dir={data / 'code'}"]) == 1
    assert "parameters: 65, expected 64, those of mine.net:build" in capsys.readouterr().out
    (data / "code/mine/net.py").write_text(NET + "\n")
    assert main([*command, f"--code_dir={data / 'code'}"]) == 1
    assert "MODEL-1" in (shown := capsys.readouterr().out)
    assert "was trained with code of the digest" in shown
    assert main([*command, f"--code_dir={data / 'none'}"]) == 2


def test_check_finds_damaged_weights_without_the_code(data: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(data, "train")) == 0
    (data / "model/last.safetensors").write_bytes(b"no weights")
    assert main(["check", str(data / "model")]) == 1
    assert "MODEL-3" in capsys.readouterr().out


def test_plan_and_pipeline_take_the_folder_too(data: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(data / "raw")
    shutil.rmtree(data / "data")
    command = [str(data / "run"), f"--workspace={data.root}"]
    assert main(["plan", *command]) == 2
    assert "found no module mine without a code_dir" in capsys.readouterr().err
    code = f"--code_dir={data / 'code'}"
    assert main(["plan", *command, code]) == 0
    assert "\ntest " in capsys.readouterr().out
    assert main(["pipeline", *command, code]) == 0
    assert document(data / "results/report.json")["denoiser"]["name"] == "mine.net:build"


def test_plan_tells_that_patches_do_not_suit_the_network(data: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(data / "data")
    data.write("train", {"model": "unet"})
    data.write("preprocess", {"patches": {"size_px": 28}})
    command = ["plan", str(data / "run"), f"--workspace={data.root}"]
    refuse.command(command, data.root, f"{data / 'run/train.yaml'}: model: patches of 28 × 28", "24 or 32")
