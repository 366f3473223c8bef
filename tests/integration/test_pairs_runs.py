"""Pairs with a truth and pairs of halves: scored, planned, drawn, interrupted."""

import json
from pathlib import Path
from signal import SIGKILL

import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.micrographs import mrc
from exposures import FOLDERS, KINDS, exposed, exposure, preprocess, write_exposure
from outcomes import outcome
from processes import Start
from workspaces import Workspace

QUICK = {"epochs": 1, "batch_size": 20}


def samples(workspace: Workspace, stem: str, role: str) -> np.ndarray:
    return np.fromfile(workspace / f"data/{stem}_{role}.bin", "<f4").reshape(-1, 32, 32)


def numpy_scores(noisy: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean squared error of the input, and of the best affine map of it."""
    noisy, other = noisy.astype("f8").ravel(), other.astype("f8").ravel()
    slope, offset = np.polyfit(noisy, other, 1)
    return float(((noisy - other) ** 2).mean()), float(((slope * noisy + offset - other) ** 2).mean())


@pytest.mark.parametrize("kind", ["added_noise", "halves", "truth"])
def test_a_network_that_changes_nothing_scores_as_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    workspace = exposed(tmp_path, "", "even", "odd", "truth")
    if kind == "added_noise":
        assert workspace.run("preprocess") == 0
    else:
        preprocess(workspace, kind)
    workspace.write("train", QUICK)
    assert workspace.run("train") == 0
    monkeypatch.setattr("cryodenoise.tasks.denoisers.load_network", lambda *_: torch.nn.Identity())
    capsys.readouterr()
    assert workspace.run("test") == 0
    shown = capsys.readouterr().out
    report = json.loads((workspace / "results/report.json").read_text())
    assert report["pairs"] == kind
    noisy = samples(workspace, "test", "input")
    roles = {"against_target": "target", **({"against_truth": "truth"} if kind != "truth" else {})}
    for against, role in roles.items():
        scores, methods = report[against]["denoised"], report[against]["methods"]
        of_input, of_wiener = numpy_scores(noisy, samples(workspace, "test", role))
        assert scores == methods["noisy_input"]["scores"]
        assert scores["mse"] == pytest.approx(of_input, rel=1e-9)
        assert methods["scalar_wiener"]["scores"]["mse"] == pytest.approx(of_wiener, rel=1e-9)
        assert methods["noisy_input"]["gain_db"] == 0
        assert methods["scalar_wiener"]["gain_db"] == pytest.approx(10 * np.log10(of_wiener / of_input), rel=1e-9)
    if kind == "truth":
        assert report["against_truth"] is None
        assert "against the target, which is the truth:" in shown
    else:
        assert shown.index("against the truth") < shown.index("against the target:")
        assert report["against_truth"]["denoised"]["mse"] != report["against_target"]["denoised"]["mse"]
    assert not any("itself noisy" in remark for remark in report["remarks"])
    assert any("a classical filter, does better than cnn3" in remark for remark in report["remarks"])
    assert main(["check", str(workspace / "results")]) == 0


def test_without_a_truth_the_report_says_that_the_target_is_noisy(tmp_path: Path) -> None:
    workspace = exposed(tmp_path, "even", "odd")
    preprocess(workspace, "halves")
    workspace.write("train", QUICK)
    assert workspace.run("train", "test") == 0
    report = json.loads((workspace / "results/report.json").read_text())
    assert report["against_truth"] is None
    assert any("itself noisy" in remark for remark in report["remarks"])


@pytest.mark.parametrize("kind", ["truth", "halves", "movies"])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, start: Start, kind: str) -> None:
    straight, killed = (exposed(tmp_path / name, *FOLDERS[kind]) for name in ("straight", "killed"))
    preprocess(straight, kind)
    killed.write("preprocess", KINDS[kind])
    assert start(killed.arguments("preprocess"), "open journal.jsonl 2", SIGKILL).end()[0] == -9
    assert killed.run("preprocess") == 0
    assert outcome(killed, "preprocess") == outcome(straight, "preprocess")


@pytest.mark.parametrize("kind", ["truth", "halves", "movies"])
def test_workers_and_a_survey_change_no_byte(tmp_path: Path, kind: str) -> None:
    plain, surveyed = (exposed(tmp_path / name, *FOLDERS[kind]) for name in ("plain", "surveyed"))
    if kind != "movies":  # a fifth that cannot be used
        write_exposure(surveyed / "raw", "e", exposure(7), *FOLDERS[kind])
        mrc.write(surveyed / "raw" / FOLDERS[kind][1] / "e.mrc", np.full((96, 80), 4e3, np.float32), 1.5)
        if kind == "halves":
            mrc.write(surveyed / "raw/odd/e.mrc", exposure(7).even, 1.5)
    record = preprocess(surveyed, kind, {"on_bad_micrograph": "skip", "workers": 2})
    assert record.identity == preprocess(plain, kind).identity
    assert len(record.skipped) == (kind != "movies")
    assert str(tmp_path) not in (surveyed / "data/dataset.json").read_text()


@pytest.mark.parametrize("kind", ["truth", "halves"])
def test_figures_are_drawn_of_every_kind(tmp_path: Path, kind: str) -> None:
    workspace = exposed(tmp_path, *FOLDERS[kind])
    preprocess(workspace, kind)
    assert main(["inspect", str(workspace / "data"), "--patches=3"]) == 0
    assert len(list((workspace / "figures").glob("*.png"))) == 3


@pytest.mark.parametrize("kind", ["truth", "halves", "movies", "added_noise"])
def test_the_planned_files_are_those_that_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("cryodenoise.estimates.networks._TIMED_S", 1e-9)
    monkeypatch.setattr("cryodenoise.estimates.networks._UNTIMED_STEPS", 0)
    monkeypatch.setattr("cryodenoise.estimates.disks._PROBE_BYTES", 1 << 22)
    workspace = exposed(tmp_path, "movies" if kind == "movies" else "", "even", "odd", "truth")
    workspace.write("preprocess", KINDS.get(kind, {}))
    workspace.write("test")
    words = ["plan", str(workspace / "run"), f"--workspace={workspace.root}", f"--raw_dir={workspace / 'raw'}"]
    capsys.readouterr()
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert workspace.run("preprocess") == 0
    for path in (workspace / "data").iterdir():
        if path.suffix != ".json":
            assert f"{path.stat().st_size:,}  {path.name}\n" in shown
    counts, parts = (20, 2) if kind == "truth" else (20, 3) if kind == "added_noise" else (40, 3)
    assert f"{counts} patches, twice: reads {2 * counts * parts * 4096 / 1e3:.1f} kB" in shown
