"""The rule of the scores in a package: they follow from each other, and from measures.npz."""

import math
from collections.abc import Iterator, Mapping

from cryodenoise.config.scores import AgainstReference
from cryodenoise.dataset import layout as dataset_layout
from cryodenoise.errors import UserError
from cryodenoise.evaluation import check as results_rules
from cryodenoise.evaluation import layout, measures
from cryodenoise.findings import Finding, rule
from cryodenoise.metrics.accumulate import mean
from cryodenoise.submission.package import Package, Run

_SAME = 1e-9  # relative, of figures that follow from each other


@rule("RUN-5", "the scores of report.json follow from each other and from measures.npz")
def follow(package: Package) -> Iterator[Finding]:
    """Scores that do not."""
    for run in package.runs:
        folder = results_rules.ResultsFolder(package.path / run.place / "results", run.report)
        for each in results_rules.RULES:
            for finding in each.findings(folder):
                yield Finding(run.place / "results" / finding.place.name, finding.problem)
        try:
            of_patches = measures.load(folder.path / measures.NAME, run.report.measures_sha256)
            measures.require_fitting(folder.path / measures.NAME, of_patches, run.report)
        except UserError as error:
            yield Finding(run.place / "results" / measures.NAME, str(error).removeprefix(f"{folder.path}/"))
            continue
        yield from _of_patches(run, of_patches)
        for name in ("against_target", "against_truth"):
            if (sets := getattr(run.report, name)) is not None:
                yield from (Finding(run.report_place, f"{name}.{problem}") for problem in _beside(sets))


def _of_patches(run: Run, of_patches: measures.Measures) -> Iterator[Finding]:
    """Means of the report that are not those of the patches."""
    against = run.report.that_counts
    noisy = against.methods["noisy_input"].scores
    expected = {
        "denoised.mse": (against.denoised.mse, of_patches.denoised_mse),
        "denoised.ssim.mean": (against.denoised.ssim.mean, of_patches.denoised_ssim),
        "denoised.correlation.mean": (against.denoised.correlation.mean, of_patches.denoised_correlation),
        "methods.noisy_input.mse": (noisy.mse, of_patches.noisy_mse),
        "methods.noisy_input.correlation.mean": (noisy.correlation.mean, of_patches.noisy_correlation),
    }
    for name, (found, values) in expected.items():
        if not math.isclose(found, mean(values), rel_tol=_SAME, abs_tol=_SAME):
            yield Finding(run.report_place, f"{name}: {found}, the patches of {measures.NAME} give {mean(values)}")
    if any(dataset_layout.inconsistencies(run.dataset)) or run.dataset.splits["test"].samples != run.report.samples:
        return  # RUN-4 tells of it
    for name, places in layout.columns(run.dataset).items():
        step = 1 if name == "micrograph" else run.dataset.stride_px
        if getattr(of_patches, name).tolist() != (places * step).tolist():
            yield Finding(run.report_place, f"{measures.NAME} tells of other patches than dataset.json ({name})")
    spread = run.report.across_seeds
    if (spread is None) != (len(run.trainings) == 1):
        yield Finding(run.report_place, f"across_seeds: does not tell of the {len(run.trainings)} trainings")
    elif spread is not None:
        if len(spread.psnr_db) != len(spread.seeds):
            told = f"{len(spread.psnr_db)} of {len(spread.seeds)} trainings"
            yield Finding(run.report_place, f"across_seeds.psnr_db: {told}, expected one each")
            return
        if not math.isclose(spread.psnr_db[0], against.denoised.psnr_db or math.inf, rel_tol=_SAME):
            yield Finding(run.report_place, "across_seeds.psnr_db: the first is not that of the scores")
        if spread.seeds != run.seeds:
            yield Finding(run.report_place, f"across_seeds.seeds: {spread.seeds}, trained with {run.seeds}")
    if against.denoised.psnr_db is None or against.methods[against.best_baseline].gain_db is None:
        yield Finding(run.report_place, "no error at all, expected some: no denoiser is exact")


def _beside(sets: AgainstReference) -> Iterator[str]:
    """What is wrong with the best baseline and the spectra, each in one line that begins with its key."""
    methods = {name: each for name, each in sets.methods.items() if each.kind != "bound"}
    gains = {name: each.gain_db for name, each in methods.items()}
    yield from _best("best_baseline", sets.best_baseline, gains)
    fitted = {name: each.affine_fitted_gain_db for name, each in methods.items()}
    yield from _best("affine_fitted_best_baseline", sets.affine_fitted_best_baseline, fitted)
    its = {"denoised": (sets.denoised, sets.affine_fitted)}
    its |= {name: (each.scores, each.affine_fitted) for name, each in sets.methods.items()}
    for name, (scores, best) in its.items():
        if best.mse > scores.mse * (1 + _SAME):
            yield f"{name}: its error is {scores.mse}, under the best affine map {best.mse}, expected no more"
    spectra = sets.spectra
    rings = len(spectra.frequency_per_px)
    curves = spectra.denoised, spectra.noisy_input
    powers = spectra.reference_power, spectra.residual_power, *(curve.power for curve in curves)
    if not rings or any(len(values) != rings for values in (*powers, *(curve.frc for curve in curves))):
        yield "spectra: of different lengths, or empty"
    elif (
        min(spectra.frequency_per_px) <= 0
        or min(map(min, powers)) < 0
        or any(abs(value) > 1 + _SAME for curve in curves for value in curve.frc)
    ):
        yield "spectra: frequencies and powers are positive, and correlations between -1 and 1"


def _best(key: str, name: str, gains: Mapping[str, float | None]) -> Iterator[str]:
    """A best baseline that is none, or over which the gain is not the smallest."""
    if name not in gains:
        yield f"{key}: {name!r}, expected a baseline of methods"
    elif (gain := gains[name]) is not None and gain > min(each for each in gains.values() if each is not None) + _SAME:
        yield f"{key}: {name!r}, over which the gain is not the smallest"
