"""Training and scoring leave logs that mlperf-logging's own checker passes, and that tell what the documents tell."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT

import pytest

from cryodenoise.cli import main
from cryodenoise.submission import log, logs
from cryodenoise.submission.events import Event, read
from processes import Start
from refusals import Refusal, edit
from workspaces import Workspace


def events(path: Path) -> list[Event]:
    found, problems = read(path)
    assert problems == []
    return found


def compliant(path: Path) -> bool:
    """What mlperf-logging's own command says."""
    words = ["--config", str(logs.COMPLIANCE), "--log_output", os.devnull, "--werror", str(path)]
    run = [sys.executable, "-m", "mlperf_logging.compliance_checker", *words]
    return subprocess.run(run, capture_output=True, check=False).returncode == 0


def test_the_logs_pass_and_tell_what_the_documents_tell(finished: Workspace) -> None:
    training = json.loads((finished / "model/training.json").read_text())
    report = json.loads((finished / "results/report.json").read_text())
    result = finished / "results/result_0.txt"
    assert compliant(result)
    told = {event.key: event.value for event in events(result)}
    assert told["seed"] == 42
    assert told["train_samples"] == 40
    assert told["eval_samples"] == 20
    assert told["submission_platform"] == training["device"]
    accuracy = [event.value for event in events(result) if event.key == "eval_accuracy"]
    assert accuracy == [epoch["validation_psnr_db"] for epoch in training["history"]]
    assert told["result"]["psnr_db"] == report["against_truth"]["denoised"]["psnr_db"]
    assert told["result"]["patches_per_s"] == report["resources"]["patches_per_s"]
    of_training = (finished / "model/training_log.txt").read_bytes()
    assert result.read_bytes().startswith(of_training)
    times = [event.time_ms for event in events(result)]
    assert times == sorted(times)
    assert times[-2] == training["finished_ms"]
    assert training["initialization_s"] > 0


def test_no_log_names_a_place_on_this_machine(finished: Workspace) -> None:
    for name in ("model/training_log.txt", "results/result_0.txt"):
        text = (finished / name).read_text()
        assert str(finished.root) not in text
        assert str(Path(log.__file__).parents[2]) not in text
        assert '"/' not in text


def test_the_tasks_again_leave_logs_as_they_are(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [finished / "model/training_log.txt", finished / "results/result_0.txt"]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    assert finished.run("train", "test") == 0
    assert capsys.readouterr().out.count("nothing to do") == 2
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths] == before


def test_every_training_has_its_log(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(finished / "results")
    alone = (finished / "model/training_log.txt").read_bytes()
    finished.write("train", {"repeat": 3})
    assert finished.run("train", "test") == 0
    assert (finished / "model/training_log.txt").read_bytes() == alone
    report = json.loads((finished / "results/report.json").read_text())
    assert [path.name for path in logs.logs_in(finished / "results")] == [f"result_{n}.txt" for n in range(3)]
    for number, folder in enumerate(("model", "model/repeat-2", "model/repeat-3")):
        path = finished / f"results/result_{number}.txt"
        assert compliant(path)
        assert path.read_bytes().startswith((finished / folder / "training_log.txt").read_bytes())
        result = events(path)[-1].value
        assert result["seed"] == 42 + number
        assert result["psnr_db"] == report["across_seeds"]["psnr_db"][number]
        assert ("mse" in result) is (number == 0)
    capsys.readouterr()
    assert main(["check", str(finished.root)]) == 0
    assert main(["check_logs", f"--results_dir={finished / 'results'}"]) == 0
    assert capsys.readouterr().out.count("ok " + str(finished / "results/result_")) == 3


def test_a_folder_with_weights_and_training_json_alone_is_scored_with_its_log(finished: Workspace) -> None:
    result = (finished / "results/result_0.txt").read_bytes().splitlines()
    (finished / "model/training_log.txt").unlink()
    shutil.rmtree(finished / "results")
    assert finished.run("test") == 0
    again = (finished / "results/result_0.txt").read_bytes().splitlines()
    assert again[:-1] == result[:-1]


def test_filters_have_no_log_and_checking_them_says_so(finished: Workspace, refuse: Refusal) -> None:
    shutil.rmtree(finished / "results")
    finished.write("test", {"model": "baseline/gaussian"})
    assert finished.run("test") == 0
    assert logs.logs_in(finished / "results") == []
    assert main(["check", str(finished / "results")]) == 0
    words = ["check_logs", f"--results_dir={finished / 'results'}"]
    refuse.command(words, finished.root, "holds no log, expected result_0.txt")
    refuse.command([*words[:1], f"--results_dir={finished / 'nowhere'}"], finished.root, "does not exist")


def test_the_log_of_an_interrupted_training_tells_of_every_epoch_once(preprocessed: Workspace, start: Start) -> None:
    preprocessed.write("train", {"epochs": 4})
    assert start(preprocessed.arguments("train"), "step 25", SIGINT).end()[0] == 130
    assert not (preprocessed / "model/training_log.txt").exists()
    assert preprocessed.run("train", "test") == 0
    path = preprocessed / "results/result_0.txt"
    assert compliant(path)
    numbers = [event.metadata["epoch_num"] for event in events(path) if event.key == "epoch_start"]
    assert numbers == [1, 2, 3, 4]
    times = [event.time_ms for event in events(path)]
    assert times == sorted(times)


def without_log(workspace: Workspace) -> None:
    (workspace / "results/result_0.txt").unlink()


def other_score(workspace: Workspace) -> None:
    path = workspace / "results/result_0.txt"
    path.write_text(path.read_text().replace('"psnr_db": ', '"psnr_db": 1'))


def other_report(workspace: Workspace) -> None:
    edit(workspace / "results/report.json", lambda report: report["resources"].update(patches_per_s=1e6))


def without_log_of_training(workspace: Workspace) -> None:
    (workspace / "model/training_log.txt").unlink()


def other_time(workspace: Workspace) -> None:
    edit(workspace / "model/training.json", lambda training: training.update(finished_ms=0))


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (without_log, "RESULTS-3"),
        (other_score, "RESULTS-3"),
        (other_report, "RESULTS-3"),
        (without_log_of_training, "MODEL-5"),
        (other_time, "MODEL-5"),
    ],
)
def test_check_finds_a_log_that_is_missing_or_altered(
    finished: Workspace, capsys: pytest.CaptureFixture[str], damage: Callable[[Workspace], None], rule: str
) -> None:
    damage(finished)
    assert main(["check", str(finished.root)]) == 1
    said = [line.strip().split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert [name for name in said if name in ("MODEL-5", "RESULTS-3")] == [rule]


def test_an_altered_log_is_found_by_check_logs(finished: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    path = finished / "results/result_0.txt"
    path.write_text(path.read_text().replace('"success"', '"aborted"'))
    words = ["check_logs", f"--results_dir={finished / 'results'}", f"--log_dir={finished / 'logs'}"]
    assert main(words) == 1
    said = capsys.readouterr().out
    assert f"LOG-2: {path}: CHECK for 'run_stop' failed in line 27: failed test: " in said
    assert said.endswith("1 finding\n")
    assert "LOG-2" in (finished / "logs/check_logs.log").read_text()
    assert main(["clean", str(finished / "run"), f"--workspace={finished.root}", "--yes"]) == 0
    assert not (finished / "logs").exists()
