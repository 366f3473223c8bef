"""`plan` tells, before anything is written, exactly what the tasks then write, and what does not fit."""

import re
from typing import Any

import pytest

from cryodenoise.cli import main
from refusals import Refusal, contents
from workspaces import Workspace


@pytest.fixture(autouse=True)
def _short_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is no matter here: a step, a megabyte."""
    monkeypatch.setattr("cryodenoise.estimates.networks._TIMED_S", 1e-9)
    monkeypatch.setattr("cryodenoise.estimates.networks._UNTIMED_STEPS", 0)
    monkeypatch.setattr("cryodenoise.estimates.disks._PROBE_BYTES", 1 << 22)


def planned(text: str) -> dict[str, int]:
    """The files of data/ and their lengths."""
    return {name: int(length.replace(",", "")) for length, name in re.findall(r"^ +([\d,]+)  (\w+\.\w+)$", text, re.M)}


def row(text: str, task: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(task + " "))


@pytest.fixture
def run_files(empty: Workspace) -> Workspace:
    """An empty workspace with the run files of the tiny set."""
    for task in ("download", "preprocess", "train", "test"):
        empty.write(task)
    return empty


@pytest.mark.parametrize("changes", [{}, {"dtype": "float16"}, {"patches": {"size_px": 16, "stride_px": 9}}])
def test_the_planned_files_are_those_that_the_tasks_write(
    run_files: Workspace, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    run_files.write("preprocess", changes)
    before = contents(run_files.root)
    assert main(["plan", str(run_files / "run"), "--workspace", str(run_files.root)]) == 0
    assert contents(run_files.root) == before
    assert sorted(path.name for path in run_files.root.iterdir()) == ["run"]
    text = capsys.readouterr().out
    assert "4 micrographs and 4 images that belong to them" in row(text, "download")
    assert " 254.0 kB " in row(text, "download")  # 8 · (1024 + 4 · 96 · 80) bytes
    assert run_files.run("download", "preprocess") == 0
    written = {path.name: path.stat().st_size for path in (run_files / "data").iterdir() if path.suffix != ".json"}
    assert planned(text) == written
    said = capsys.readouterr().out
    counts = re.search(r"patches: (.*?);", said)
    assert counts is not None
    assert f"({counts[1]})" in row(text, "preprocess")


def test_micrographs_of_ones_own_are_planned_from_their_headers(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["plan", str(finished / "run"), f"--workspace={finished.root / 'new'}", f"--raw_dir={finished / 'raw'}"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert not any(line.startswith("download ") for line in text.splitlines())
    assert planned(text)["train_input.bin"] == (finished / "data/train_input.bin").stat().st_size


def test_work_of_another_run_file_is_said_to_be_in_the_way(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    finished.write("preprocess", {"noise": {"seed": 7}})
    assert main(["plan", str(finished / "run"), "--workspace", str(finished.root)]) == 1
    assert f"preprocess: DOES NOT FIT: {finished / 'data'} holds work made from another" in capsys.readouterr().out
    assert finished.run("preprocess") == 2


def test_what_is_left_out_is_not_planned(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    finished.write("preprocess", {"on_bad_micrograph": "skip"})
    (finished / "own").mkdir()
    for number in range(4):
        (finished / f"own/{number}.mrc").write_bytes((finished / f"raw/synthetic_000{number}.mrc").read_bytes())
    (finished / "own/9.mrc").write_bytes(b"MRC")
    words = ["plan", str(finished / "run"), f"--workspace={finished.root / 'new'}", f"--raw_dir={finished / 'own'}"]
    assert main(words) == 0
    assert "4 micrographs" in row(capsys.readouterr().out, "preprocess")


def test_finished_work_is_not_planned_again(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "results/report.json").unlink()
    assert main(["plan", str(finished / "run"), "--workspace", str(finished.root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("download ", "preprocess ", "train ", "test "))] == [
        "test"
    ]
    assert any("20 patches, twice: reads 491.5 kB" in line for line in lines)


def test_a_run_set_for_data_that_is_there_needs_no_micrographs(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("download", "preprocess"):
        (finished / f"run/{name}.yaml").unlink()
    (finished / "model/training.json").unlink()
    assert main(["plan", str(finished / "run"), "--workspace", str(finished.root)]) == 0
    assert "2 epochs of 40 patches and 20 for validation: reads 983.0 kB" in capsys.readouterr().out


def test_memory_that_does_not_suffice_is_said(run_files: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    run_files.write("preprocess", {"workers": 256})
    run_files.write("download", {"synthetic": {"micrographs": 10_000, "height_px": 16_384, "width_px": 16_384}})
    assert main(["plan", str(run_files / "run"), "--workspace", str(run_files.root)]) == 1
    text = capsys.readouterr().out
    assert "DOES NOT FIT: memory: 562.0 GiB needed" in text  # 256 × (200 MiB + 2 · 4 · 16384² bytes)
    assert "DOES NOT FIT: disk" in text


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("preprocess", {"normalization": "p96"}, ["normalization", "'p96'", "'p95'"]),
        ("preprocess", {"patches": {"size_px": 128}}, ["size_px", "128", "96 × 80"]),
        ("train", {"model": "cnn4"}, ["model", "'cnn4'", "cnn3"]),
        ("download", {"source": "empire"}, ["source", "'empire'"]),
        ("train", {"epochs": 0}, ["epochs", "0"]),
    ],
)
def test_mistakes_in_run_files_are_found_before_the_work(
    run_files: Workspace, refuse: Refusal, task: str, changes: dict[str, Any], words: list[str]
) -> None:
    run_files.write(task, changes)
    arguments = ["plan", str(run_files / "run"), "--workspace", str(run_files.root)]
    refuse.command(arguments, run_files.root, f"{task}.yaml", *words)


def test_missing_things_are_told(run_files: Workspace, refuse: Refusal) -> None:
    words = ["plan", str(run_files / "run"), "--workspace", str(run_files.root)]
    refuse.command([*words, f"--raw_dir={run_files / 'nowhere'}"], run_files.root, "nowhere", "does not exist")
    refuse.command(["plan", str(run_files / "walk")], run_files.root, "walk", "no run file")
    (run_files / "run/download.yaml").unlink()
    refuse.command(words, run_files.root, "download.yaml", "--raw_dir")
    (run_files / "run/preprocess.yaml").unlink()
    refuse.command(words, run_files.root, "preprocess.yaml", "no dataset")


def test_a_full_disk_is_told_at_once(run_files: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryodenoise.tasks.plan.free_bytes", lambda _: 10**6)
    words = ["plan", str(run_files / "run"), "--workspace", str(run_files.root)]
    refuse.command(words, run_files.root, str(run_files.root), "1.0 MB free")
