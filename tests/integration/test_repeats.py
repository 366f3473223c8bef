"""Trainings that differ by their seed alone: each in a folder of its own, none lost, each what it is by itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals
from typing import Any

import pytest

from cryodenoise.cli import main
from cryodenoise.training.record import open_training, open_trainings
from outcomes import content, outcome
from processes import Start
from refusals import Refusal, contents, edit, flip_byte
from workspaces import Workspace

CODES = {SIGINT: 130, SIGTERM: 143, SIGKILL: -9}
CHANGES: dict[str, Any] = {"epochs": 1, "repeat": 3, "seed": 7}


@pytest.fixture(scope="session")
def _repeated(made_once: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("repeated") / "workspace")
    for name in ("raw", "data", "run", "logs"):
        shutil.copytree(made_once / name, workspace / name)
    workspace.write("train", CHANGES)
    assert workspace.run("train") == 0
    return workspace


@pytest.fixture
def repeated(_repeated: Workspace, tmp_path: Path) -> Workspace:
    """A copy of a workspace with three finished trainings."""
    shutil.copytree(_repeated.root, tmp_path / "repeated")
    return Workspace(tmp_path / "repeated")


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def folder(workspace: Workspace, number: int) -> Path:
    return workspace / "model" / (f"repeat-{number}" if number > 1 else ".")


def alone(path: Path) -> dict[str, Any]:
    """What a folder of a training holds, without the folders in it and the number of these."""
    found = {file.name: content(file) for file in path.iterdir() if file.is_file()}
    del found["training.json"]["trainings"]
    return found


def test_each_training_is_that_of_its_seed_alone(repeated: Workspace, tmp_path: Path) -> None:
    names = {path.name for path in (repeated / "model").iterdir()}
    files = {"best.safetensors", "last.safetensors", "training.json", "training_log.txt"}
    assert names == files | {"repeat-2", "repeat-3"}
    weights = {(folder(repeated, number) / "best.safetensors").read_bytes() for number in (1, 2, 3)}
    assert len(weights) == 3
    assert [document(folder(repeated, number) / "training.json")["trainings"] for number in (1, 2, 3)] == [3, 1, 1]
    shutil.copytree(repeated / "data", tmp_path / "plain/data")
    plain = Workspace(tmp_path / "plain")
    for number in (1, 2, 3):
        plain.write("train", {"epochs": 1, "seed": 6 + number})
        assert plain.run("train") == 0
        assert alone(plain / "model") == alone(folder(repeated, number))
        shutil.rmtree(plain / "model")


def test_all_trainings_are_opened_in_order(repeated: Workspace) -> None:
    found = open_trainings(repeated / "model")
    assert [path for path, _ in found] == [repeated / "model", folder(repeated, 2), folder(repeated, 3)]
    assert [record.made_from.parameters["seed"] for _, record in found] == [7, 8, 9]
    assert [record for _, record in found] == [open_training(path) for path, _ in found]


def test_each_training_can_be_tested(repeated: Workspace) -> None:
    words = [word for word in repeated.arguments("test") if "model_dir" not in word]
    assert main([*words, f"--model_dir={folder(repeated, 2)}"]) == 0
    report = document(repeated / "results/report.json")
    assert report["training"]["weights"] == document(folder(repeated, 2) / "training.json")["weights"]


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("rename repeat-2/unfinished.json 1", SIGKILL),
        ("step 5", SIGTERM),
        ("rename repeat-2/training.json 1", SIGKILL),
        ("remove repeat-2/unfinished.json 1", SIGTERM),
        ("open repeat-3/unfinished.json.partial 1", SIGKILL),
        ("step 15", SIGKILL),
        ("step 25", SIGINT),
        ("rename model/training.json 1", SIGKILL),
    ],
)
def test_interrupted_trainings_equal_undisturbed_ones(
    repeated: Workspace, start: Start, capsys: pytest.CaptureFixture[str], moment: str, sent: Signals
) -> None:
    undisturbed = outcome(repeated, "train")
    shutil.rmtree(repeated / "model")
    assert start(repeated.arguments("train"), moment, sent).end()[0] == CODES[sent]
    assert not (repeated / "model/training.json").exists()
    done = [number for number in (2, 3) if (folder(repeated, number) / "training.json").exists()]
    capsys.readouterr()
    assert repeated.run("train") == 0
    said = capsys.readouterr().out
    assert [number for number in (2, 3) if f"{folder(repeated, number)}: finished already" in said] == done
    assert outcome(repeated, "train") == undisturbed


def test_finished_trainings_have_nothing_to_do(repeated: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(repeated.root)
    assert repeated.run("train") == 0
    assert capsys.readouterr().out == f"{repeated / 'model'} already holds this run: nothing to do\n"
    assert contents(repeated.root) == before


@pytest.mark.parametrize("moment", ["step 15", "remove repeat-5/unfinished.json 1", "rename model/training.json 1"])
def test_more_trainings_are_added_to_finished_ones(
    repeated: Workspace, start: Start, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    before = {number: alone(folder(repeated, number)) for number in (1, 2, 3)}
    state = (repeated / "model/last.safetensors").stat()
    repeated.write("train", {**CHANGES, "repeat": 5})
    assert start(repeated.arguments("train"), moment, SIGKILL).end()[0] == -SIGKILL
    assert len(open_trainings(repeated / "model")) == 3  # those that the folder tells of stay whole at every moment
    assert main(["check", str(repeated / "model")]) == 1
    said = capsys.readouterr().out
    assert f"MODEL-4: {folder(repeated, 4)}: training.json tells of 3 trainings" in said
    assert f"MODEL-4: {folder(repeated, 5)}: training.json tells of 3 trainings" in said
    assert repeated.run("train") == 0
    assert f"{repeated / 'model'}: holds 5 trainings now" in capsys.readouterr().out
    assert [record.made_from.parameters["seed"] for _, record in open_trainings(repeated / "model")] == [
        7,
        8,
        9,
        10,
        11,
    ]
    assert {number: alone(folder(repeated, number)) for number in (1, 2, 3)} == before
    assert (repeated / "model/last.safetensors").stat() == state
    assert main(["check", str(repeated / "model")]) == 0


def test_a_single_training_can_be_repeated_later(repeated: Workspace) -> None:
    expected = outcome(repeated, "train")
    shutil.rmtree(repeated / "model")
    repeated.write("train", {**CHANGES, "repeat": 1})
    assert repeated.run("train") == 0
    repeated.write("train", {**CHANGES, "resume": "never"})
    assert repeated.run("train") == 0
    assert outcome(repeated, "train") == expected


def test_fewer_trainings_than_there_are_are_refused(repeated: Workspace, refuse: Refusal) -> None:
    run_file = repeated.write("train", {**CHANGES, "repeat": 1})
    words = (f"{run_file}: repeat: found 1, but", str(folder(repeated, 3)), "set 3", "remove the folders")
    refuse(repeated, "train", *words)
    shutil.rmtree(folder(repeated, 2))
    shutil.rmtree(folder(repeated, 3))
    assert repeated.run("train") == 0
    assert document(repeated / "model/training.json")["trainings"] == 1


def test_a_training_that_was_removed_is_made_anew(repeated: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    expected = outcome(repeated, "train")
    shutil.rmtree(folder(repeated, 2))
    capsys.readouterr()
    assert repeated.run("train") == 0
    assert f"{folder(repeated, 3)}: finished already" in capsys.readouterr().out
    assert outcome(repeated, "train") == expected


def test_another_run_file_is_refused(repeated: Workspace, refuse: Refusal) -> None:
    repeated.write("train", {**CHANGES, "seed": 8})
    refuse(repeated, "train", "finished work of `train` made from something else (parameters.seed: 7 there, 8 now)")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_no_interrupted_one_is_gone_on_with_where_that_is_not_wanted(
    repeated: Workspace, refuse: Refusal, number: int
) -> None:
    """Refused before any other is trained, whichever it is."""
    shutil.rmtree(folder(repeated, 2 if number == 3 else 3))
    (repeated / "model/training.json").rename(repeated / "model/unfinished.json")
    if number > 1:
        (folder(repeated, number) / "training.json").rename(folder(repeated, number) / "unfinished.json")
        for path in (repeated / "model").glob("*.safetensors"):
            path.unlink()
    repeated.write("train", {**CHANGES, "resume": "never"})
    refuse(repeated, "train", f"{folder(repeated, number) / 'last.safetensors'}: the state", "'never'")


def test_disk_and_time_of_all_trainings_are_told(repeated: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for changes in ({"repeat": 1}, {"repeat": 3}):
        shutil.rmtree(repeated / "model")
        repeated.write("train", {**CHANGES, **changes})
        capsys.readouterr()
        assert repeated.run("train") == 0
        lines.append(capsys.readouterr().out.splitlines())
    (_, disk, elapsed, *_), (_, disk_of_all, elapsed_of_all, *_) = lines
    assert float(disk_of_all.split()[1]) == pytest.approx(3 * float(disk.split()[1]), rel=0.01)
    assert "trainings" not in elapsed
    assert " for 3 trainings at " in elapsed_of_all
    assert f"training 2 of 3, seed 8, in {folder(repeated, 2)}" in lines[1]
    assert f"training 1 of 3, seed 7, in {repeated / 'model'}" in lines[1]


def test_what_is_left_of_them_is_planned(
    repeated: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryodenoise.estimates.networks._TIMED_S", 1e-9)
    monkeypatch.setattr("cryodenoise.estimates.networks._UNTIMED_STEPS", 0)
    monkeypatch.setattr("cryodenoise.estimates.disks._PROBE_BYTES", 1 << 22)

    def of_train() -> list[str]:
        capsys.readouterr()
        assert main(["plan", str(repeated / "run"), "--workspace", str(repeated.root)]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("train ")]

    assert of_train() == []
    repeated.write("train", {**CHANGES, "repeat": 5})
    assert "2 trainings of 1 epochs of 40 patches and 20 for validation: reads 983.0 kB" in of_train()[0]
    shutil.rmtree(repeated / "model")
    assert "5 trainings of 1 epochs" in of_train()[0]


def test_a_network_of_ones_own_is_repeated(repeated: Workspace) -> None:
    shutil.rmtree(repeated / "model")
    (repeated / "code").mkdir()
    (repeated / "code/net.py").write_text(
        "from torch import nn\n\n"
        "def build():\n    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Dropout(), nn.Conv2d(2, 1, 1))\n"
    )
    repeated.write("train", {**CHANGES, "repeat": 2, "model": {"import": "net:build"}, "micro_batch_size": 4})
    assert main([*repeated.arguments("train"), f"--code_dir={repeated / 'code'}"]) == 0
    first, second = (record for _, record in open_trainings(repeated / "model"))
    assert first.made_from.inputs == second.made_from.inputs
    assert first.weights != second.weights


def lose(workspace: Workspace) -> None:
    shutil.rmtree(folder(workspace, 2))


def exchange(workspace: Workspace) -> None:
    folder(workspace, 2).rename(workspace / "other")
    folder(workspace, 3).rename(folder(workspace, 2))
    (workspace / "other").rename(folder(workspace, 3))


def begin(workspace: Workspace) -> None:
    (folder(workspace, 3) / "training.json").rename(folder(workspace, 3) / "unfinished.json")


def alter(workspace: Workspace) -> None:
    flip_byte(folder(workspace, 3) / "best.safetensors", 1000)


def add(workspace: Workspace) -> None:
    (folder(workspace, 3) / "notes.txt").write_text("mine")


def forget(workspace: Workspace) -> None:
    edit(workspace / "model/training.json", lambda record: record.update(trainings=2))


@pytest.mark.parametrize(
    ("change", "rules", "opening"),
    [
        (lose, {"MODEL-4"}, "run `cryodenoise train` again, which trains those that are missing"),
        (exchange, {"MODEL-4"}, "more than its seed (parameters.seed: 9 there, 8 now)"),
        (begin, {"FOLDER-1"}, "unfinished: run `cryodenoise train` first"),
        (alter, {"MODEL-2", "MODEL-3"}, "altered since it was written"),
        (add, {"FOLDER-2"}, None),
        (forget, {"MODEL-4"}, None),
    ],
)
def test_what_is_wrong_with_one_of_them_is_found(
    repeated: Workspace, capsys: pytest.CaptureFixture[str], change: Callable[[Workspace], None], rules: set[str],
    opening: str | None,
) -> None:  # fmt: skip
    assert main(["check", str(repeated / "model")]) == 0
    assert f"{folder(repeated, 3)}: what `train` writes" in capsys.readouterr().out
    change(repeated)
    assert main(["check", str(repeated / "model")]) == 1
    said = capsys.readouterr().out
    found = {line.split()[0].rstrip(":") for line in said.splitlines() if line[:2] == "  " and ": " in line}
    assert {name for name in found if name.split("-")[0] in ("FOLDER", "MODEL")} == rules, said
    if opening:
        with pytest.raises(Exception, match="repeat-") as caught:
            open_trainings(repeated / "model")
        assert opening in str(caught.value)


def left(workspace: Workspace) -> set[str]:
    return set(contents(workspace / "model"))


def clean(workspace: Workspace) -> None:
    assert main(["clean", str(workspace / "run"), "--workspace", str(workspace.root), "--yes"]) == 0


@pytest.mark.parametrize("state", ["finished", "unfinished", "begun"])
def test_all_trainings_are_cleaned_away(repeated: Workspace, state: str) -> None:
    if state == "unfinished":
        (repeated / "model/training.json").rename(repeated / "model/unfinished.json")
        (folder(repeated, 3) / "training.json").rename(folder(repeated, 3) / "unfinished.json")
        (folder(repeated, 3) / "last.safetensors.partial").write_bytes(b"")
    if state == "begun":
        shutil.rmtree(folder(repeated, 3))
        folder(repeated, 3).mkdir()
    clean(repeated)
    assert not (repeated / "model").exists()


def test_trainings_and_files_of_others_stay(
    repeated: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder(repeated, 2), folder(repeated, 7))  # of another seed than that of a seventh
    folder(repeated, 3).rename(tmp_path / "elsewhere")
    folder(repeated, 3).symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder(repeated, 2) / "notes.txt").write_text("mine")
    (repeated / "model/figures").mkdir()
    (repeated / "model/figures/training.json").write_text("mine")
    clean(repeated)
    others = {
        f"repeat-7/{name}" for name in ("best.safetensors", "last.safetensors", "training.json", "training_log.txt")
    }
    assert left(repeated) == others | {"repeat-2/notes.txt", "figures/training.json"}
    assert len(list((tmp_path / "elsewhere").iterdir())) == 4
    said = capsys.readouterr().out
    assert f"{folder(repeated, 7)}: stays: training.json does not say that it was made from" in said
    assert f"{folder(repeated, 3)}: stays: it is a link to a folder elsewhere" in said


def test_unfinished_work_goes_on_with_another_number_of_trainings(repeated: Workspace) -> None:
    """No training depends on how many there are, so the marker does not name the number."""
    expected = outcome(repeated, "train")
    shutil.rmtree(folder(repeated, 2))
    shutil.rmtree(folder(repeated, 3))
    (repeated / "model/training.json").rename(repeated / "model/unfinished.json")
    assert "repeat" not in document(repeated / "model/unfinished.json")["made_from"]["parameters"]
    repeated.write("train", {**CHANGES, "repeat": 2})
    assert repeated.run("train") == 0
    assert len(open_trainings(repeated / "model")) == 2
    repeated.write("train", CHANGES)
    assert repeated.run("train") == 0
    assert outcome(repeated, "train") == expected
