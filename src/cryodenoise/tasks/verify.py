"""Command `verify`: the scores of a package, recomputed from its weights on one's own copy of the data."""

import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.config.report import Report
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.scores import AgainstReference
from cryodenoise.config.training import Device
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError
from cryodenoise.models.code_folder import require_folder
from cryodenoise.submission.check import checked
from cryodenoise.submission.digests import test_digest
from cryodenoise.submission.package import REPORT_NAME, Package
from cryodenoise.tasks.findings_told import tell
from cryodenoise.tasks.test import test

TOLERANCE_DB = 0.005
"""How far a PSNR or a gain may be off: what sums in another order, and convolutions of another device, explain."""
TOLERANCE = 5e-4
"""Likewise, of SSIM, correlation and edge preservation."""


@dataclass(frozen=True)
class _Figure:
    """A figure of a report: as it was submitted, as it was recomputed, and how far apart they may be."""

    name: str
    submitted: float
    recomputed: float
    tolerance: float
    unit: str

    @property
    def fits(self) -> bool:
        """Whether they are near enough."""
        return math.isclose(self.submitted, self.recomputed, rel_tol=0, abs_tol=self.tolerance)


def verify(package: Path, data_dir: Path, code_dir: Path | None, device: Device, console: Console) -> int:
    """Score the weights of a package again.

    Args:
        package: An archive that `submit` wrote, or the folder in it.
        data_dir: One's own copy of the dataset.
        code_dir: Code of a network of the submitter's own, which then runs here.
        device: Where it is scored.
        console: Takes what is to be said.

    Returns:
        The exit code: 0 if every figure is within its tolerance, else 1.

    Raises:
        UserError: If the data are others than those that were scored.
    """
    require_folder(code_dir)
    dataset = open_dataset(data_dir)
    with checked(package) as outcome:
        if outcome.package is None or outcome.findings:
            tell(outcome, console, held=False)
            console.say("not verified: `check` refuses the package")
            return 1
        far = 0
        for number, run in enumerate(outcome.package.runs):
            found, expected = (test_digest(each) for each in (dataset, run.dataset))
            if found != expected:
                raise UserError(
                    f"{data_dir}: test data {found[:16]}…, but {expected[:16]}… were scored: give the dataset of the "
                    f"run files in run/{outcome.package.manifest.reference_set}"
                )
            recomputed = _score_again(outcome.package, number, data_dir, code_dir, device, console)
            for figure in _figures(run.report, recomputed):
                console.say(
                    f"run {number}: {figure.name}: submitted {figure.submitted:.6g}{figure.unit}, recomputed "
                    f"{figure.recomputed:.6g}{figure.unit}: {'ok' if figure.fits else 'DIFFERS'} by "
                    f"{abs(figure.submitted - figure.recomputed):.2g}, tolerance {figure.tolerance:g}"
                )
                far += not figure.fits
    console.say(f"NOT verified: {far} figures differ" if far else "verified: every figure is within its tolerance")
    return 1 if far else 0


def _score_again(
    package: Package, number: int, data_dir: Path, code_dir: Path | None, device: Device, console: Console
) -> Report:
    """What `test` reports of a run's weights."""
    run = package.runs[number]
    told = {**run.report.made_from.parameters, "figures": False, "device": device}
    with tempfile.TemporaryDirectory(prefix="cryodenoise-") as scratch:
        parameters_file, results_dir = Path(scratch) / "test.yaml", Path(scratch) / "results"
        parameters_file.write_text(json.dumps(TestParameters.model_validate(told).model_dump(mode="json")))
        console.say(f"run {number}: scoring {len(run.trainings)} trainings on {data_dir}")
        test(
            parameters_file, data_dir, package.path / run.place / "model", results_dir, code_dir, None, console.hushed()
        )
        return Report.load_document(results_dir / REPORT_NAME)


def _figures(submitted: Report, recomputed: Report) -> Iterator[_Figure]:
    """What is compared, against the truth and against the target."""
    if submitted.against_truth and recomputed.against_truth:  # RUN-4: both have it, or neither
        yield from _of_set("truth", submitted.against_truth, recomputed.against_truth)
    yield from _of_set("target", submitted.against_target, recomputed.against_target)
    if submitted.across_seeds and recomputed.across_seeds:
        told, found = submitted.across_seeds, recomputed.across_seeds
        for seed, its, ours in zip(told.seeds, told.psnr_db, found.psnr_db, strict=True):
            yield _Figure(f"PSNR, seed {seed}", its, ours, TOLERANCE_DB, " dB")


def _of_set(against: str, told: AgainstReference, found: AgainstReference) -> Iterator[_Figure]:
    """The figures of scores against one kind of image."""
    for name in ("ssim", "correlation", "edge_preservation"):
        its, ours = (getattr(scores.denoised, name).mean for scores in (told, found))
        yield _Figure(f"{name} against the {against}", its, ours, TOLERANCE, "")
    plain = [scores.methods[scores.best_baseline].gain_db for scores in (told, found)]
    fitted = [scores.methods[scores.affine_fitted_best_baseline].affine_fitted_gain_db for scores in (told, found)]
    for over, gains in (("the best baseline", plain), ("the best baseline with affine fits", fitted)):
        its, ours = (math.inf if gain is None else gain for gain in gains)
        yield _Figure(f"gain over {over} against the {against}", its, ours, TOLERANCE_DB, " dB")
    psnrs = {"what was trained": (told.denoised.psnr_db, found.denoised.psnr_db)}
    psnrs["what was trained, with an affine fit"] = told.affine_fitted.psnr_db, found.affine_fitted.psnr_db
    for name, method in told.methods.items():
        if name in found.methods and method.samples == found.methods[name].samples:
            psnrs[method.title] = method.scores.psnr_db, found.methods[name].scores.psnr_db
    for title, pair in psnrs.items():
        its, ours = (math.inf if each is None else each for each in pair)
        yield _Figure(f"PSNR against the {against}, {title}", its, ours, TOLERANCE_DB, " dB")
