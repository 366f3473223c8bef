"""A log tells what the documents tell, in the lines and the order that MLCommons asks for."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reports
import trained
from cryodenoise.config.report import Report
from cryodenoise.config.training_record import Epoch
from cryodenoise.submission import log

START_MS = trained.FINISHED_MS - 27_000


def lines(content: bytes) -> list[dict[str, Any]]:
    assert content.endswith(b"\n")
    return [json.loads(line.removeprefix(log.PREFIX)) for line in content.decode("ascii").splitlines()]


def told(content: bytes) -> dict[str, Any]:
    return {line["key"]: line["value"] for line in lines(content)}


def test_the_log_of_a_training_line_by_line() -> None:
    found = lines(log.of_training(trained.record()))
    head: list[tuple[str, Any, int]] = [
        ("submission_benchmark", "cryodenoise", -500),
        ("submission_org", "none", -500),
        ("submission_division", "none", -500),
        ("submission_version", "0.1.0", -500),
        ("submission_github_commit_version", "5f" * 20, -500),
        ("submission_status", "none", -500),
        ("submission_platform", "A processor of 2 cores", -500),
        ("init_start", None, -500),
        ("init_stop", None, 0),
        ("seed", 42, 0),
        ("global_batch_size", 8, 0),
        ("opt_name", "adam", 0),
        ("opt_base_learning_rate", 1e-3, 0),
        ("train_samples", 160, 0),
        ("eval_samples", 40, 0),
        ("run_start", None, 0),
    ]
    for number in (1, 2, 3):
        begin, end = 9000 * (number - 1), 9000 * number
        head += [
            ("epoch_start", None, begin),
            ("epoch_stop", None, begin + 8000),
            ("eval_start", None, begin + 8000),
            ("eval_stop", None, end),
            ("eval_accuracy", 20.0 + number, end),
        ]
    head.append(("run_stop", None, 27_000))
    assert [(line["key"], line["value"], line["time_ms"] - START_MS) for line in found] == head


def test_kinds_and_metadata() -> None:
    kinds = {"start": "INTERVAL_START", "stop": "INTERVAL_END"}
    epochs = []
    for line in lines(log.of_training(trained.record())):
        assert list(line) == ["namespace", "time_ms", "event_type", "key", "value", "metadata"]
        assert line["event_type"] == kinds.get(line["key"].split("_")[-1], "POINT_IN_TIME")
        metadata = dict(line["metadata"])
        assert metadata.pop("file") == "cryodenoise/submission/log.py"
        assert metadata.pop("lineno") > 100
        if line["key"].startswith(("epoch_", "eval_")) and line["key"] != "eval_samples":
            epochs.append(metadata.pop("epoch_num"))
        assert metadata == ({"status": "success"} if line["key"] == "run_stop" else {})
    assert epochs == [1] * 5 + [2] * 5 + [3] * 5


def test_a_place_with_letters_that_patterns_know_is_left_out_too() -> None:
    place = "/a+b (c)/[d/cryodenoise/submission/log.py"
    moved: dict[str, Any] = {"__name__": "moved", "__file__": place}
    exec(compile(Path(log.__file__).read_text(), place, "exec"), moved)  # noqa: S102
    found = lines(moved["of_training"](trained.record()))
    assert {line["metadata"]["file"] for line in found} == {"cryodenoise/submission/log.py"}


def test_the_same_record_gives_the_same_bytes_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    handlers = list(logging.getLogger().handlers)
    assert log.of_training(trained.record()) == log.of_training(trained.record())
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers


def test_a_switched_off_logging_loses_no_line() -> None:
    logging.disable(logging.WARNING)
    try:
        assert lines(log.of_training(trained.record()))
    finally:
        logging.disable(logging.NOTSET)


def test_an_unknown_revision_is_said_to_be_unknown() -> None:
    record = trained.record(environment={"cryodenoise": "0.1.0", "source_revision": None})
    assert told(log.of_training(record))["submission_github_commit_version"] == "unknown"


@settings(deadline=None, max_examples=50)
@given(
    spent=st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(0, 1e5), st.integers(1, 10**7)), min_size=1, max_size=12),
    initialization_s=st.floats(0, 1e5),
)
def test_times_never_fall(spent: list[tuple[float, float, int]], initialization_s: float) -> None:
    history: list[Epoch] = []
    elapsed_s, seen = 0.0, 0
    for number, (train_s, validation_s, samples) in enumerate(spent, 1):
        elapsed_s, seen = elapsed_s + train_s + validation_s, seen + samples
        changes = {"epoch": number, "elapsed_s": elapsed_s, "samples_seen": seen}
        history.append(trained.epochs(1)[0].model_copy(update={**changes, "train_patches_per_s": samples / train_s}))
    found = lines(log.of_training(trained.record(history=history, initialization_s=initialization_s)))
    times = [line["time_ms"] for line in found]
    assert times == sorted(times)
    assert times[-1] == trained.FINISHED_MS
    assert times[-1] - times[0] == pytest.approx(1000 * (elapsed_s + initialization_s), abs=2)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), [1.0, -float("inf")], {"a": float("nan")}, torch.ones(1), np.float32(1), b"x", {1, 2}],
)
def test_what_is_no_finite_json_is_refused(value: object) -> None:
    for given_as in ({"value": value}, {"value": None, "epoch_num": value}):
        with pytest.raises(ValueError, match=r"^mean: .*expected finite JSON values"):
            log.Log().event("mean", time_ms=0, **given_as)


def test_a_record_with_a_value_that_is_not_finite_gives_no_log() -> None:
    history = trained.epochs()
    history[1] = history[1].model_copy(update={"validation_psnr_db": float("nan")})
    with pytest.raises(ValueError, match="eval_accuracy"):
        log.of_training(trained.record().model_copy(update={"history": history}))


def test_percent_signs_and_other_letters_come_through() -> None:
    name = "GPU 100 %s µ\n"
    assert told(log.of_training(trained.record(device=name)))["submission_platform"] == name


def report(**changes: Any) -> Report:
    return reports.report(**changes)


def test_the_log_of_a_result_is_that_of_the_training_and_the_scores() -> None:
    made = report()
    content = log.of_result(trained.record(), made, trained.FINISHED_MS + 5000)
    training = len(lines(log.of_training(trained.record())))
    assert [line["key"] for line in lines(content)[training:]] == ["result"]
    assert lines(content)[-1]["time_ms"] == trained.FINISHED_MS + 5000
    assert made.against_truth
    truth = made.against_truth
    assert lines(content)[-1]["value"] == {
        "against": "truth",
        "seed": 42,
        "psnr_db": truth.denoised.psnr_db,
        "mse": truth.denoised.mse,
        "ssim": truth.denoised.ssim.mean,
        "correlation": truth.denoised.correlation.mean,
        "gain_db": truth.methods[truth.best_baseline].gain_db,
        "best_baseline": truth.best_baseline,
        "patches_per_s": 35.25,
        "peak_host_memory_bytes": 805306368,
        "peak_device_memory_bytes": None,
    }


def test_without_a_truth_scores_are_against_the_target() -> None:
    made = report(against_truth=None)
    assert log.result_of(made, 42)["against"] == "target"
    assert log.result_of(made, 42)["mse"] == made.against_target.denoised.mse


def test_of_other_seeds_only_the_psnr_is_known() -> None:
    made, _ = reports.variants()["seeds"]
    assert log.seeds_of(made) == [42, 43, 44]
    assert log.result_of(made, 44) == {"against": "truth", "seed": 44, "psnr_db": 24.2}
    with pytest.raises(ValueError, match="seed 45: the report tells of"):
        log.result_of(made, 45)


def test_filters_and_predictions_have_no_trainings() -> None:
    for name in ("baseline", "predictions"):
        assert log.seeds_of(reports.variants()[name][0]) == []


def test_who_submits_changes_three_lines_and_nothing_else() -> None:
    content = log.of_result(trained.record(), report(), trained.FINISHED_MS)
    changed = log.with_submission(content, 'A "B" & Söhne', "closed", "onprem")
    values = {"submission_org": 'A "B" & Söhne', "submission_division": "closed", "submission_status": "onprem"}
    before, after = content.splitlines(), changed.splitlines()
    assert len(before) == len(after)
    for old, new in zip(lines(content), lines(changed), strict=True):
        assert new == {**old, "value": values.get(old["key"], old["value"])}
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 3
    assert log.with_submission(changed, "none", "none", "none") == content


@pytest.mark.parametrize("key", ["submission_org", "submission_division", "submission_status"])
def test_a_log_with_another_number_of_these_lines_is_not_changed(key: str) -> None:
    content = log.of_training(trained.record())
    line = next(line for line in content.splitlines(keepends=True) if key.encode() in line)
    for other, problem in ((content.replace(line, b""), "missing"), (content + line, "twice")):
        with pytest.raises(ValueError, match=f"{key}: .*{problem}|{key}: found {problem}"):
            log.with_submission(other, "a", "open", "b")


def test_neither_commands_nor_logs_wait_for_pandas() -> None:
    code = (
        "import sys; import cryodenoise.cli; import cryodenoise.submission.log\n"
        "assert 'mlperf_logging' not in sys.modules\n"
        "cryodenoise.submission.log.Log()\n"
        "assert 'mlperf_logging' in sys.modules and 'pandas' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
