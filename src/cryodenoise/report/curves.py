"""Charts of what changes with a frequency or an epoch: ring correlations, power spectra, training."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report.theme import LIGHT
from cryodenoise.report.wording import reference_of
from cryodenoise.signal.spectrum import HIGHEST

_THRESHOLDS = (0.5, 0.143)
_CURVE_IN = (5.4, 3.4)


def frc(report: Report, measures: Measures) -> Figure:  # noqa: ARG001
    """Fourier ring correlation with the reference, and of halves with each other where there are some."""
    figure, axis = _over_frequencies(report, "Fourier ring correlation")
    size, spectra, reference = report.pixel_size_angstrom or 1.0, report.that_counts.spectra, reference_of(report)
    for threshold in _THRESHOLDS:
        axis.axhline(threshold, color=LIGHT.other, linewidth=0.9, linestyle="--")
        right_end = HIGHEST / size
        axis.text(right_end, threshold + 0.01, f"{threshold}", color=LIGHT.other, ha="right", va="bottom", fontsize=8)
    frequency = np.array(spectra.frequency_per_px) / size
    axis.plot(frequency, spectra.denoised.frc, color=LIGHT.denoised, label=f"denoised with {reference}")
    axis.plot(frequency, spectra.noisy_input.frc, color=LIGHT.noisy, label=f"noisy with {reference}", linestyle="-.")
    lowest = [*spectra.denoised.frc, *spectra.noisy_input.frc]
    if halves := report.halves:
        frequency = np.array(halves.frequency_per_px) / size
        axis.plot(frequency, halves.frc_denoised, color=LIGHT.residual, label="denoised halves with each other")
        axis.plot(frequency, halves.frc_noisy, color=LIGHT.other, label="halves with each other", linestyle=":")
        lowest += [*halves.frc_denoised, *halves.frc_noisy]
    axis.set_ylim(min(-0.05, 1.1 * min(lowest)), 1.05)
    _legend(axis)
    return figure


def has_ssnr(report: Report) -> bool:
    """Whether there is a ratio to draw: a truth that shows nothing has no power, and an exact image no difference."""
    spectra = report.that_counts.spectra
    return any(value for curve in (spectra.denoised, spectra.noisy_input) for value in curve.ssnr)


def ssnr(report: Report, measures: Measures) -> Figure:  # noqa: ARG001
    """Spectral signal-to-noise ratio of noisy input and denoised images."""
    figure, axis = _over_frequencies(report, "spectral signal-to-noise ratio")
    spectra = report.that_counts.spectra
    frequency = np.array(spectra.frequency_per_px) / (report.pixel_size_angstrom or 1.0)
    for label, curve, colour, line in (
        ("noisy input", spectra.noisy_input.ssnr, LIGHT.noisy, "-."),
        ("denoised", spectra.denoised.ssnr, LIGHT.denoised, "-"),
    ):
        values = np.array([value or np.nan for value in curve])  # of no signal, or no difference, there is no ratio
        if np.isfinite(values).any():
            axis.plot(frequency, values, color=colour, label=label, linestyle=line)
    axis.axhline(1.0, color=LIGHT.other, linewidth=0.9, linestyle="--")
    axis.set_yscale("log")
    _legend(axis)
    return figure


def blank(report: Report, measures: Measures) -> Figure:  # noqa: ARG001
    """Fourier ring correlation of what is made of one empty ice under two noises."""
    found = report.blank
    assert found is not None  # `charts.of_report` leaves this chart out
    figure, axis = _over_frequencies(report, "Fourier ring correlation")
    frequency = np.array(found.frequency_per_px) / (report.pixel_size_angstrom or 1.0)
    axis.axhline(0.0, color=LIGHT.other, linewidth=0.9, linestyle="--")
    axis.plot(frequency, found.frc, color=LIGHT.residual, label="empty ice under two noises")
    axis.set_ylim(min(-0.3, 1.1 * min(found.frc)), 1.05)
    _legend(axis)
    return figure


def power(report: Report, measures: Measures) -> Figure:  # noqa: ARG001
    """Radial power of noisy input, denoised, reference and residual."""
    figure, axis = _over_frequencies(report, "power (white noise: its variance)")
    spectra = report.that_counts.spectra
    frequency = np.array(spectra.frequency_per_px) / (report.pixel_size_angstrom or 1.0)
    for label, values, colour, line in (
        ("noisy input", spectra.noisy_input.power, LIGHT.noisy, "-."),
        ("denoised", spectra.denoised.power, LIGHT.denoised, "-"),
        (reference_of(report), spectra.reference_power, LIGHT.ink, "--"),
        ("residual", spectra.residual_power, LIGHT.residual, ":"),
    ):
        positive = np.where(np.array(values) > 0, values, np.nan)
        if np.isfinite(positive).any():  # of no noise at all there is no residual
            axis.plot(frequency, positive, color=colour, label=label, linestyle=line)
    axis.set_yscale("log")
    _legend(axis)
    return figure


def training(report: Report, measures: Measures) -> Figure:  # noqa: ARG001
    """Objective, PSNR on the validation split and learning rate by epoch."""
    conditions = report.training
    assert conditions is not None  # `charts.of_report` leaves this chart out
    history = conditions.history
    epochs = [epoch.epoch for epoch in history]
    mark = "o" if len(epochs) < 30 else None
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    loss, quality, rate = figure.subplots(1, 3)
    loss.plot(epochs, [epoch.train_loss for epoch in history], color=LIGHT.noisy, marker=mark, ms=3, label="training")
    loss.plot(
        epochs,
        [epoch.validation_mse for epoch in history],
        color=LIGHT.denoised,
        marker=mark,
        ms=3,
        label="validation MSE",
        linestyle="--",
    )
    loss.set(title="objective")
    loss.legend()
    psnr = [np.nan if epoch.validation_psnr_db is None else epoch.validation_psnr_db for epoch in history]
    quality.plot(epochs, psnr, color=LIGHT.denoised, marker=mark, ms=3)
    quality.set(title="validation PSNR in dB")
    rate.plot(epochs, [epoch.learning_rate for epoch in history], color=LIGHT.ink, marker=mark, ms=3)
    rate.set(title="learning rate")
    rate.set_ylim(bottom=0)
    for axis in (loss, quality, rate):
        axis.axvline(conditions.best_epoch, color=LIGHT.other, linewidth=1, linestyle=":")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axis.grid(visible=True)
    return figure


def _legend(axis: Axes) -> None:
    """Above the curves, where it hides none of them."""
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _over_frequencies(report: Report, what: str) -> tuple[Figure, Axes]:
    size = report.pixel_size_angstrom
    figure = Figure(figsize=_CURVE_IN, layout="constrained")
    axis = figure.subplots()
    axis.set(xlabel=f"spatial frequency in {'1/px' if size is None else '1/Å'}", ylabel=what)
    axis.set_xlim(0, HIGHEST / (size or 1.0))
    axis.grid(visible=True)
    return figure, axis
