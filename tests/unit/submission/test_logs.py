"""Logs that somebody altered, or that never were any, give findings and nothing else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import reports
import trained
from cryodenoise.config.documents import MadeFrom
from cryodenoise.evaluation.check import ResultsFolder
from cryodenoise.submission import log, logs
from cryodenoise.training.check import ModelFolder

SOUND = log.of_result(trained.record(), reports.report(), trained.FINISHED_MS)
KEYS = {json.loads(line.removeprefix(log.PREFIX))["key"] for line in SOUND.decode().splitlines()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "result_0.txt"


def findings(path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return [f"{rule.identifier}: {each.problem}" for rule in logs.RULES for each in rule.findings(path)]


def changed(key: str, change: Callable[[dict[str, Any]], object], index: int = 0) -> bytes:
    """The sound log, with one event of a key changed."""
    lines = SOUND.decode().splitlines()
    events = [json.loads(line.removeprefix(log.PREFIX)) for line in lines]
    place = [number for number, event in enumerate(events) if event["key"] == key][index]
    change(events[place])
    lines[place] = log.PREFIX + json.dumps(events[place])
    return ("\n".join(lines) + "\n").encode()


def without(key: str) -> bytes:
    return b"".join(line for line in SOUND.splitlines(keepends=True) if f'"key": "{key}"'.encode() not in line)


def test_a_sound_log_has_no_findings(path: Path) -> None:
    assert findings(path, SOUND) == []
    assert findings(path, log.with_submission(SOUND, "somebody", "open", "onprem")) == []


def test_there_are_the_keys_that_mlcommons_asks_for() -> None:
    assert {f"submission_{what}" for what in ("benchmark", "org", "division", "version", "status", "platform")} < KEYS
    assert "submission_github_commit_version" in KEYS
    assert {f"{what}_{end}" for what in ("init", "run", "epoch", "eval") for end in ("start", "stop")} < KEYS
    assert {"seed", "global_batch_size", "opt_name", "opt_base_learning_rate"} < KEYS
    assert {"train_samples", "eval_samples", "eval_accuracy", "result"} < KEYS
    assert len(KEYS) == 23


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_log_without_a_required_key_fails(path: Path, key: str) -> None:
    assert [line for line in findings(path, without(key)) if line.startswith("LOG-2: Required ") and f"'{key}'" in line]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_line_that_is_there_twice_fails(path: Path, key: str) -> None:
    line = next(line for line in SOUND.splitlines(keepends=True) if f'"key": "{key}"'.encode() in line)
    assert findings(path, SOUND.replace(line, line + line))


def command(path: Path) -> int:
    """The exit code of mlperf-logging's own command."""
    words = ["--config", str(logs.COMPLIANCE), "--log_output", os.devnull, str(path)]
    run = [sys.executable, "-m", "mlperf_logging.compliance_checker", *words]
    return subprocess.run(run, capture_output=True, check=False, cwd=path.parent).returncode


@pytest.mark.parametrize("key", [None, *sorted(KEYS)])
def test_the_checkers_own_command_says_the_same(path: Path, key: str | None) -> None:
    path.write_bytes(without(key) if key else SOUND)
    assert command(path) == (1 if key else 0)


VALUES: dict[str, list[object]] = {
    "submission_benchmark": ["other", None, ["cryodenoise"]],
    "submission_org": ["", " ", None, 7],
    "submission_division": ["Closed", "", None, {}],
    "seed": [-1, 1.0, True, "42", None],
    "global_batch_size": [0, 8.0, None],
    "opt_name": ["", 3],
    "opt_base_learning_rate": [0, -1e-3, "fast"],
    "train_samples": [0, None],
    "eval_samples": [[], False],
    "eval_accuracy": ["21", True, [21.0]],
    "result": [None, [], {}, {"against": "truth", "seed": 42, "psnr_db": "24"}],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in VALUES.items() for value in values])
def test_a_value_of_another_type_or_range_fails(path: Path, key: str, value: object) -> None:
    found = findings(path, changed(key, lambda event: event.update(value=value)))
    assert found
    assert all(len(line) < 400 for line in found)
    assert all(f"LOG-2: CHECK for '{key}' " in line for line in found)


@pytest.mark.parametrize("number", [0, 1, 3, True, "2", None, [2]])
def test_epochs_that_are_out_of_order_fail(path: Path, number: object) -> None:
    for key in ("epoch_start", "epoch_stop", "eval_start", "eval_stop", "eval_accuracy"):
        assert findings(path, changed(key, lambda event: event["metadata"].update(epoch_num=number), 1))
        assert findings(path, changed(key, lambda event: event["metadata"].pop("epoch_num"), 1))


@pytest.mark.parametrize("key", sorted(KEYS - {"result"}))
def test_a_time_before_that_of_the_line_before_fails(path: Path, key: str) -> None:
    first = key == "submission_benchmark"
    earlier = changed(key, lambda event: event.update(time_ms=event["time_ms"] + 10**6 if first else 0))
    assert findings(path, earlier)


def test_an_unsuccessful_training_fails(path: Path) -> None:
    assert findings(path, changed("run_stop", lambda event: event["metadata"].update(status="aborted")))
    assert findings(path, changed("run_stop", lambda event: event["metadata"].pop("status")))


def test_lines_in_another_order_fail(path: Path) -> None:
    lines = SOUND.splitlines(keepends=True)
    for index in range(8, len(lines) - 1):
        if lines[index].split(b'"key"')[1][:20] != lines[index + 1].split(b'"key"')[1][:20]:
            swapped = [*lines[:index], lines[index + 1], lines[index], *lines[index + 2 :]]
            free = all(b'"seed"' in each or b'"global' in each or b'"opt_' in each or b'samples"' in each
                       for each in lines[index : index + 2])  # fmt: skip
            assert bool(findings(path, b"".join(swapped))) is not free


def event(**changes: object) -> bytes:
    base = {"namespace": "", "time_ms": 1, "event_type": "POINT_IN_TIME", "key": "note", "value": 1}
    metadata = {"file": "cryodenoise/submission/log.py", "lineno": 1}
    return (log.PREFIX + json.dumps({**base, "metadata": metadata, **changes})).encode() + b"\n"


STRANGE: dict[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)) * 100,
    "no-newline": b"x" * 1000,
    "text": b"epoch 1: 20 dB\n",
    "nan": SOUND + event().replace(b'"value": 1', b'"value": NaN'),
    "infinite": SOUND + event().replace(b'"value": 1', b'"value": -1e999'),
    "many-digits": SOUND + event().replace(b'"value": 1', b'"value": ' + b"9" * 10_000),
    "deep": SOUND + event().replace(b'"value": 1', b'"value": ' + b"[" * 30_000 + b"]" * 30_000),
    "somewhat-deep": SOUND + event(value=[[[[[[[[[[[1]]]]]]]]]]]),
    "twice": SOUND + event().replace(b'"value": 1', b'"value": 1, "value": 2'),
    "long": SOUND + event(value="x" * 10**6),
    "list": log.PREFIX.encode() + b"[1, 2]\n",
    "number": log.PREFIX.encode() + b"1\n",
    "no-json": log.PREFIX.encode() + b"{\n",
    "other-keys": SOUND + log.PREFIX.encode() + b'{"key": "seed"}\n',
    "another-key": SOUND + event(more=1),
    "key-of-list": SOUND + event(key=["seed"]),
    "kind": SOUND + event(event_type=["x"]),
    "namespace": SOUND + event(namespace="GPU0"),
    "time-of-text": SOUND + event(time_ms="1"),
    "time-of-truth": SOUND + event(time_ms=True),
    "time-without-end": SOUND + event(time_ms=10**30),
    "no-metadata": SOUND + event(metadata=None),
    "no-file": SOUND + event(metadata={"lineno": 1}),
    "absolute": SOUND + event(metadata={"file": "/home/mallory/log.py", "lineno": 1}),
    "upwards": SOUND + event(metadata={"file": "../../log.py", "lineno": 1}),
    "windows": SOUND + event(metadata={"file": "C:\\Users\\mallory\\log.py", "lineno": 1}),
    "carriage-return": SOUND.replace(b"\n", b"\r"),
    "not-ascii": SOUND + event(value="x").replace(b'"x"', '"µ"'.encode()),
    "mllog-failed": SOUND + b"Failed to encode: ['', 1, 'POINT_IN_TIME', 'result', tensor(1.), {}]\n",
    "blank-lines": SOUND + b"\n\n",
    "prefix-often": (log.PREFIX.encode() * 3000 + b"\n") * 20,
    "control": b"\x1b[2J\x07\n",
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_log_gives_findings_in_printable_lines(path: Path, name: str) -> None:
    found = findings(path, STRANGE[name])
    assert found
    assert len(found) < 40
    assert all(line.isprintable() and len(line) < 400 for line in found)
    assert {line[:6] for line in found} == ({"LOG-1:"})


def test_a_log_may_tell_more(path: Path) -> None:
    assert findings(path, SOUND + event()) == []


def test_long_logs_are_not_read(path: Path) -> None:
    assert findings(path, SOUND + b"\n" * 60_000) == ["LOG-1: more than 50000 lines, expected a log"]
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    assert [each.problem for each in logs.readable.findings(path)] == ["longer than 16 MiB, expected a log"]


def test_what_is_no_file_is_a_finding(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder", "nothing"):
        assert [each.problem for each in logs.readable.findings(tmp_path / name)] == ["no file, expected a log"]
        assert list(logs.compliant.findings(tmp_path / name)) == []


def test_of_many_faulty_lines_a_few_are_named(path: Path) -> None:
    line = next(line for line in SOUND.splitlines(keepends=True) if b'"seed"' in line)
    assert len(findings(path, SOUND + line * 4000)) == 1
    found = findings(path, SOUND + b"x\n" * 4000)
    assert len(found) == 21
    assert found[-1] == "LOG-1: and 3980 more lines that are no events"


def test_checking_prints_nothing_and_leaves_no_file(
    path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    assert findings(path, without("seed"))
    assert capfd.readouterr() == ("", "")
    assert list(path.parent.iterdir()) == [path]


def test_logs_come_in_the_order_of_their_trainings(tmp_path: Path) -> None:
    names = ["result_0.txt", "result_2.txt", "result_10.txt", "result_99.txt"]
    for name in [
        *reversed(names),
        "result_x.txt",
        "result_.txt",
        "result_01.txt",
        "result_100.txt",
        "training_log.txt",
    ]:
        (tmp_path / name).touch()
    assert [path.name for path in logs.logs_in(tmp_path)] == names


def of_training(folder: Path, **changes: Any) -> list[str]:
    about = ModelFolder(folder, trained.record(**changes), None, None)
    return [each.problem for each in logs.of_training.findings(about)]


def test_the_log_of_a_training_is_held_against_training_json(tmp_path: Path) -> None:
    path = tmp_path / log.TRAINING_NAME
    assert of_training(tmp_path)[0].startswith("missing")
    path.write_bytes(log.of_training(trained.record()))
    assert of_training(tmp_path) == []
    assert "altered" in of_training(tmp_path, finished_ms=trained.FINISHED_MS + 1)[0]
    path.write_bytes(log.of_training(trained.record()).replace(b'"value": 22.0', b'"value": 23.0'))
    assert "altered" in of_training(tmp_path)[0]
    path.write_bytes(b"nothing\n")
    assert of_training(tmp_path)[0].startswith("line 1: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"made_from": MadeFrom(parameters={})},
        {"made_from": MadeFrom(parameters={"seed": 1, "batch_size": 1, "optimizer": 7})},
        {"environment": {}},
        {"history": [trained.epochs()[0].model_copy(update={"train_patches_per_s": 0.0})]},
        {"history": [trained.epochs()[0].model_copy(update={"elapsed_s": 1e308})]},
    ],
)
def test_a_training_json_that_lacks_what_a_log_tells_is_a_finding(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert "cannot be made from training.json" in of_training(tmp_path, **changes)[0]


def of_results(folder: Path, **changes: Any) -> list[str]:
    history = reports.training().model_copy(update={"history": trained.epochs()})
    about = ResultsFolder(folder, reports.report(**{"training": history, **changes}))
    return [f"{each.place.name}: {each.problem}" for each in logs.of_results.findings(about)]


def test_the_logs_of_results_are_held_against_the_report(tmp_path: Path) -> None:
    path = tmp_path / "result_0.txt"
    assert of_results(tmp_path) == ["result_0.txt: no file, expected a log"]
    path.write_bytes(SOUND)
    assert of_results(tmp_path) == []
    other = log.of_result(trained.record(history=trained.epochs(2)), reports.report(), 0)
    path.write_bytes(other)
    assert "epochs are not those" in of_results(tmp_path)[0]
    path.write_bytes(changed("result", lambda event: event["value"].update(psnr_db=99.0)))
    assert "result is not that of report.json" in of_results(tmp_path)[0]
    path.write_bytes(without("eval_stop"))
    assert any("'eval_stop'" in line for line in of_results(tmp_path))
    path.write_bytes(SOUND)
    (tmp_path / "result_1.txt").write_bytes(SOUND)
    assert of_results(tmp_path)[0].startswith("result_1.txt: found a log, but report.json tells of no such training")


def test_of_several_trainings_each_has_its_log(tmp_path: Path) -> None:
    made, _ = reports.variants()["seeds"]
    changes = {"across_seeds": made.across_seeds}
    for number, seed in enumerate((42, 43, 44)):
        parameters = {**trained.record().made_from.parameters, "seed": seed}
        record = trained.record(made_from=MadeFrom(parameters=parameters))
        (tmp_path / f"result_{number}.txt").write_bytes(log.of_result(record, made, 0))
    assert of_results(tmp_path, **changes) == []
    (tmp_path / "result_1.txt").replace(tmp_path / "result_2.txt")
    found = of_results(tmp_path, **changes)
    assert found[0] == "result_1.txt: no file, expected a log"
    assert found[1].startswith("result_2.txt: its result is not that of report.json")


def test_filters_have_no_logs(tmp_path: Path) -> None:
    assert of_results(tmp_path, training=None) == []
    (tmp_path / "result_0.txt").write_bytes(SOUND)
    assert len(of_results(tmp_path, training=None)) == 1
