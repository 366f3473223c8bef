"""The log of a run, in the lines that MLCommons asks for, which mlperf-logging's `mllog` makes.

A log is made from documents, after the fact. A training may be interrupted and go on, and its log still tells of every
epoch once, since it follows from training.json alone and can be made again from it at any time. Its times are those of
a training without interruptions that ended when this one did: the time of an event is the end, `finished_ms`, less the
seconds of training and validation that lay between, and an epoch's validation begins after its samples divided by its
samples a second.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

from cryodenoise.config.report import Report
from cryodenoise.config.submission import APPLICATION
from cryodenoise.config.training_record import TrainingRecord

TRAINING_NAME = "training_log.txt"
"""The log of a training, in its folder."""
RESULT_NAMES = ("result_[0-9].txt", "result_[1-9][0-9].txt")
"""Patterns of the names of the logs in results/, of trainings together with their scores."""
PREFIX = ":::MLLOG "
"""What each line begins with."""
_NOT_SUBMITTED = "none"
_ROOT = str(Path(__file__).parents[2])


def result_name(number: int) -> str:
    """Name of the log of one of several trainings and its scores, counted from 0."""
    return f"result_{number}.txt"


def of_training(record: TrainingRecord) -> bytes:
    """The log of a training.

    Args:
        record: Its training.json.

    Raises:
        ValueError: If a value is not JSON or not finite.
    """
    log = Log()
    _write_training(log, record)
    return log.content()


def of_result(record: TrainingRecord, report: Report, finished_ms: int) -> bytes:
    """The log of a training and of its scores: the lines of `of_training`, then its result.

    Args:
        record: Its training.json.
        report: The report.json that tells its scores.
        finished_ms: When scoring was finished, in milliseconds since the start of 1970, UTC.

    Raises:
        ValueError: If a value is not JSON or not finite, or the report tells nothing of this training.
    """
    log = Log()
    _write_training(log, record)
    log.event("result", result_of(report, record.made_from.parameters["seed"]), finished_ms)
    return log.content()


def result_of(report: Report, seed: int) -> dict[str, Any]:
    """The scores of one of the trainings that a report tells of: the value of the last line of its log.

    Args:
        report: Of a network.
        seed: Seed of the training. Only the first is scored in full; of the others the PSNR alone is known.

    Returns:
        `against`: `truth` or `target`, what the scores are against: the truth where there is one beside the target;
        `seed`; `psnr_db`; and of the first `mse`, `ssim` and `correlation` (means over patches), `gain_db` over
        `best_baseline`, `patches_per_s`, `peak_host_memory_bytes`, `peak_device_memory_bytes`.

    Raises:
        ValueError: If the report tells of no training of that seed.
    """
    sets = report.against_truth or report.against_target
    result: dict[str, Any] = {"against": "truth" if report.against_truth else "target", "seed": seed}
    first, *others = seeds_of(report)
    if seed in others and report.across_seeds:
        return result | {"psnr_db": report.across_seeds.psnr_db[1 + others.index(seed)]}
    if seed != first:
        raise ValueError(f"seed {seed}: the report tells of {[first, *others]} only")
    best, took = sets.methods[sets.best_baseline], report.resources
    return result | {
        "psnr_db": sets.denoised.psnr_db,
        "mse": sets.denoised.mse,
        "ssim": sets.denoised.ssim.mean,
        "correlation": sets.denoised.correlation.mean,
        "gain_db": best.gain_db,
        "best_baseline": sets.best_baseline,
        "patches_per_s": took.patches_per_s,
        "peak_host_memory_bytes": took.peak_host_memory_bytes,
        "peak_device_memory_bytes": took.peak_device_memory_bytes,
    }


def seeds_of(report: Report) -> list[int]:
    """Seeds of the trainings that a report tells of, in the order of their logs; none if it is not of a network."""
    if report.training is None:
        return []
    return report.across_seeds.seeds if report.across_seeds else [report.training.made_from.parameters["seed"]]


def with_submission(log: bytes, organization: str, division: str, status: str) -> bytes:
    """A log with who submits it, in which division and as what, and otherwise the same bytes.

    Raises:
        ValueError: If the log does not have exactly one line for each of these, or has one that is not JSON.
    """
    values = {"submission_org": organization, "submission_division": division, "submission_status": status}
    lines, missing = log.split(b"\n"), set(values)
    for index, line in enumerate(lines):
        if line:
            event = json.loads(line.removeprefix(PREFIX.encode()))
            if (key := event["key"]) in values:
                if key not in missing:
                    raise ValueError(f"{key}: found twice, expected one line of it")
                missing.remove(key)
                lines[index] = f"{PREFIX}{json.dumps({**event, 'value': values[key]})}".encode()
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))}: missing, expected a line of it")
    return b"\n".join(lines)


class Log:
    """Lines that mllog makes, kept in memory: it prints nothing and opens no file."""

    def __init__(self) -> None:
        # Imported here since most commands write no log.
        from mlperf_logging.mllog.mllog import MLLogger

        self._lines: list[str] = []
        logger = logging.Logger("cryodenoise")  # one of our own, which nobody's handlers and levels reach
        logger.manager = logging.Manager(logging.RootLogger(logging.INFO))  # nor does logging.disable
        logger.addHandler(_Collector(self._lines))
        # Two calls up is who calls `event`; what is taken off that file's name is a pattern.
        self._mllog = MLLogger(logger, default_stack_offset=2, root_dir=re.escape(_ROOT))

    def event(self, key: str, value: Any, time_ms: int, **metadata: Any) -> None:
        """Note a moment; keys that end in `_start` and `_stop` begin and end an interval.

        Raises:
            ValueError: If the value or metadata are not JSON or not finite: mllog would drop or write it silently.
        """
        try:
            json.dumps([value, metadata], allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{key}: {error}, expected finite JSON values") from error
        kinds = {"start": self._mllog.start, "stop": self._mllog.end}
        before = len(self._lines)
        kinds.get(key.rpartition("_")[2], self._mllog.event)(key, value, metadata, time_ms=time_ms)
        assert len(self._lines) == before + 1, "mllog drops what it cannot write"

    def content(self) -> bytes:
        """The lines so far."""
        return "".join(f"{line}\n" for line in self._lines).encode()


class _Collector(logging.Handler):
    """Appends messages to a list."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(record.getMessage())


def _write_training(log: Log, record: TrainingRecord) -> None:
    parameters, history = record.made_from.parameters, record.history
    total_s = history[-1].elapsed_s

    def at(elapsed_s: float) -> int:
        return record.finished_ms - round(1000 * (total_s - elapsed_s))

    init_ms = at(0.0) - round(1000 * record.initialization_s)
    log.event("submission_benchmark", APPLICATION, init_ms)
    log.event("submission_org", _NOT_SUBMITTED, init_ms)
    log.event("submission_division", _NOT_SUBMITTED, init_ms)
    log.event("submission_version", record.environment["cryodenoise"], init_ms)
    revision = record.environment["source_revision"] or "unknown"
    log.event("submission_github_commit_version", revision, init_ms)
    log.event("submission_status", _NOT_SUBMITTED, init_ms)
    log.event("submission_platform", record.device, init_ms)
    log.event("init_start", None, init_ms)
    log.event("init_stop", None, at(0.0))
    log.event("seed", parameters["seed"], at(0.0))
    log.event("global_batch_size", parameters["batch_size"], at(0.0))
    log.event("opt_name", parameters["optimizer"]["name"], at(0.0))
    log.event("opt_base_learning_rate", parameters["optimizer"]["learning_rate"], at(0.0))
    log.event("train_samples", history[0].samples_seen, at(0.0))
    log.event("eval_samples", record.validation_samples, at(0.0))
    log.event("run_start", None, at(0.0))
    began_s, samples_seen = 0.0, 0
    for epoch in history:
        trained_s = began_s + (epoch.samples_seen - samples_seen) / epoch.train_patches_per_s
        trained_s = min(trained_s, epoch.elapsed_s)  # of two figures rounded each by itself
        log.event("epoch_start", None, at(began_s), epoch_num=epoch.epoch)
        log.event("epoch_stop", None, at(trained_s), epoch_num=epoch.epoch)
        log.event("eval_start", None, at(trained_s), epoch_num=epoch.epoch)
        log.event("eval_stop", None, at(epoch.elapsed_s), epoch_num=epoch.epoch)
        log.event("eval_accuracy", epoch.validation_psnr_db, at(epoch.elapsed_s), epoch_num=epoch.epoch)
        began_s, samples_seen = epoch.elapsed_s, epoch.samples_seen
    log.event("run_stop", None, at(total_s), status="success")
