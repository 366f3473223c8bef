"""The rules of the logs in a package: each by itself, and against the documents."""

import json
from collections.abc import Iterator
from pathlib import Path

from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.submission import events, log, logs, system
from cryodenoise.submission.package import SYSTEM_NAME, Package


def _of_logs(each: Rule[Path]) -> Rule[Package]:
    """A rule of a log, as one of a package: for all of its logs."""

    def findings(package: Package) -> Iterator[Finding]:
        for training in package.trainings:
            for finding in each.findings(package.path / training.log):
                yield Finding(Path(training.log), finding.problem)

    return Rule(each.identifier, each.sentence, findings)


@rule("LOG-3", "each log tells what training.json, report.json, system.json and manifest.json tell")
def same_as_logged(package: Package) -> Iterator[Finding]:
    """Every line of a log that tells something else."""
    manifest, status = package.manifest, system.status(package.path / SYSTEM_NAME)
    for run in package.runs:
        for training in run.trainings:
            place, finished_ms = Path(training.log), training.record.finished_ms
            found, _ = events.read(package.path / training.log)
            scored_ms = max(found[-1].time_ms, finished_ms) if found else finished_ms  # no document tells it
            own = log.of_result(training.record, run.report, scored_ms)
            expected, _ = events.parse(log.with_submission(own, manifest.organization, manifest.division, status))
            if [event.key for event in found] != [event.key for event in expected]:
                yield Finding(place, "other lines, or in another order, than the log of this training has")
                continue
            for event, its in zip(found, expected, strict=True):
                if event.told() != its.told():
                    told, other = (json.dumps(each.told()) for each in (event, its))
                    yield Finding(place, f"line {event.line}: {told}, expected {other}")


RULES: tuple[Rule[Package], ...] = (*map(_of_logs, logs.RULES), same_as_logged)
