"""The line that says whether a run came to the reference's data and scores."""

from typing import Any

import numpy as np
import pytest

import reports
from cryodenoise.config.documents import MadeFrom
from cryodenoise.config.reference import Reference, ReferenceRun
from cryodenoise.config.report import Report
from cryodenoise.config.scores import Interval, SeedSpread
from cryodenoise.submission import reference_sets, reproduced

REPORT = reports.report()
assert REPORT.against_truth is not None
assert REPORT.against_truth.denoised.psnr_db is not None
PSNR_DB = REPORT.against_truth.denoised.psnr_db
RUN_FILES: dict[str, dict[str, Any]] = {
    "download": {"source": "synthetic"},
    "preprocess": {"normalization": "p1_p99"},
    "train": {"model": "cnn3", "epochs": 8, "precision": "fp32"},
}
IDENTITY = "7e" * 32


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeds 42 to 44 of a set called made_up; seed 42 has the PSNR of the made-up report."""
    scores = {42: PSNR_DB, 43: PSNR_DB + 0.1, 44: PSNR_DB - 0.1}
    monkeypatch.setattr(reference_sets, "all", lambda: (made_up(scores),))


def made_up(scores: dict[int, float], **changes: Any) -> Reference:
    fields: dict[str, Any] = {
        "format": Reference.FORMAT, "format_version": Reference.VERSION, "name": "made_up", "track": "truth",
        "runs_required": 1, "dataset_identity": IDENTITY, "test_digest": "ab" * 32, **RUN_FILES, "parameters": 2625,
        "runs": [ReferenceRun(seed=seed, psnr_db=psnr_db) for seed, psnr_db in scores.items()], "tolerance_db": 0.02,
        "environment": {},
    }  # fmt: skip
    return Reference(**{**fields, **changes})


def report(seed: int = 42, train: dict[str, Any] | None = None, **changes: Any) -> Report:
    training = reports.training().model_copy(
        update={"made_from": MadeFrom(parameters={**RUN_FILES["train"], "seed": seed, **(train or {})})}
    )
    fields: dict[str, Any] = {
        "download": MadeFrom(parameters=RUN_FILES["download"]),
        "preprocess": MadeFrom(parameters=RUN_FILES["preprocess"]),
        "training": training,
        "dataset_identity": IDENTITY,
    }
    return REPORT.model_copy(update={**fields, **changes})


def several(scores: dict[int, float]) -> SeedSpread:
    values = list(scores.values())
    return SeedSpread(
        seeds=list(scores), psnr_db=values, mean_db=float(np.mean(values)),
        standard_deviation_db=float(np.std(values, ddof=1)), interval_db=Interval(low=0.0, high=1.0), gain_mean_db=0.0,
    )  # fmt: skip


def test_the_same_data_and_score_are_reproduced() -> None:
    assert reproduced.line(report()) == (
        "reproduced: dataset identity as in reference/made_up.json; "
        f"PSNR {PSNR_DB:.3f} dB, reference {PSNR_DB:.3f} dB for seed 42, tolerance 0.02 dB"
    )


@pytest.mark.parametrize(("away_db", "holds"), [(0.019, True), (-0.019, True), (0.021, False), (-0.021, False)])
def test_scores_are_reproduced_within_the_tolerance(
    away_db: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_sets, "all", lambda: (made_up({42: PSNR_DB - away_db, 43: PSNR_DB}),))
    line = reproduced.line(report())
    assert line is not None
    if holds:
        assert line.startswith("reproduced: ")
    else:
        assert line == (
            f"NOT reproduced: PSNR {PSNR_DB:.3f} dB, reference {PSNR_DB - away_db:.3f} dB for seed 42, "
            f"off by {away_db:+.3f} dB, tolerance 0.02 dB"
        )


def test_another_dataset_is_told_and_scores_that_hold_are_not() -> None:
    assert reproduced.line(report(dataset_identity="12" * 32)) == (
        "NOT reproduced: dataset identity 1212121212121212…, that of reference/made_up.json is 7e7e7e7e7e7e7e7e…"
    )


def test_a_seed_without_reference_is_held_against_the_spread() -> None:
    line = reproduced.line(report(seed=60))
    reach = 9.925 * 0.1 * (4 / 3) ** 0.5  # Student's t with 2 degrees of freedom, two-sided 99 %
    assert line == (
        f"reproduced: dataset identity as in reference/made_up.json; PSNR {PSNR_DB:.3f} dB within {PSNR_DB:.3f} ± "
        f"{reach:.3f} dB, in which 99% of trainings fall: no reference for seed 60"
    )


def test_a_seed_without_reference_may_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {42: PSNR_DB + 1, 43: PSNR_DB + 1.01, 44: PSNR_DB + 0.99}
    monkeypatch.setattr(reference_sets, "all", lambda: (made_up(scores),))
    line = reproduced.line(report(seed=60))
    assert line is not None
    assert line.startswith(f"NOT reproduced: PSNR {PSNR_DB:.3f} dB not within {PSNR_DB + 1:.3f} ± ")


def test_several_seeds_are_told_by_the_one_that_differs_the_most() -> None:
    near = {42: PSNR_DB + 0.001, 43: PSNR_DB + 0.095, 44: PSNR_DB - 0.1}
    assert reproduced.line(report(across_seeds=several(near))) == (
        "reproduced: dataset identity as in reference/made_up.json; "
        f"PSNR {PSNR_DB + 0.095:.3f} dB, reference {PSNR_DB + 0.1:.3f} dB for seed 43, which differs the most of 3, "
        "tolerance 0.02 dB"
    )
    far = {42: PSNR_DB, 43: PSNR_DB, 60: PSNR_DB}
    line = reproduced.line(report(across_seeds=several(far)))
    assert line is not None
    assert line.startswith(
        f"NOT reproduced: PSNR {PSNR_DB:.3f} dB, reference {PSNR_DB + 0.1:.3f} dB for seed 43, off by "
    )


@pytest.mark.parametrize(
    "other",
    [
        {"training": None},
        {"download": None},
        {"download": MadeFrom(parameters={"source": "local"})},
        {"preprocess": MadeFrom(parameters={"normalization": "p95"})},
        {"train": {"precision": "bf16"}},
        {"train": {"epochs": 9}},
    ],
)
def test_nothing_is_said_of_other_run_files(other: dict[str, Any]) -> None:
    assert reproduced.line(report(**other)) is None


@pytest.mark.parametrize("missing", [{"dataset_identity": None}, {"runs": []}])
def test_nothing_is_said_of_a_set_that_was_not_measured(
    missing: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_sets, "all", lambda: (made_up({42: PSNR_DB, 43: PSNR_DB}, **missing),))
    assert reproduced.line(report()) is None


def test_a_score_without_error_is_not_reproduced() -> None:
    assert REPORT.against_truth is not None
    exact = REPORT.against_truth.denoised.model_copy(update={"mse": 0.0, "psnr_db": None})
    line = reproduced.line(report(against_truth=REPORT.against_truth.model_copy(update={"denoised": exact})))
    assert line == "NOT reproduced: no error at all, and so no PSNR"
