"""The rules of results/."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.config.report import Report
from cryodenoise.config.scores import AgainstReference
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.metrics.accumulate import gain_db, psnr_db

_DOCUMENT_NAME, _MEASURES_NAME = "report.json", "measures.npz"


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
        sets: AgainstReference | None = getattr(report, against)
        if sets is None:
            continue
        scored = {"denoised": sets.denoised, **{name: method.scores for name, method in sets.methods.items()}}
        for name, scores in scored.items():
            follow[f"{against}.{name}.rmse"] = scores.rmse, math.sqrt(scores.mse)
            follow[f"{against}.{name}.psnr_db"] = scores.psnr_db, psnr_db(scores.mse)
        fitted = {"": sets.affine_fitted}
        fitted |= {f"methods.{name}.": method.affine_fitted for name, method in sets.methods.items()}
        for name, its in fitted.items():
            follow[f"{against}.{name}affine_fitted.psnr_db"] = its.psnr_db, psnr_db(its.mse)
        for name, method in sets.methods.items():
            if method.samples == report.samples:  # of a part of the split it follows from measures.npz alone
                expected = gain_db(sets.denoised.mse, method.scores.mse)
                follow[f"{against}.methods.{name}.gain_db"] = method.gain_db, expected
                expected = gain_db(sets.affine_fitted.mse, method.affine_fitted.mse)
                follow[f"{against}.methods.{name}.affine_fitted_gain_db"] = method.affine_fitted_gain_db, expected
    for key, (found, expected) in follow.items():
        if (found is None) != (expected is None) or (
            found is not None and expected is not None and not math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
        ):
            yield Finding(place, f"{key}: {found}, expected {expected}: edited since it was written")


@rule("RESULTS-2", "measures.npz is the file that report.json speaks of")
def measures(folder: ResultsFolder) -> Iterator[Finding]:
    """A file that is missing or another."""
    path = folder.path / _MEASURES_NAME
    if not path.is_file():
        yield Finding(path, f"missing, though {_DOCUMENT_NAME} names it: {Report.remedy()}")
    elif sha256_of(path) != folder.record.measures_sha256:
        yield Finding(path, f"altered since it was written: {Report.remedy()}")


RULES: tuple[Rule[ResultsFolder], ...] = (consistent, measures)
