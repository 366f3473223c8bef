"""What the task `test` scores: networks, classical filters, images of other programs; and the report of each."""

import json
import math
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from cryodenoise.baselines import BASELINES
from cryodenoise.cli import main
from cryodenoise.config.report import Report
from cryodenoise.evaluation import layout
from cryodenoise.files import sha256_of
from cryodenoise.report import headline
from cryodenoise.training.record import folder_of
from exposures import exposed, exposure, preprocess
from outcomes import outcome
from refusals import contents
from workspaces import NOTHING, Workspace

QUICK = [name for name, baseline in BASELINES.items() if not baseline.slow]
SLOW = "tv"
NET = """
import torch
from torch import nn

class Pasting(nn.Module):
    def __init__(self, height):
        super().__init__()
        self.scale = nn.Conv2d(1, 1, 1)
        blob = torch.zeros(1, 1, 32, 32)
        blob[..., 10:20, 12:18] = height
        self.register_buffer("blob", blob)

    def forward(self, noisy):
        return self.scale(noisy) + self.blob

def build(height):
    return Pasting(height)
"""


def score(workspace: Workspace, *options: str, model: bool = True) -> dict[str, Any]:
    """Run the task, with or without a model_dir; its report."""
    words = [word for word in workspace.arguments("test") if model or not word.startswith("--model_dir=")]
    if not (workspace / "run/test.yaml").exists():
        workspace.write("test")
    assert main([*words, *options]) == 0
    report: dict[str, Any] = json.loads((workspace / "results/report.json").read_text())
    return report


def patches(workspace: Workspace, role: str) -> np.ndarray:
    """The images of the test split, float32 of shape (n, 32, 32)."""
    return np.fromfile(workspace / f"data/test_{role}.bin", "<f4").reshape(-1, 32, 32)


def predicted(workspace: Workspace, images: np.ndarray, suffix: str = ".bin") -> str:
    """Write images as another program would; the option that names their folder."""
    path = workspace / f"predictions/test_denoised{suffix}"
    path.parent.mkdir()
    if suffix == ".bin":
        images.astype("<f4").tofile(path)
    elif suffix == ".npy":
        np.save(path, images)
    else:
        mrcfile.write(path, images)
    return f"--predictions={path.parent}"


def same(found: Any, expected: Any, rel: float = 1e-6) -> None:
    """Hold JSON values against each other, numbers within rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            same(found[key], expected[key], rel)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other, rel)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=rel, abs=rel)
    else:
        assert found == expected


@pytest.mark.parametrize("name", [*QUICK, SLOW])
def test_a_filter_is_scored_without_a_training_as_it_is_beside_one(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    preprocessed.write("test", {"model": f"baseline/{name}", "slow_patches": 2 if name == SLOW else 0})
    report = score(preprocessed, model=False)
    denoiser, scores = report["denoiser"], report["against_target"]
    assert (denoiser["kind"], denoiser["name"]) == ("baseline", BASELINES[name].title)
    assert (denoiser["parameters"], denoiser["sha256"]) == (None, None)
    assert (report["training"], report["across_seeds"]) == (None, None)
    assert report["made_from"]["inputs"]["baseline"] == name
    row = scores["methods"]["noisy_input" if name == "identity" else name]
    assert row["found"] == denoiser["found"]
    if name == SLOW:
        assert (row["samples"], len(report["subset"])) == (2, 2)
    else:
        same(scores["denoised"], row["scores"], 1e-12)
    assert row["gain_db"] == pytest.approx(0, abs=1e-9)
    blank = report["blank"]
    beside = {"identity": 1.0, SLOW: blank["energy"], **blank["energy_of_baselines"]}
    assert blank["energy"] == pytest.approx(beside[name], rel=1e-9)
    assert BASELINES[name].title in capsys.readouterr().out
    before = contents(preprocessed.root)
    score(preprocessed, model=False)
    assert "nothing to do" in capsys.readouterr().out
    assert contents(preprocessed.root) == before


@pytest.mark.parametrize("suffix", [".bin", ".npy", ".mrc"])
def test_the_inputs_as_predictions_score_as_the_noisy_input(preprocessed: Workspace, suffix: str) -> None:
    option = predicted(preprocessed, patches(preprocessed, "input"), suffix)
    report = score(preprocessed, option, model=False)
    name = f"test_denoised{suffix}"
    digest = sha256_of(preprocessed / f"predictions/{name}")
    assert report["denoiser"] == {
        "kind": "predictions", "name": name, "parameters": None, "found": {}, "sha256": digest
    }  # fmt: skip
    assert report["made_from"]["inputs"]["predictions"] == digest
    assert (report["training"], report["blank"], report["across_seeds"]) == (None, None, None)
    for against in ("against_target", "against_truth"):
        row = report[against]["methods"]["noisy_input"]
        assert row["gain_db"] == 0
        assert row["scores"] == report[against]["denoised"]
        assert report[against]["spectra"]["denoised"] == report[against]["spectra"]["noisy_input"]
        assert set(report[against]["spectra"]["residual_power"]) == {0}


@pytest.mark.parametrize("role", ["target", "truth"])
def test_predictions_without_error_have_neither_psnr_nor_gain(preprocessed: Workspace, role: str) -> None:
    preprocessed.write("test", {"figures": True})
    report = score(preprocessed, predicted(preprocessed, patches(preprocessed, role)), model=False)
    exact = report[f"against_{role}"]
    scores = exact["denoised"]
    assert (scores["mse"], scores["mae"], scores["psnr_db"], scores["patch_psnr_db"]) == (0, 0, None, None)
    assert scores["ssim"]["min"] == pytest.approx(1)
    assert {method["gain_db"] for method in exact["methods"].values()} == {None}
    other = report["against_truth" if role == "target" else "against_target"]
    difference = patches(preprocessed, "target").astype("f8") - patches(preprocessed, "truth")
    assert other["denoised"]["mse"] == pytest.approx((difference**2).mean(), rel=1e-9)
    assert main(["check", str(preprocessed / "results")]) == 0


def test_an_empty_folder_of_predictions_counts_as_none(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (finished / "predictions").mkdir()
    score(finished, f"--predictions={finished / 'predictions'}")
    assert "nothing to do" in capsys.readouterr().out


def test_scores_that_have_no_page_yet_say_how_to_make_it(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    finished.write("test", {"figures": True})
    score(finished)
    assert f"`cryodenoise report {finished / 'results'}`" in capsys.readouterr().out


def test_trainings_that_differ_by_their_seed_are_told_of_together(preprocessed: Workspace) -> None:
    preprocessed.write("train", {"epochs": 1, "repeat": 3, "seed": 7})
    assert preprocessed.run("train") == 0
    report = score(preprocessed)
    spread, scores = report["across_seeds"], report["against_truth"]
    psnrs = spread["psnr_db"]
    assert spread["seeds"] == [7, 8, 9]
    assert psnrs[0] == pytest.approx(scores["denoised"]["psnr_db"], rel=1e-12)
    assert spread["mean_db"] == pytest.approx(np.mean(psnrs), rel=1e-12)
    assert spread["standard_deviation_db"] == pytest.approx(np.std(psnrs, ddof=1), rel=1e-12)
    low, high = scipy.stats.t.interval(0.95, 2, loc=np.mean(psnrs), scale=scipy.stats.sem(psnrs))
    assert (spread["interval_db"]["low"], spread["interval_db"]["high"]) == pytest.approx((low, high), rel=1e-9)
    best = scores["methods"][scores["best_baseline"]]
    assert spread["gain_mean_db"] == pytest.approx(np.mean(psnrs) - best["scores"]["psnr_db"], rel=1e-9)
    assert len(report["made_from"]["inputs"]["weights"]) == 3
    for name in ("model", "results"):
        (preprocessed / name).rename(preprocessed / f"{name}-of-three")
    folder_of(preprocessed / "model-of-three", 3).rename(preprocessed / "model")
    third = score(preprocessed)
    assert third["against_truth"]["denoised"]["psnr_db"] == pytest.approx(psnrs[2], rel=1e-9)
    assert third["across_seeds"] is None


def test_figures_are_made_with_the_report_or_later_and_are_the_same(finished: Workspace) -> None:
    results = finished / "results"
    assert {path.name for path in results.iterdir()} == {"report.json", "measures.npz", "result_0.txt"}
    assert main(["report", str(results)]) == 0
    later = contents(results)
    finished.write("test", {"figures": True})
    again = [word.replace(str(results), str(finished / "elsewhere")) for word in finished.arguments("test")]
    assert main(again) == 0
    at_once = contents(finished / "elsewhere")
    assert at_once.keys() == later.keys()
    made = {(Path(name).parent.name, Path(name).suffix) for name in later}
    assert made >= {("", ".html"), ("figures", ".png"), ("figures", ".pdf"), ("tables", ".md"), ("tables", ".tex")}
    assert main(["report", str(finished / "elsewhere"), f"--output_dir={finished / 'rebuilt'}"]) == 0
    rebuilt = contents(finished / "rebuilt")
    assert rebuilt == {name: content for name, content in at_once.items() if name in rebuilt}
    assert at_once.keys() - rebuilt.keys() == {"report.json", "measures.npz", "result_0.txt"}
    assert at_once["measures.npz"] == later["measures.npz"]
    assert main(["check", str(finished.root)]) == 0
    assert main(["check", str(finished / "elsewhere")]) == 0
    assert main(["clean", str(finished / "run"), f"--workspace={finished.root}", "--yes"]) == 0
    assert not results.exists()


@pytest.mark.parametrize("with_truth", [True, False])
def test_halves_estimate_the_error_against_the_truth(tmp_path: Path, with_truth: bool) -> None:
    exposures = {f"{number:02}": exposure(number) for number in range(10)}
    workspace = exposed(tmp_path, "even", "odd", *(["truth"] * with_truth), exposures=exposures)
    record = preprocess(workspace, "halves", {"split": {"test_fraction": 0.5}, "patches": {"stride_px": 32}})
    noisy, other = (patches(workspace, role).astype("f8") for role in ("input", "target"))
    denoised = scipy.ndimage.gaussian_filter(noisy, (0, 1, 1)).astype("f4")
    report = score(workspace, predicted(workspace, denoised), model=False)
    halves = report["halves"]
    power = ((noisy - other) ** 2).mean(axis=(1, 2)) / 2
    estimated = ((denoised - other) ** 2).mean(axis=(1, 2)) - power
    assert halves["mse"] == pytest.approx(estimated.mean(), rel=1e-9)
    assert halves["noise_power"] == pytest.approx(power.mean(), rel=1e-9)
    assert halves["psnr_db"] == pytest.approx(-10 * math.log10(estimated.mean()), rel=1e-9)
    assert halves["mse_interval"]["low"] < halves["mse"] < halves["mse_interval"]["high"]
    assert report["intervals_missing"] is None
    if not with_truth:
        assert report["against_truth"] is None
        return
    true = ((denoised.astype("f8") - patches(workspace, "truth")) ** 2).mean(axis=(1, 2))
    assert report["against_truth"]["denoised"]["mse"] == pytest.approx(true.mean(), rel=1e-9)
    pairs = np.array(list(layout.partners(record).items()))
    assert len(pairs) == 5 * 6
    off = (estimated - true)[pairs].mean(axis=1)  # places do not overlap, so they are independent
    assert abs(off.mean()) < 5 * scipy.stats.sem(off)
    assert 5 * scipy.stats.sem(off) < 0.5 * true.mean(), "else the bound says nothing"


def test_two_runs_and_any_batch_size_give_the_same_report(finished: Workspace) -> None:
    first = outcome(finished, "test")
    for batch_size in (4, 1, 3, 16):
        finished.write("test", {"batch_size": batch_size})
        (finished / "results").rename(finished / f"before-{batch_size}")
        score(finished)
        again = outcome(finished, "test")
        if batch_size == 4:
            assert again == first
        report, expected = (dict(each["results/report.json"]) for each in (again, first))
        for each in (report, expected):
            each.pop("measures_sha256")
        same(report, expected)


@pytest.mark.parametrize("height", [0.0, 0.5])
def test_a_network_that_draws_what_is_not_there_is_found_out(preprocessed: Workspace, height: float) -> None:
    (preprocessed / "code").mkdir()
    (preprocessed / "code/net.py").write_text(NET)
    model = {"import": "net:build", "arguments": {"height": height}}
    preprocessed.write("train", {"model": model, "epochs": 1, "micro_batch_size": 4})
    code = f"--code_dir={preprocessed / 'code'}"
    assert main([*preprocessed.arguments("train"), code]) == 0
    report = score(preprocessed, code)
    blank = report["blank"]
    told = [remark for remark in report["remarks"] if "draws the same under independent noises" in remark]
    assert len(told) == (height > 0)
    if height:
        assert blank["correlation"] > 0.5
    else:
        assert abs(blank["correlation"]) < 5 * blank["correlation_error"]


def test_of_white_noise_the_headline_names_the_filter_that_is_better(
    empty: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.write("download", {"synthetic": NOTHING})
    empty.write("test", {"figures": True})
    assert empty.run("download", "preprocess", "train", "test") == 0
    report = Report.load_document(empty / "results/report.json")
    assert report.against_truth
    best = report.against_truth.methods[report.against_truth.best_baseline]
    assert best.gain_db is not None
    assert best.gain_db < 0, "no network gains on noise without neighbours"
    told = headline.of_report(report)
    assert told.over == best.title
    assert told.gain == f"\N{MINUS SIGN}{-best.gain_db:.2f} dB"
    assert f"higher than that of the best classical baseline, {best.title}" in told.sentences[0]
    shown = capsys.readouterr().out
    assert f"gains {best.gain_db:+.2f} dB over the best classical baseline, {best.title}, against the truth" in shown
    assert told.gain in (empty / "results/report.html").read_text()
