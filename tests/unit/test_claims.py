import json
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.claims import MARKER_NAME, claim
from cryodenoise.errors import UserError

MADE_FROM: dict[str, Any] = {"parameters": {"epochs": 5, "noise": {"sigma": 0.05}}, "inputs": {}}


def finish(directory: Path) -> None:
    with claim(directory, "done.json", "train", MADE_FROM) as work:
        work.finish(json.dumps({"made_from": MADE_FROM}))


def enter(directory: Path, made_from: dict[str, Any] = MADE_FROM) -> None:
    with claim(directory, "done.json", "train", made_from):
        pass


def test_new_work_is_neither_finished_nor_resumed_and_leaves_only_its_document(tmp_path: Path) -> None:
    with claim(tmp_path / "a" / "b", "done.json", "train", MADE_FROM) as work:
        assert not work.finished
        assert work.marker.exists()
        work.finish(json.dumps({"made_from": MADE_FROM}))
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["done.json"]


def test_finished_work_is_recognised(tmp_path: Path) -> None:
    finish(tmp_path)
    with claim(tmp_path, "done.json", "train", MADE_FROM) as work:
        assert work.finished


def test_work_that_was_cut_off_is_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claim(tmp_path, "done.json", "train", MADE_FROM):
        (tmp_path / "state").write_text("half")
        raise KeyboardInterrupt
    with claim(tmp_path, "done.json", "train", MADE_FROM) as work:
        assert not work.finished


def test_work_that_failed_before_anything_was_done_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError), claim(tmp_path, "done.json", "train", MADE_FROM):
        (tmp_path / "a.bin.partial").write_text("half")
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("state", ["finished", "unfinished"])
def test_work_made_from_something_else_is_refused_and_kept(tmp_path: Path, state: str) -> None:
    if state == "finished":
        finish(tmp_path)
    else:
        (tmp_path / MARKER_NAME).write_text(json.dumps({"made_from": MADE_FROM}))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    other = {"parameters": {"epochs": 5, "noise": {"sigma": 0.1}}, "inputs": {}}
    with pytest.raises(UserError, match=r"noise\.sigma: 0\.05 there, 0\.1 now"):
        enter(tmp_path, other)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_with_other_files_is_refused_but_logs_and_hidden_files_are_fine(tmp_path: Path) -> None:
    (tmp_path / "train.log").touch()
    (tmp_path / ".hidden").touch()
    finish(tmp_path)
    (tmp_path / "done.json").unlink()
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(UserError, match=r"holds photo\.jpg"):
        enter(tmp_path)


def test_two_tasks_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    with claim(tmp_path, "done.json", "train", MADE_FROM) as work:
        with pytest.raises(UserError, match="another `cryodenoise train`"):
            enter(tmp_path)
        assert work.marker.exists()


def test_a_document_that_is_no_json_is_refused_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "done.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        enter(tmp_path)
    assert (tmp_path / "done.json").read_text() == "{"


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        enter(tmp_path / "file" / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_refused_folder_keeps_what_looks_like_a_journal(tmp_path: Path) -> None:
    for name in ("journal.jsonl", "journal_2024.jsonl", "thesis.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match="did not put there"), claim(tmp_path, "d.json", "download", {}):
        pass
    assert len(list(tmp_path.iterdir())) == 3


def test_folders_in_which_nothing_was_finished_go_with_failed_work(tmp_path: Path) -> None:
    with pytest.raises(UserError), claim(tmp_path, "done.json", "download", MADE_FROM):
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth/a.mrc.partial").touch()
        raise UserError("no")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_part_in_a_folder_keeps_failed_work(tmp_path: Path) -> None:
    with pytest.raises(UserError), claim(tmp_path, "done.json", "download", MADE_FROM):
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth/a.mrc").touch()
        raise UserError("no")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.mrc", "truth", MARKER_NAME]
