"""The command `report`, on folders as `test` leaves them."""

from pathlib import Path

import pytest

import reports
from cryodenoise.cli import main
from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import NAME, Measures, save

TRUTH = reports.images()


def write(folder: Path, report: Report | None = None, measures: Measures | None = None) -> Path:
    """A folder of results."""
    folder.mkdir(parents=True)
    report = report or reports.report(TRUTH)
    sha256 = save(folder / NAME, measures or reports.measures(TRUTH, TRUTH.truth))
    (folder / "report.json").write_text(report.model_copy(update={"measures_sha256": sha256}).dumps())
    return folder


def run(*words: str | Path) -> int:
    return main(["report", *map(str, words)])


def test_one_folder_gets_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write(tmp_path / "results")
    given = {path.name: path.read_bytes() for path in results.iterdir()}
    assert run(results) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{results}/report.html", f"{results}/figures: 18 files", f"{results}/tables: 8 files"]
    page = (results / "report.html").read_bytes()
    assert run(results, "--output_dir", tmp_path / "elsewhere" / "new") == 0
    assert (tmp_path / "elsewhere/new/report.html").read_bytes() == page
    assert {name: (results / name).read_bytes() for name in given} == given


def test_several_folders_get_one_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [write(tmp_path / name) for name in ("a", "b")]
    assert run(*folders) == 2
    assert "2 folders of results, and no --output_dir: give a folder" in capsys.readouterr().err
    assert run(*folders, "--output_dir", tmp_path / "out") == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["comparison.html"]
    page = tmp_path / "out" / "comparison.html"
    assert capsys.readouterr().out == f"run 1: {folders[0]}\nrun 2: {folders[1]}\n{page}\n"
    assert run(folders[0], folders[0], "--output_dir", tmp_path / "out") == 2
    assert "is given twice" in capsys.readouterr().err


def test_what_cannot_be_used_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(results: Path) -> str:
        assert run(results) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert not (results / "report.html").exists()
        return told

    assert "does not exist, expected a folder that `cryodenoise test` wrote" in refused(tmp_path / "none")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "report.json: missing: give a folder" in refused(empty)
    (empty / "unfinished.json").write_text("{}")
    assert "unfinished: run `cryodenoise test` again" in refused(empty)
    other = write(tmp_path / "version")
    document = other / "report.json"
    document.write_text(document.read_text().replace('"format_version": 6', '"format_version": 3'))
    assert "version 3, expected 'cryodenoise/report' version 6: remove the folder and run" in refused(other)
    edited = write(tmp_path / "edited")
    document = edited / "report.json"
    document.write_text(document.read_text().replace('"samples": 20', '"samples": 21'))
    assert "edited since it was written: remove the folder" in refused(edited)
    alone = write(tmp_path / "alone")
    (alone / NAME).rename(tmp_path / NAME)
    assert "measures.npz: missing, though report.json names it" in refused(alone)
    (alone / NAME).write_bytes((tmp_path / NAME).read_bytes()[::-1])
    assert "altered, or of another run" in refused(alone)
    unfit = write(tmp_path / "unfit", reports.report(TRUTH, samples=21))
    assert "scores of 20 patches, but report.json tells of 21" in refused(unfit)
