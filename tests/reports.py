"""Reports made up for tests: small images, really scored, so that all numbers fit each other."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import ndimage

from cryodenoise.config.documents import MadeFrom, Skipped
from cryodenoise.config.report import Denoiser, Report, Resources, SelfTest, TrainingConditions
from cryodenoise.config.schema import content_sha256
from cryodenoise.config.scores import (
    AffineFitted,
    AgainstReference,
    BlankProbe,
    Curve,
    HalvesEstimate,
    Interval,
    Intervals,
    Method,
    RegionSnr,
    Scores,
    SeedSpread,
    Spectra,
    Spread,
)
from cryodenoise.config.training_record import Epoch, WeightsFile
from cryodenoise.evaluation.measures import BINS, Measures

PIXEL_SIZE_ANGSTROM = 2.5
MICROGRAPHS, PATCHES = 5, 4  # patches of each
HOME, USER = "/home/mallory", "mallory"
"""A place on a machine that paths in a report name, and whose it is."""
_RINGS = 16


@dataclass(frozen=True)
class Images:
    """Patches of shape (n, h, w), float64."""

    truth: np.ndarray
    noisy: np.ndarray
    denoised: np.ndarray
    target: np.ndarray


def images(side: int = 48, smoothing_px: float = 1.6) -> Images:
    """Soft particles in ice, under white noise, and the noise smoothed away."""
    rng = np.random.default_rng(7)
    shape = (MICROGRAPHS * PATCHES, side, side)
    seeds = (rng.random(shape) < 6 / 48**2).astype(float)
    truth = 0.55 - ndimage.gaussian_filter(seeds, (0, 3.0, 3.0)) * 14
    truth += ndimage.gaussian_filter(rng.normal(0, 1, shape), (0, 6, 6)) * 0.12
    noise = rng.normal(0, 0.16, shape) * np.linspace(0.9, 1.1, len(truth))[:, None, None]
    noisy = truth + noise
    denoised = ndimage.gaussian_filter(noisy, (0, smoothing_px, smoothing_px))
    return Images(truth, noisy, denoised, truth + rng.normal(0, 0.16, shape))


def psnr(mse: float) -> float | None:
    """In dB; None where there is no error."""
    return float(-10 * np.log10(mse)) if mse > 0 else None


def _spread(values: np.ndarray) -> Spread:
    return Spread(
        mean=float(values.mean()), median=float(np.median(values)), min=float(values.min()), max=float(values.max())
    )


def mse_of(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """A patch."""
    return np.asarray(((image - reference) ** 2).mean(axis=(1, 2)))


def correlation_of(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """A patch."""
    return np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(image, reference, strict=True)])


def _edges_of(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    laplacians = [np.stack([ndimage.laplace(each) for each in stack]) for stack in (image, reference)]
    return correlation_of(*laplacians)


def _ssim_of(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Something between 0 and 1 that falls with the error: what it is exactly does not matter here."""
    return np.asarray(1 / (1 + 40 * mse_of(image, reference)))


def scores(image: np.ndarray, reference: np.ndarray) -> Scores:
    """Of patches against others."""
    by_patch = mse_of(image, reference)
    mse = float(by_patch.mean())
    return Scores(
        mse=mse,
        rmse=mse**0.5,
        mae=float(np.abs(image - reference).mean()),
        psnr_db=psnr(mse),
        patch_psnr_db=_spread(-10 * np.log10(by_patch)) if (by_patch > 0).all() else None,
        ssim=_spread(_ssim_of(image, reference)),
        correlation=_spread(correlation_of(image, reference)),
        edge_preservation=_spread(_edges_of(image, reference)),
    )


def _rings(side: int) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    return np.asarray(np.minimum((frequency * 2 * _RINGS).astype(int), _RINGS))


def _sums(values: np.ndarray, side: int) -> np.ndarray:
    return np.bincount(_rings(side).ravel(), values.sum(axis=0).ravel(), _RINGS + 1)[:_RINGS]


def _frc(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    a, b = (np.fft.fft2(each - each.mean()) for each in (one, other))
    cross, of_a, of_b = (_sums(v, one.shape[-1]) for v in ((a * b.conj()).real, np.abs(a) ** 2, np.abs(b) ** 2))
    return np.asarray(cross / np.sqrt(of_a * of_b))


def _power(image: np.ndarray) -> np.ndarray:
    side = image.shape[-1]
    count = np.bincount(_rings(side).ravel(), minlength=_RINGS + 1)[:_RINGS] * len(image)
    return np.asarray(_sums(np.abs(np.fft.fft2(image - image.mean())) ** 2 / side**2, side) / count)


def _below(frc: np.ndarray, threshold: float) -> float | None:
    found = np.flatnonzero(frc < threshold)
    return float(_FREQUENCY[found[0]]) if found.size else None


_FREQUENCY = (np.arange(_RINGS) + 0.5) / (2 * _RINGS)


def _curve(image: np.ndarray, reference: np.ndarray) -> Curve:
    frc, difference = _frc(image, reference), _power(image - reference)
    return Curve(
        frc=frc.tolist(),
        ssnr=[float(s / d) if d > 0 else None for s, d in zip(_power(reference), difference, strict=True)],
        power=_power(image).tolist(),
        frc_below_0_5_per_px=_below(frc, 0.5),
        frc_below_0_143_per_px=_below(frc, 0.143),
    )


def _bootstrapped(values: np.ndarray) -> Interval:
    rng = np.random.default_rng(1)
    of_micrograph = values.reshape(MICROGRAPHS, PATCHES).mean(axis=1)
    means = of_micrograph[rng.integers(0, MICROGRAPHS, (400, MICROGRAPHS))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(low=float(low), high=float(high))


def _gain_interval(ours: np.ndarray, theirs: np.ndarray) -> Interval:
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, MICROGRAPHS, (400, MICROGRAPHS))
    sums = [each.reshape(MICROGRAPHS, PATCHES).mean(axis=1)[drawn].mean(axis=1) for each in (ours, theirs)]
    low, high = np.percentile(10 * np.log10(sums[1] / sums[0]), (2.5, 97.5))
    return Interval(low=float(low), high=float(high))


def _fitted(image: np.ndarray, reference: np.ndarray) -> AffineFitted:
    """Under the line that fits best."""
    x, y = image.ravel(), reference.ravel()
    slope = float(((x - x.mean()) * (y - y.mean())).mean() / x.var())
    offset = float(y.mean() - slope * x.mean())
    mse = 0.0 if np.array_equal(image, reference) else float(((slope * x + offset - y) ** 2).mean())
    return AffineFitted(slope=slope, offset=offset, mse=mse, psnr_db=psnr(mse), psnr_interval=None)


def against(shown: Images, reference: np.ndarray, intervals: bool = True) -> AgainstReference:
    """Scores of the denoised images and of others against a reference."""
    x, denoised = shown.noisy, shown.denoised
    slope = float(np.cov(x.ravel(), reference.ravel())[0, 1] / x.var())
    subset = slice(0, PATCHES * MICROGRAPHS // 2)
    blurred = ndimage.gaussian_filter(x, (0, 1.2, 1.2))
    tv = ndimage.median_filter(x, (1, 3, 3))
    others: dict[str, tuple[str, Any, dict[str, float], np.ndarray, slice]] = {
        "noisy_input": ("noisy input", "input", {}, x, slice(None)),
        "scalar_wiener": (
            "scalar Wiener: the best affine map", "bound", {"slope": slope, "offset": float(reference.mean())},
            reference.mean() + slope * (x - x.mean()), slice(None),
        ),
        "pointwise_optimum": (
            "pointwise optimum: the best curve", "bound", {}, reference.mean() + slope * (x - x.mean()), slice(None)
        ),
        "gaussian": ("Gaussian blur", "baseline", {"sigma_px": 1.2}, blurred, slice(None)),
        "total_variation": ("total variation", "baseline", {"weight": 0.1}, tv, subset),
    }  # fmt: skip
    methods = {}
    for name, (title, kind, found, image, part) in others.items():
        its = scores(image[part], reference[part])
        ours, theirs = mse_of(denoised[part], reference[part]), mse_of(image[part], reference[part])
        gain = float(10 * np.log10(theirs.mean() / ours.mean())) if ours.all() and theirs.all() else None
        whole = part == slice(None)
        fitted, ours_fitted = (_fitted(each[part], reference[part]) for each in (image, denoised))
        fitted_gain = None
        if fitted.psnr_db is not None and ours_fitted.psnr_db is not None:
            fitted_gain = ours_fitted.psnr_db - fitted.psnr_db
        methods[name] = Method(
            title=title,
            kind=kind,
            found=found,
            samples=len(image[part]),
            scores=its,
            gain_db=gain,
            gain_interval=_gain_interval(ours, theirs) if intervals and whole and gain is not None else None,
            affine_fitted=fitted,
            affine_fitted_gain_db=fitted_gain,
            affine_fitted_gain_interval=None,
        )
    contenders = {name: each for name, each in methods.items() if each.kind != "bound"}
    best = min(contenders, key=lambda name: contenders[name].gain_db or 0.0)
    fitted_best = min(contenders, key=lambda name: contenders[name].affine_fitted_gain_db or 0.0)
    its = scores(denoised, reference)
    mse = _bootstrapped(mse_of(denoised, reference))
    exact = its.mse == 0
    return AgainstReference(
        denoised=its,
        intervals=Intervals(
            mse=mse,
            psnr_db=None if exact else Interval(low=-10 * np.log10(mse.high), high=-10 * np.log10(mse.low)),
            ssim=_bootstrapped(_ssim_of(denoised, reference)),
            correlation=_bootstrapped(correlation_of(denoised, reference)),
        )
        if intervals
        else None,
        methods=methods,
        best_baseline=best,
        affine_fitted=_fitted(denoised, reference),
        affine_fitted_best_baseline=fitted_best,
        spectra=Spectra(
            frequency_per_px=_FREQUENCY.tolist(),
            denoised=_curve(denoised, reference),
            noisy_input=_curve(x, reference),
            reference_power=_power(reference).tolist(),
            residual_power=_power(x - denoised).tolist(),
        ),
    )


def measures(shown: Images, reference: np.ndarray) -> Measures:
    """What stands beside a report of these images."""
    mse = mse_of(shown.denoised, reference)
    order = np.argsort(mse, kind="stable")
    chosen = order[[0, len(order) // 2, -1]]
    both = np.concatenate([shown.noisy.ravel(), reference.ravel(), shown.denoised.ravel()])
    ends, residual = (float(both.min()), float(both.max())), shown.noisy - shown.denoised
    reach = float(np.abs(residual).max()) or 1.0
    index = np.arange(len(mse))
    return Measures(
        micrograph=index // PATCHES,
        row=index % PATCHES // 2 * 48,
        column=index % 2 * 48,
        denoised_mse=mse,
        noisy_mse=mse_of(shown.noisy, reference),
        denoised_ssim=_ssim_of(shown.denoised, reference),
        denoised_correlation=correlation_of(shown.denoised, reference),
        noisy_correlation=correlation_of(shown.noisy, reference),
        denoised_edge_preservation=_edges_of(shown.denoised, reference),
        range=np.array(ends),
        histogram_noisy=np.histogram(shown.noisy, BINS, ends)[0],
        histogram_denoised=np.histogram(shown.denoised, BINS, ends)[0],
        histogram_reference=np.histogram(reference, BINS, ends)[0],
        residual_range=np.array([-reach, reach]),
        histogram_residual=np.histogram(residual, BINS, (-reach, reach))[0],
        joint=np.histogram2d(shown.denoised.ravel(), reference.ravel(), BINS, (ends, ends))[0].astype(np.int64),
        example_samples=chosen,
        examples=np.stack([[shown.noisy[i], shown.denoised[i], reference[i]] for i in chosen]).astype(np.float32),
    )


_ENVIRONMENT: dict[str, Any] = {
    "cryodenoise": "0.1.0", "source_revision": "5f" * 20, "source_digest": "ab" * 32, "python": "3.11.2",
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"}, "system": "Linux 6.1.0 x86_64", "in_container": False,
    "processor": "A processor of 2 cores", "cores": 2, "memory_gib": 23.4, "cuda": None, "gpus": [],
}  # fmt: skip


def _history(best_psnr_db: float) -> list[Epoch]:
    epochs = []
    for number in range(1, 9):
        below = 3.0 * 0.55 ** (number - 1) + (0.05 if number == 8 else 0.0)
        mse = 10 ** (-(best_psnr_db - below) / 10)
        epochs.append(
            Epoch(
                epoch=number,
                train_loss=1.1 * mse,
                validation_mse=mse,
                validation_psnr_db=best_psnr_db - below,
                gain_over_input_db=6.0 - below,
                learning_rate=1e-3 * 0.5 * (1 + np.cos(np.pi * (number - 1) / 8)),
                samples_seen=160 * number,
                elapsed_s=9.0 * number,
                train_patches_per_s=20.0,
                read_mb_per_s=3.0,
                waiting_fraction=0.01,
                skipped_steps=0,
            )
        )
    return epochs


def training() -> TrainingConditions:
    """How a network was trained."""
    return TrainingConditions(
        device="A processor of 2 cores",
        machine={"device": "auto", "memory_limit_gib": 8.0, "tensorboard": False},
        environment=_ENVIRONMENT,
        weights=WeightsFile(name="best.safetensors", sha256="cd" * 32),
        best_epoch=7,
        history=_history(24.0),
        processes=1,
        peak_host_memory_bytes=740 * 2**20,
        peak_device_memory_bytes=None,
        made_from=MadeFrom(
            parameters={
                "model": "unet", "objective": {"name": "mse", "fourier_amplitude_weight": 0.0},
                "optimizer": {"name": "adam", "learning_rate": 1e-3, "weight_decay": 0.0, "momentum": 0.0},
                "schedule": {"name": "cosine", "warmup_epochs": 0.0, "final_fraction": 0.0}, "ema_decay": None,
                "epochs": 8, "batch_size": 8, "precision": "fp32", "seed": 42,
            },
            inputs={"dataset": "12" * 32},
        ),
    )  # fmt: skip


def report(shown: Images | None = None, **changes: Any) -> Report:
    """A valid report of a network, with a truth carried along; `changes` are fields that are otherwise."""
    shown = shown or images()
    samples, *shape = shown.noisy.shape
    intervals = changes.get("intervals_missing") is None
    fields: dict[str, Any] = {
        "format": Report.FORMAT,
        "format_version": Report.VERSION,
        "denoiser": Denoiser(kind="network", name="unet", parameters=1_925_025, found={}, sha256="cd" * 32),
        "samples": samples,
        "sample_shape": tuple(shape),
        "micrographs": MICROGRAPHS,
        "pixel_size_angstrom": PIXEL_SIZE_ANGSTROM,
        "pairs": "added_noise",
        "against_target": against(shown, shown.target, intervals),
        "against_truth": against(shown, shown.truth, intervals),
        "halves": None,
        "region_snr": RegionSnr(particles=37, denoised_db=3.2, noisy_input_db=-6.4, reference_db=12.5),
        "blank": BlankProbe(
            images=4, noise_power=0.0256, energy=0.031, energy_of_baselines={"Gaussian blur": 0.055},
            correlation=0.0021, correlation_error=0.0104, frequency_per_px=_FREQUENCY.tolist(), frc=[0.01] * _RINGS,
        ),
        "across_seeds": None,
        "subset": list(range(samples // 2)),
        "intervals_missing": None,
        "remarks": ["An affine map comes within 0.3 % of the pointwise optimum & that is < 1 %."],
        "skipped": [Skipped(name="broken.mrc", reason=f"{HOME}/raw/broken.mrc: ends after 12 bytes")],
        "self_tests": [
            SelfTest(name="identity: MSE", expected=0.0, found=0.0),
            SelfTest(name="noisy as prediction: gain/dB", expected=0.0, found=0.0),
        ],
        "resources": Resources(
            patches_per_s=35.25, megapixels_per_s=35.25 * shape[0] * shape[1] / 1e6, reading_s=0.02, denoising_s=0.57,
            scoring_s=1.1, elapsed_s=1.69, peak_host_memory_bytes=805306368, peak_device_memory_bytes=None,
            memory_bandwidth_bytes_per_s=1.6e10, energy_joules={"processor": 61.0}, cost=0.0004,
        ),
        "device": "A processor of 2 cores",
        "dataset_identity": "12" * 32,
        "measures_sha256": "34" * 32,
        "download": MadeFrom(parameters={"source": "local", "local": {"path": f"{HOME}/microscope/*.mrc"}}),
        "preprocess": MadeFrom(
            parameters={"pairs": {"kind": "added_noise"}, "normalization": "p95", "dtype": "float32"},
            inputs={"micrographs": ["56" * 32, "78" * 32]},
        ),
        "training": training(),
        "made_from": MadeFrom(parameters={}, inputs={"dataset": "12" * 32, "weights": "cd" * 32}),
        "machine": {"batch_size": 4, "device": "auto", "read_ahead_mib": 128},
        "environment": _ENVIRONMENT,
    }  # fmt: skip
    made = Report(**{**fields, **changes})
    return made.model_copy(update={"content_sha256": content_sha256(made.model_dump(mode="json"))})


def halves(shown: Images) -> HalvesEstimate:
    """What halves tell, of images whose target is the other half."""
    noise = float(((shown.noisy - shown.target) ** 2).mean() / 2)
    mse = float(((shown.denoised - shown.target) ** 2).mean()) - noise
    frc = _frc(shown.denoised, ndimage.gaussian_filter(shown.target, (0, 1.6, 1.6)))
    return HalvesEstimate(
        mse=mse,
        mse_interval=Interval(low=0.9 * mse, high=1.1 * mse),
        psnr_db=psnr(mse),
        affine_fitted_mse=0.9 * mse,
        affine_fitted_mse_interval=Interval(low=0.8 * mse, high=mse),
        affine_fitted_psnr_db=psnr(0.9 * mse),
        noise_power=noise,
        input_psnr_db=psnr(noise),
        frequency_per_px=_FREQUENCY.tolist(),
        frc_denoised=frc.tolist(),
        frc_noisy=_frc(shown.noisy, shown.target).tolist(),
        frc_below_0_143_per_px=_below(frc, 0.143),
    )


@cache
def variants() -> dict[str, tuple[Report, Measures]]:
    """Reports of all sorts, by what is particular to them, with what stands beside them."""
    shown = images()
    exact = Images(shown.truth, shown.noisy, shown.truth, shown.truth)
    beside_truth, beside_target = measures(shown, shown.truth), measures(shown, shown.target)
    without = {"against_truth": None, "region_snr": None}
    few = "1 micrograph, and intervals take 3 at least"
    seeds = SeedSpread(
        seeds=[42, 43, 44], psnr_db=[24.1, 24.3, 24.2], mean_db=24.2, standard_deviation_db=0.1,
        interval_db=Interval(low=23.952, high=24.448), gain_mean_db=0.84,
    )  # fmt: skip
    predictions = Denoiser(kind="predictions", name="denoised.mrcs", parameters=None, found={}, sha256="ef" * 32)
    baseline = Denoiser(
        kind="baseline", name="baseline/gaussian", parameters=None, found={"sigma_px": 1.6}, sha256=None
    )
    return {
        "truth": (report(shown), beside_truth),
        "no-truth": (report(shown, **without), beside_target),
        "truth-as-target": (
            report(exact, pairs="truth", against_truth=None, against_target=against(shown, shown.truth)),
            beside_truth,
        ),
        "halves": (report(shown, pairs="halves", halves=halves(shown), **without), beside_target),
        "predictions": (report(shown, denoiser=predictions, training=None, blank=None), beside_truth),
        "baseline": (report(shown, denoiser=baseline, training=None), beside_truth),
        "seeds": (report(shown, across_seeds=seeds), beside_truth),
        "no-error": (report(exact, pairs="truth", against_truth=None), measures(exact, exact.truth)),
        "no-intervals": (report(shown, micrographs=1, intervals_missing=few), beside_truth),
        "no-pixel-size": (report(shown, pixel_size_angstrom=None), beside_truth),
    }
