"""What the closed division fixes, and what a reviewer of either division should look at (docs/RULES.md)."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cryodenoise.claims import differences
from cryodenoise.config.reference import Reference
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.scores import AgainstReference
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.submission.entries import psnr_db
from cryodenoise.submission.package import MANIFEST_NAME, Package
from cryodenoise.submission.rules import named_set
from cryodenoise.submission.statistics import Verdict, judge
from cryodenoise.training.record import DOCUMENT_NAME as TRAINING_NAME

MEMORY_LIMIT_BYTES = 8 << 30
"""Of a GPU, in training and scoring."""
FREE_KEYS = frozenset({"micro_batch_size", "precision", "seed", "tf32"})
"""Keys of the run file of `train` that are free in the closed division, beside those that only say how a machine does
the work."""
_BYTES_A_PIXEL = 2 * 4  # a float32 that is read, and one that is written
_MARGIN_DB = 1.0  # images are not Gaussian: a network may be a little better than every linear filter


@rule("CLOSED-1", "in the closed division, data set, split, noise, normalisation, patches, model and epochs are fixed")
def fixed(package: Package) -> Iterator[Finding]:
    """Run files that differ from those of the set, and other training data."""
    reference = _reference(package)
    if reference is None:
        return
    for run in package.runs:
        place, report = run.report_place, run.report
        if reference.dataset_identity and report.dataset_identity != reference.dataset_identity:
            yield Finding(place, f"dataset_identity: another than that of the set {reference.name}")
        for task, made_from in (("download", report.download), ("preprocess", report.preprocess)):
            told = made_from.parameters if made_from else None
            if other := "; ".join(differences(told, getattr(reference, task))):
                yield Finding(place, f"{task}: another run file than the set's ({other})")
        for training in run.trainings:
            told = _without_free(training.record.made_from.parameters)
            if other := "; ".join(differences(told, _without_free(reference.train))):
                yield Finding(training.folder / TRAINING_NAME, f"another run file than the set's ({other})")
            if training.record.made_from.inputs.get("dataset") != report.dataset_identity:
                yield Finding(training.folder / TRAINING_NAME, "trained on another dataset than was scored")


@rule("CLOSED-2", "in the closed division, training and scoring take at most 8 GiB of a GPU's memory")
def memory(package: Package) -> Iterator[Finding]:
    """Larger peaks."""
    if package.manifest.division != "closed":
        return
    peaks = {
        training.folder / TRAINING_NAME: training.record.peak_device_memory_bytes for training in package.trainings
    }
    for run in package.runs:
        peaks[run.report_place] = run.report.resources.peak_device_memory_bytes
    for place, peak in peaks.items():
        if peak is not None and peak > MEMORY_LIMIT_BYTES:
            yield Finding(place, f"peak_device_memory_bytes: {peak / 2**30:.2f} GiB, at most 8 GiB are allowed")


@rule("CLOSED-3", "in the closed division, the network has the parameters of the set's")
def parameters(package: Package) -> Iterator[Finding]:
    """Networks of another size."""
    reference = _reference(package)
    for training in package.trainings if reference else ():
        if reference and training.record.parameters != reference.parameters:
            found = f"parameters: {training.record.parameters:,}, expected {reference.parameters:,}"
            yield Finding(training.folder / TRAINING_NAME, found)


@rule("CLOSED-4", "in the closed division, scores are no better than those of the reference, but for chance")
def not_too_good(package: Package) -> Iterator[Finding]:
    """A mean PSNR above what chance explains: something else than the machine was changed."""
    verdict = _verdict(package)
    if verdict and verdict.too_good:
        told = f"mean PSNR {verdict.mean_db:.3f} dB, chance explains at most {verdict.high_db:.3f} dB"
        yield Finding(Path(MANIFEST_NAME), told)


@rule("REVIEW-1", "scores are no worse than those of the reference, but for chance")
def not_too_bad(package: Package) -> Iterator[Finding]:
    """A mean PSNR below what chance explains: allowed, but a sign that something went wrong."""
    verdict = _verdict(package)
    if verdict and verdict.too_low:
        told = f"mean PSNR {verdict.mean_db:.3f} dB, chance explains no less than {verdict.low_db:.3f} dB"
        yield Finding(Path(MANIFEST_NAME), told)


@rule("REVIEW-2", "with added noise, nothing is better than the best curve by more than pixel correlations explain")
def plausible(package: Package) -> Iterator[Finding]:
    """Scores that only a look at the targets would explain."""
    if package.manifest.track != "added_noise":
        return
    for run in package.runs:
        scores = run.report.against_target
        optimum = scores.methods["pointwise_optimum"].scores.mse
        best = optimum * explained(scores) * 10 ** (-_MARGIN_DB / 10)
        if scores.denoised.mse < best:
            gain_db = 10 * math.log10(optimum / scores.denoised.mse)
            told = (
                f"{gain_db:.2f} dB better than the pointwise optimum, of which the correlations of pixels explain "
                f"{-10 * math.log10(explained(scores)):.2f} dB, and a network {_MARGIN_DB:.0f} dB at most"
            )
            yield Finding(run.report_place, told)


def explained(scores: AgainstReference) -> float:
    """Error of the best linear filter over that of the best affine map, from the spectra; at most 1.

    A filter that knows all spectra leaves, at each frequency, the share 1 − FRC² of the target's power (Wiener); an
    affine map weights all frequencies alike. Rings count by their circumference, and the last one also for the corners
    beyond it.
    """
    spectra = scores.spectra
    weights = np.array(spectra.frequency_per_px)
    weights[-1] += weights.sum() * (4 / math.pi - 1)
    frc, noisy, target = (
        np.array(each) for each in (spectra.noisy_input.frc, spectra.noisy_input.power, spectra.reference_power)
    )
    filtered = (weights * target * (1 - frc**2)).sum()
    cross = (weights * frc * np.sqrt(noisy * target)).sum()
    mapped = (weights * target).sum() - cross**2 / (weights * noisy).sum()
    return float(min(filtered / mapped, 1.0)) if mapped > 0 else 1.0


@rule("REVIEW-3", "throughputs fit the bandwidth that was measured, the pixels and the seconds")
def fast(package: Package) -> Iterator[Finding]:
    """Throughputs above what moving the pixels alone allows, or that do not follow from what they are made of."""
    for run in package.runs:
        took, place = run.report.resources, run.report_place
        pixels = math.prod(run.report.sample_shape)
        if took.patches_per_s is None or took.megapixels_per_s is None:
            yield Finding(place, "resources.patches_per_s: null, expected that of a network")
            continue
        bound = took.memory_bandwidth_bytes_per_s / (_BYTES_A_PIXEL * pixels)
        if took.patches_per_s > bound:
            told = f"{took.patches_per_s:.1f} patches/s, the recorded bandwidth allows {bound:.1f}"
            yield Finding(place, f"resources: {told}")
        if not math.isclose(took.megapixels_per_s, took.patches_per_s * pixels / 1e6, rel_tol=1e-6):
            yield Finding(place, "resources.megapixels_per_s: does not follow from patches_per_s")
        if took.reading_s + took.denoising_s > took.elapsed_s * (1 + 1e-6):
            yield Finding(place, "resources: reading and denoising took longer than everything")
        for training in run.trainings:
            last = training.record.history[-1]
            least_s = last.samples_seen / max(epoch.train_patches_per_s for epoch in training.record.history)
            if last.elapsed_s < least_s * (1 - 1e-6):
                told = f"history: {last.samples_seen} samples in {last.elapsed_s:.1f} s, faster than any epoch tells"
                yield Finding(training.folder / TRAINING_NAME, told)


@rule("REVIEW-4", "the filters that take seconds a patch were scored too, on as many patches as by default")
def slow_filters(package: Package) -> Iterator[Finding]:
    """Run files of `test` that leave them out: one may be the best baseline."""
    default = TestParameters().slow_patches
    for run in package.runs:
        found = run.report.made_from.parameters.get("slow_patches")
        if not isinstance(found, int) or found < default:
            yield Finding(run.report_place, f"test: slow_patches: {found}, by default {default}")


def _verdict(package: Package) -> Verdict | None:
    """What the reference's scores say of a submission's to the closed division; None where there are none."""
    reference = _reference(package)
    return judge(reference, [value for run in package.runs for value in psnr_db(run)]) if reference else None


def _reference(package: Package) -> Reference | None:
    """The set of a submission to the closed division."""
    return named_set(package) if package.manifest.division == "closed" else None


def _without_free(told: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in told.items() if key not in FREE_KEYS}


RULES: tuple[Rule[Package], ...] = (fixed, memory, parameters, not_too_good)
REVIEWS: tuple[Rule[Package], ...] = (not_too_bad, plausible, fast, slow_filters)
