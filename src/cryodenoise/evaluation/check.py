"""The rules of results/."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.config.report import Report, ScoreSet
from cryodenoise.evaluation.score import gain_db
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.metrics.accumulate import psnr_db

_DOCUMENT_NAME = "report.json"


@dataclass(frozen=True)
class ResultsFolder:
    """A folder and what its report.json says."""

    path: Path
    record: Report


@rule("RESULTS-1", "the scores of report.json fit each other: RMSE, PSNR and gains follow from the squared errors")
def consistent(folder: ResultsFolder) -> Iterator[Finding]:
    """Every score that does not follow from those it is made of."""
    report, place = folder.record, folder.path / _DOCUMENT_NAME
    follow: dict[str, tuple[float | None, float | None]] = {}
    for against in ("against_target", "against_truth"):
        sets: ScoreSet | None = getattr(report, against)
        if sets is None:
            continue
        references = {name: getattr(sets, name) for name in ("denoised", "noisy_input", "scalar_wiener")}
        for name, scores in references.items():
            follow[f"{against}.{name}.rmse"] = scores.rmse, math.sqrt(scores.mse)
            follow[f"{against}.{name}.psnr_db"] = scores.psnr_db, psnr_db(scores.mse)
        over_input, over_wiener = (gain_db(sets.denoised, other) for other in (sets.noisy_input, sets.scalar_wiener))
        follow[f"{against}.gain_over_input_db"] = sets.gain_over_input_db, over_input
        follow[f"{against}.gain_over_scalar_wiener_db"] = sets.gain_over_scalar_wiener_db, over_wiener
    for key, (found, expected) in follow.items():
        if (found is None) != (expected is None) or (
            found is not None and expected is not None and not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
        ):
            yield Finding(place, f"{key}: {found}, expected {expected}: edited since it was written")


RULES: tuple[Rule[ResultsFolder], ...] = (consistent,)
