"""The rules of logs."""

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from cryodenoise.evaluation.check import ResultsFolder
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.interruption import held_back
from cryodenoise.submission import log
from cryodenoise.submission.events import parse, read, shown
from cryodenoise.training.check import ModelFolder

COMPLIANCE = Path(__file__).with_name("compliance.yaml")
"""Rules for mlperf-logging's compliance checker."""


def logs_in(results_dir: Path) -> list[Path]:
    """The logs of a folder of results, in the order of their trainings."""
    found = [path for path in results_dir.iterdir() if any(fnmatch(path.name, name) for name in log.RESULT_NAMES)]
    return sorted(found, key=lambda path: (len(path.name), path.name))


@rule("LOG-1", "every line of the log is an event as mllog writes it, finite and without a place on a machine")
def readable(path: Path) -> Iterator[Finding]:
    """Every line that is none."""
    for problem in read(path)[1]:
        yield Finding(path, problem)


@rule("LOG-2", "mlperf-logging's compliance checker passes the log by the rules of compliance.yaml")
def compliant(path: Path) -> Iterator[Finding]:
    """What the checker says; nothing of a log whose lines cannot be read."""
    # Imported here since most commands look at no log.
    from mlperf_logging.compliance_checker.mlp_compliance import make_checker
    from mlperf_logging.compliance_checker.mlp_parser.ruleset_610 import LogLine

    events, problems = read(path)
    if problems:
        return
    # The checker's own parser takes time with the square of a line's length, and gives up at malformed ones.
    lines = [
        LogLine(each.text, float(each.time_ms), each.key, {"value": each.value, "metadata": each.metadata}, each.line)
        for each in events
    ]
    checker = make_checker("training", "6.1.0", quiet=False, werror=True)
    with held_back():  # it catches all exceptions, and so would swallow Ctrl-C
        checker.configured_checks(lines, str(COMPLIANCE))
    for key, message in checker.overwritable.items():
        yield Finding(path, _in_one_line(key, message))
    for message in checker.not_overwritable:
        yield Finding(path, shown(message))


def _in_one_line(key: str, message: str) -> str:
    """What the checker says of a key, without the line of the log and what it dumps of its state."""
    first, *rest = message.splitlines()
    if first.startswith("Failed executing"):
        return shown(f"CHECK for '{key}' cannot be computed, as its value or metadata are of another kind: {rest[0]}")
    return shown(" ".join([first, *(line for line in rest if line.startswith("failed test: "))]))


RULES: tuple[Rule[Path], ...] = (readable, compliant)


@rule("MODEL-5", "training_log.txt tells what follows from training.json")
def of_training(folder: ModelFolder) -> Iterator[Finding]:
    """A log that is missing, or another one."""
    path = folder.path / log.TRAINING_NAME
    try:
        expected, _ = parse(log.of_training(folder.record))
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        yield Finding(path, f"cannot be made from training.json ({shown(str(error))}), expected what a log tells")
        return
    if not path.exists():
        yield Finding(path, "missing, expected the log that `train` writes (scores do not depend on it)")
        return
    events, problems = read(path)
    for problem in problems:
        yield Finding(path, problem)
    if not problems and [each.told() for each in events] != [each.told() for each in expected]:
        yield Finding(path, "tells something else than training.json: altered since it was written")


@rule("RESULTS-3", "there is a log for each training that was scored, and it tells the scores of report.json")
def of_results(folder: ResultsFolder) -> Iterator[Finding]:
    """Logs that are missing, too many, or tell other scores."""
    report = folder.record
    try:
        expected = {log.result_name(n): log.result_of(report, seed) for n, seed in enumerate(log.seeds_of(report))}
    except (ValueError, TypeError, LookupError) as error:
        place = folder.path / log.result_name(0)
        yield Finding(place, f"cannot be told from report.json ({shown(str(error))}), expected scores of trainings")
        return
    for path in logs_in(folder.path):
        if path.name not in expected:
            yield Finding(path, "found a log, but report.json tells of no such training: move it away")
    for number, (name, result) in enumerate(expected.items()):
        path = folder.path / name
        events, problems = read(path)
        yield from (Finding(path, problem) for problem in problems)
        if problems:
            continue
        yield from compliant.findings(path)
        told = {each.key: each.value for each in events}
        if told.get("result") != result or told.get("seed") != result["seed"]:
            yield Finding(path, "its result is not that of report.json: altered since it was written")
        accuracy = [each.value for each in events if each.key == "eval_accuracy"]
        history = report.training.history if report.training else []
        if number == 0 and accuracy != [epoch.validation_psnr_db for epoch in history]:
            yield Finding(path, "its epochs are not those of report.json: altered since it was written")
