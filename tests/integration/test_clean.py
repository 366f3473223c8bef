"""`clean` removes what the tasks of a run set left, asks first, and touches nothing else."""

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.cli import main
from cryodenoise.console import Console
from cryodenoise.tasks.clean import clean
from refusals import DOCUMENTS, Refusal, contents
from workspaces import Workspace

FOLDERS = ("raw", "data", "model", "results")
FOLDERS_TASKS = ("download", "preprocess", "train", "test")


def words(workspace: Workspace, *more: str) -> list[str]:
    return ["clean", str(workspace / "run"), "--workspace", str(workspace.root), *more]


def left(workspace: Workspace) -> set[str]:
    """Files that are left beside the run files."""
    return {name for name in contents(workspace.root) if not name.startswith("run/")}


def test_everything_goes_but_the_run_files(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == set()
    assert [path.name for path in finished.root.iterdir()] == ["run"]
    shown = capsys.readouterr().out
    assert f"{finished / 'raw'}: 17 files, " in shown
    assert f"{finished / 'data'}: 11 files, " in shown
    assert main(words(finished, "--yes")) == 0
    assert "nothing" in capsys.readouterr().out
    assert finished.run("download", "preprocess", "train", "test") == 0


@pytest.mark.parametrize(("answer", "goes"), [("y", True), ("YES ", True), ("", False), ("n", False), ("yup", False)])
def test_the_answer_counts(finished: Workspace, answer: str, goes: bool) -> None:
    asked = []

    def ask(question: str) -> str:
        asked.append(question)
        return answer

    before = left(finished)
    clean(finished / "run", finished.root, yes=False, console=Console(), ask=ask)
    assert left(finished) == (set() if goes else before)
    assert len(asked) == 1


def test_an_end_of_input_is_no_yes(finished: Workspace) -> None:
    def ask(_: str) -> str:
        raise EOFError

    before = left(finished)
    clean(finished / "run", finished.root, yes=False, console=Console(), ask=ask)
    assert left(finished) == before


def test_without_a_terminal_it_does_not_guess(finished: Workspace, refuse: Refusal) -> None:
    refuse.command(words(finished), finished.root, "no terminal", "--yes")


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_of_ones_own_stay(finished: Workspace, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    names = ["notes.txt", "mine.mrc", "other.bin", "other.bin.partial", "sub/train_input.bin"]
    for name in names:
        path = finished / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == {f"{folder}/{name}" for name in names}
    shown = capsys.readouterr().out
    assert all(f"stays: {finished / folder / name.split('/')[0]}" in shown for name in names)


def test_files_of_ones_own_beside_those_in_the_folders_of_raw_stay(finished: Workspace) -> None:
    mine = ("raw/truth/mine.mrc", "raw/particles/notes.txt")
    for name in mine:
        (finished / name).write_text("mine")
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == set(mine)


def test_a_folder_of_raw_that_is_a_link_is_not_followed(finished: Workspace, tmp_path: Path) -> None:
    shutil.move(finished / "raw/truth", tmp_path / "truth")
    (finished / "raw/truth").symlink_to(tmp_path / "truth", target_is_directory=True)
    before = contents(tmp_path / "truth")
    assert main(words(finished, "--yes")) == 0
    assert contents(tmp_path / "truth") == before
    assert [path.name for path in (finished / "raw").iterdir()] == ["truth"]


def test_folders_in_which_a_killed_download_put_nothing_go(finished: Workspace) -> None:
    made_from = json.loads((finished / "raw/download.json").read_text())["made_from"]
    shutil.rmtree(finished / "raw")
    (finished / "raw/truth").mkdir(parents=True)
    (finished / "raw/unfinished.json").write_text(json.dumps({"task": "download", "made_from": made_from}))
    assert main(words(finished, "--yes")) == 0
    assert not (finished / "raw").exists()


def test_micrographs_of_ones_own_stay(finished: Workspace) -> None:
    (finished / "raw/download.json").unlink()
    before = contents(finished / "raw")
    assert main(words(finished, "--yes")) == 0
    assert contents(finished / "raw") == before
    assert {name.split("/")[0] for name in left(finished)} == {"raw"}


def test_a_micrograph_that_took_the_place_of_ours_stays(finished: Workspace) -> None:
    (finished / "raw/synthetic_0001.mrc").write_bytes(b"another")
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == {"raw/synthetic_0001.mrc"}


@pytest.mark.parametrize("task", ["download", "preprocess", "train"])
def test_what_another_run_set_made_stays(finished: Workspace, task: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "download": {"synthetic": {"seed": 1}},
        "preprocess": {"noise": {"seed": 1}},
        "train": {"epochs": 9},
    }
    folder = {"download": "raw", "preprocess": "data", "train": "model"}[task]
    before = contents(finished / folder)
    finished.write(task, changes[task])
    assert main(words(finished, "--yes")) == 0
    assert contents(finished / folder) == before
    kept = {name.split("/")[0] for name in left(finished)}
    assert kept == ({folder} if task == "download" else {folder, "results"})
    assert (finished / "logs").is_dir()


def test_a_task_without_a_run_file_in_the_set_keeps_its_folder(finished: Workspace) -> None:
    (finished / "run/download.yaml").unlink()
    assert main(words(finished, "--yes")) == 0
    assert {name.split("/")[0] for name in left(finished)} == {"raw"}


def test_unfinished_work_goes(finished: Workspace) -> None:
    for folder in FOLDERS:
        document = finished / folder / DOCUMENTS[folder]
        made_from = json.loads(document.read_text())["made_from"]
        (finished / folder / "unfinished.json").write_text(json.dumps({"made_from": made_from}))
        if folder != "raw":
            document.unlink()
    (finished / "data/train_input.bin").rename(finished / "data/train_input.bin.partial")
    (finished / "data/journal.jsonl").write_text("{}\n")
    (finished / "data/journal.1.jsonl").write_text("{}\n")
    (finished / "model/last.safetensors.partial").touch()
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == set()


def test_of_an_unfinished_download_goes_what_its_journal_names(finished: Workspace) -> None:
    raw = finished / "raw"
    record = json.loads((raw / "download.json").read_text())
    (raw / "download.json").unlink()
    (raw / "unfinished.json").write_text(json.dumps({"task": "download", "made_from": record["made_from"]}))
    noted = [file for file in record["files"] if "0002" not in file["name"]]
    (raw / "journal.jsonl").write_text("".join(json.dumps({"finished": file}) + "\n" for file in noted) + '{"na')
    (raw / "synthetic_0009.mrc.partial").touch()
    (raw / "truth/synthetic_0009.mrc.partial").touch()
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == {
        "raw/synthetic_0002.mrc", "raw/truth/synthetic_0002.mrc", "raw/particles/synthetic_0002.json",
        "raw/particles/synthetic_0002.star",
    }  # fmt: skip


def test_logs_and_folders_of_others_stay(empty: Workspace) -> None:
    for task in FOLDERS_TASKS:
        empty.write(task)
    (empty / "logs").mkdir()
    (empty / "logs/train.log").write_text("mine\n")
    assert main(words(empty, "--yes")) == 0
    assert (empty / "logs/train.log").read_text() == "mine\n"


def test_the_logs_of_further_processes_go_but_not_those_of_others(finished: Workspace) -> None:
    (finished / "logs/preprocess.1.log").write_text("2026-01-01T00:00:00Z cryodenoise 0.1.0: preprocess\n")
    (finished / "logs/test.1.log").write_text("mine\n")
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == set()
    assert [path.name for path in (finished / "logs").iterdir()] == ["test.1.log"]


@pytest.mark.parametrize("entry", [{"name": "mine.mrc"}, {"name": "notes.txt", "size_bytes": None}])
def test_an_edited_document_decides_nothing(finished: Workspace, entry: dict[str, Any]) -> None:
    path = finished / "raw/download.json"
    document = json.loads(path.read_text())
    document["files"].append({**document["files"][0], **entry})
    path.write_text(json.dumps(document))
    (finished / "raw" / entry["name"]).write_bytes((finished / "raw/synthetic_0000.mrc").read_bytes())
    before = {name for name in left(finished) if name.startswith("raw/")}
    assert main(words(finished, "--yes")) == 0
    assert {name for name in left(finished) if name.startswith("raw/")} == before


def test_files_named_nearly_as_ours_stay(finished: Workspace) -> None:
    for name in ("journal_microscope.jsonl", "synthetic_0000.mrc.partial"):
        (finished / "raw" / name).write_text("mine")
    assert main(words(finished, "--yes")) == 0
    assert left(finished) >= {"raw/journal_microscope.jsonl", "raw/synthetic_0000.mrc.partial"}


def test_links_are_not_followed(finished: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.move(finished / "raw", elsewhere / "raw")
    (finished / "raw").symlink_to(elsewhere / "raw", target_is_directory=True)
    target = elsewhere / "weights"
    (finished / "model/best.safetensors").rename(target)
    (finished / "model/best.safetensors").symlink_to(target)
    before = contents(elsewhere)
    assert main(words(finished, "--yes")) == 0
    assert contents(elsewhere) == before
    assert (finished / "raw").is_symlink()
    assert not (finished / "model").exists()


@pytest.mark.parametrize("name", ["../../precious", "truth/../../../precious"])
def test_a_name_that_leads_out_of_raw_is_not_followed(finished: Workspace, tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").write_text("mine")
    document = finished / "raw/download.json"
    content = json.loads(document.read_text())
    content["files"].append({**content["files"][0], "name": name, "size_bytes": 4})
    document.write_text(json.dumps(content))
    assert main(words(finished, "--yes")) == 0
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_cleaning_that_was_cut_off_is_gone_on_with(finished: Workspace) -> None:
    data = finished / "data"
    (data / "dataset.json").rename(data / "unfinished.json")
    for name in ("train_input.bin", "test_target.xxh3"):
        (data / name).unlink()
    assert main(words(finished, "--yes")) == 0
    assert left(finished) == set()


def test_a_task_at_work_is_not_disturbed(finished: Workspace, refuse: Refusal) -> None:
    descriptor = os.open(finished / "data", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        refuse.command(words(finished, "--yes"), finished.root, str(finished / "data"), "another")
    finally:
        os.close(descriptor)


def test_unusable_places_are_refused(finished: Workspace, refuse: Refusal, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    refuse.command(["clean", str(finished / "run"), "--workspace", nowhere, "--yes"], finished.root, nowhere)
    refuse.command(["clean", nowhere, "--workspace", str(finished.root), "--yes"], finished.root, nowhere)
