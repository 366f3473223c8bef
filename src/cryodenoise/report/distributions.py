"""Charts of how pixels and patches are distributed, and the example patches."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import BINS, Measures
from cryodenoise.report import images
from cryodenoise.report.theme import LIGHT
from cryodenoise.report.wording import psnr, reference_of

_COUNTS = "cividis"  # reads alike with and without colour vision
_CORRELATION_BINS = 40
_RASTERIZED_FROM = 2000  # points, of which a drawing by lines would become large


def examples(report: Report, measures: Measures) -> Figure:
    """Best, median and worst patch, one row each: noisy, denoised, reference, residual."""
    rows = images.examples(report, measures)
    height, width = rows[0].panels[0].image.shape
    figure = Figure(figsize=(7.2, 5.4 * height / width + 0.5), layout="constrained")
    for example, axes in zip(rows, figure.subplots(len(rows), len(images.PANELS)), strict=True):
        for panel, axis in zip(example.panels, axes, strict=True):
            signed = panel.name == "residual"
            axis.imshow(panel.image, cmap="RdBu_r" if signed else "gray", vmin=panel.low, vmax=panel.high)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if example is rows[0]:
                axis.set_title(panel.title)
        axes[0].set_ylabel(f"{example.name}\n{psnr(example.psnr_db)} dB")
    return figure


def histograms(report: Report, measures: Measures) -> Figure:
    """Intensities of noisy, denoised and reference, and the residual beside a normal law."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = _edges(measures.range)
    shown = (
        ("noisy", measures.histogram_noisy, LIGHT.noisy, "-."),
        ("denoised", measures.histogram_denoised, LIGHT.denoised, "-"),
        (reference_of(report), measures.histogram_reference, LIGHT.ink, "--"),
    )
    for label, counts, colour, line in shown:
        left.stairs(_density(counts, edges), edges, color=colour, label=label, linewidth=1.4, linestyle=line)
    left.set(xlabel="intensity", ylabel="density", yscale="log", xlim=(edges[0], edges[-1]))
    edges = _edges(measures.residual_range)
    counts, middles = measures.histogram_residual, (edges[1:] + edges[:-1]) / 2
    right.stairs(_density(counts, edges), edges, color=LIGHT.residual, label="noisy − denoised", linewidth=1.4)
    if np.count_nonzero(counts) > 1:
        mean = np.average(middles, weights=counts)
        variance = np.average((middles - mean) ** 2, weights=counts)
        normal = np.exp(-((middles - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        seen = normal > _density(counts, edges)[counts > 0].min() / 10
        right.plot(middles[seen], normal[seen], color=LIGHT.other, linestyle=":", label="normal law", linewidth=1.4)
    right.set(xlabel="residual", yscale="log", xlim=(edges[0], edges[-1]))
    for axis in (left, right):
        axis.grid(visible=True)
        axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1, handlelength=1.8)
    return figure


def scatter(report: Report, measures: Measures) -> Figure:
    """Intensity denoised against that of the reference, and PSNR of each patch out against in."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = _edges(measures.range)
    low, high = edges[0], edges[-1]
    counted = np.ma.masked_equal(measures.joint, 0)
    scale = LogNorm(1, max(10, int(measures.joint.max())))
    image = left.imshow(counted, origin="lower", extent=(low, high, low, high), cmap=_COUNTS, norm=scale, aspect="auto")
    figure.colorbar(image, ax=left, label="pixels", fraction=0.06)
    left.axline((low, low), slope=1, color=LIGHT.ink, linewidth=0.9, linestyle="--")
    for axis, which in (("x", 0), ("y", 1)):
        present = np.flatnonzero(measures.joint.sum(axis=which))
        ends = np.array([present.min(), present.max() + 1]) if present.size else np.array([0, len(measures.joint)])
        left.set(**{f"{axis}lim": low + (high - low) * ends / len(measures.joint)})
    left.set(xlabel=f"intensity, {reference_of(report)}", ylabel="intensity, denoised")
    errors = np.stack([measures.noisy_mse, measures.denoised_mse])
    before, after = -10 * np.log10(errors[:, (errors > 0).all(axis=0)])
    right.scatter(
        before, after, s=9, alpha=0.6, color=LIGHT.denoised, linewidths=0, rasterized=before.size > _RASTERIZED_FROM
    )
    if before.size:
        right.axline((before.min(), before.min()), slope=1, color=LIGHT.ink, lw=0.9, ls="--", label="no gain")
        lowest, highest = min(before.min(), after.min()), max(before.max(), after.max())
        margin = 0.05 * (highest - lowest) or 0.5
        right.set_ylim(lowest - margin, highest + margin)
        right.legend(loc="lower right")
    right.set(xlabel="PSNR of the noisy patch in dB", ylabel="PSNR denoised in dB")
    right.grid(visible=True)
    return figure


def correlation(report: Report, measures: Measures) -> Figure:
    """Distribution of the correlation with the reference over patches."""
    figure = Figure(figsize=(5.4, 3.0), layout="constrained")
    axis = figure.subplots()
    both = np.concatenate([measures.noisy_correlation, measures.denoised_correlation])
    low, high = float(both.min()), float(both.max())
    if high - low < 1e-6:
        low, high = low - 0.01, high + 0.01
    edges = np.linspace(low, high, _CORRELATION_BINS + 1)
    for label, values, colour, line in (
        ("noisy", measures.noisy_correlation, LIGHT.noisy, "-."),
        ("denoised", measures.denoised_correlation, LIGHT.denoised, "-"),
    ):
        counts, _ = np.histogram(values, edges)
        text = f"{label}: median {np.median(values):.3f}"
        axis.stairs(counts, edges, fill=True, color=colour, alpha=0.35)
        axis.stairs(counts, edges, color=colour, linewidth=1.3, label=text, linestyle=line)
    axis.set(xlabel=f"Pearson correlation of a patch with the {reference_of(report)}", ylabel="patches")
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(visible=True)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure


def _edges(ends: np.ndarray) -> np.ndarray:
    """Edges of the bins between both ends, also where there is but one value."""
    low, high = float(ends[0]), float(ends[1])
    return np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, BINS + 1)


def _density(counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.asarray(counts / max(int(counts.sum()), 1) / np.diff(edges))
