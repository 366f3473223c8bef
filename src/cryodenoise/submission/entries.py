"""A package as a leaderboard shows it."""

import statistics
from pathlib import Path

import numpy as np

from cryodenoise.config.report import Report, Resources
from cryodenoise.config.submission import Entry
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.evaluation.bootstrap import student_interval
from cryodenoise.files import sha256_of
from cryodenoise.models import name_of
from cryodenoise.submission.package import MANIFEST_NAME, Package, Run


def psnr_of_report(report: Report) -> list[float]:
    """PSNR of each training that a report tells of, the first being that of its scores."""
    if report.across_seeds:
        return report.across_seeds.psnr_db
    found = report.that_counts.denoised.psnr_db
    return [] if found is None else [found]


def psnr_db(run: Run) -> list[float]:
    """PSNR of each training of a run, in the order of its trainings."""
    return psnr_of_report(run.report)


def entry_of(package: Package, reviews: list[str], page: str | None) -> Entry:
    """What a leaderboard shows of a package that breaks no rule.

    Args:
        package: The package.
        reviews: What a reviewer should look at.
        page: Its first report as a page, relative to the leaderboard.
    """
    manifest, reports = package.manifest, [run.report for run in package.runs]
    records = [training.record for training in package.trainings]
    quality = [value for run in package.runs for value in psnr_db(run)]
    gains = [gain for run in package.runs for gain in _gains_db(run)]
    first = reports[0].that_counts
    took: list[TrainingRecord | Resources] = [*records, *(report.resources for report in reports)]
    on_device = [each.peak_device_memory_bytes for each in took]
    rates = [report.resources.patches_per_s for report in reports]
    return Entry(
        organization=manifest.organization,
        system=manifest.system,
        descriptor=manifest.descriptor,
        division=manifest.division,
        track=manifest.track,
        reference_set=manifest.reference_set,
        model=name_of(records[0].model),
        parameters=records[0].parameters,
        seeds=[seed for run in manifest.runs for seed in run.seeds],
        psnr_db=statistics.fmean(quality),
        psnr_interval_db=student_interval(np.array(quality)) if len(quality) > 1 else None,
        gain_db=statistics.fmean(gains),
        best_baseline=first.methods[first.best_baseline].title,
        ssim=statistics.fmean(report.that_counts.denoised.ssim.mean for report in reports),
        training_s=statistics.fmean(record.history[-1].elapsed_s for record in records),
        patches_per_s=min(rate for rate in rates if rate is not None),
        peak_device_memory_bytes=max((each for each in on_device if each is not None), default=None),
        peak_host_memory_bytes=max(each.peak_host_memory_bytes for each in took),
        device=records[0].device,
        reviews=reviews,
        package_sha256=sha256_of(package.path / MANIFEST_NAME),
        page=page,
    )


def _gains_db(run: Run) -> list[float]:
    """Gain of each training over the best baseline of its report, which all seeds of a run share."""
    scores = run.report.that_counts
    best = scores.methods[scores.best_baseline]
    own = scores.denoised.psnr_db
    if best.gain_db is None or own is None:
        return []
    return [psnr - own + best.gain_db for psnr in psnr_db(run)]


def report_folder(package: Package, number: int) -> Path:
    """Where the report of a run of a package lies."""
    return package.path / package.runs[number].place / "results"
