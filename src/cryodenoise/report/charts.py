"""The charts of a report: which there are, what each says, and their files in figures/."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import curves, distributions, theme

FOLDER = "figures"
FILES = (".png", ".pdf")
"""Suffixes of the files of each chart."""
Draw = Callable[[Report, Measures], Figure]


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: Name of its files without the suffix.
        title: What it is called.
        says: What is to be seen in it: caption, and text in place of the picture.
        draw: Draws it.
        wide: Whether it has panels side by side.
        is_there: Whether a report has what it shows.
    """

    name: str
    title: str
    says: str
    draw: Draw
    wide: bool = False
    is_there: Callable[[Report], bool] = lambda report: True  # noqa: ARG005


CHARTS = (
    Chart(
        "examples", "Examples", "The best, the median and the worst patch by PSNR.", distributions.examples, wide=True
    ),
    Chart(
        "histograms",
        "Intensities and residual",
        "How often each intensity occurs in the noisy input, the denoised images and the reference, and how the "
        "residual, noisy less denoised, is distributed beside a normal law of the same mean and variance.",
        distributions.histograms,
        wide=True,
    ),
    Chart(
        "scatter",
        "Pixel by pixel and patch by patch",
        "Left: how many pixels have each pair of intensities, denoised and of the reference; a perfect denoiser has "
        "all on the diagonal. Right: PSNR of each patch before and after; above the diagonal it gains.",
        distributions.scatter,
        wide=True,
    ),
    Chart(
        "correlation",
        "Correlation a patch",
        "How the Pearson correlation with the reference is distributed over the patches, of the noisy input and of the "
        "denoised images.",
        distributions.correlation,
    ),
    Chart(
        "frc",
        "Fourier ring correlation",
        "Agreement at each spatial frequency, 1 being perfect. A filter that weights frequencies alike in all "
        "directions stays on the noisy input's curve, but for the edges: what lies above is beyond it. Dashed: 0.5 and "
        "0.143.",
        curves.frc,
    ),
    Chart(
        "ssnr",
        "Spectral signal-to-noise ratio",
        "Power of the reference over that of the difference from it, at each spatial frequency. An image without "
        "anything there would be on the dashed line, at 1: only what lies above it is better than nothing.",
        curves.ssnr,
        is_there=curves.has_ssnr,
    ),
    Chart(
        "power",
        "Power spectra",
        "Radially averaged power of the noisy input, the denoised images, the reference and the residual. Where the "
        "denoised curve falls below the reference's, detail is lost; where it rises above, noise is left "
        "or something is added.",
        curves.power,
    ),
    Chart(
        "blank",
        "Empty ice",
        "Fourier ring correlation of what the denoiser makes of ice that shows nothing, under two independent noises: "
        "near 0 at all frequencies unless it draws what is not there. The lowest rings scatter most.",
        curves.blank,
        is_there=lambda report: report.blank is not None,
    ),
    Chart(
        "training",
        "Training",
        "Objective, PSNR on the validation split and learning rate by epoch; the dotted line marks the epoch whose "
        "weights were scored.",
        curves.training,
        wide=True,
        is_there=lambda report: report.training is not None,
    ),
)


def of_report(report: Report) -> Iterator[Chart]:
    """The charts that the report has the numbers for."""
    return (chart for chart in CHARTS if chart.is_there(report))


def drawn(report: Report, measures: Measures, suffixes: Collection[str]) -> dict[str, dict[str, bytes]]:
    """The charts of a report by name, each as the content of files by suffix."""
    return {chart.name: theme.drawn(partial(chart.draw, report, measures), suffixes) for chart in of_report(report)}


def write(output_dir: Path, charts: Mapping[str, Mapping[str, bytes]]) -> list[Path]:
    """Write figures/*.png and *.pdf; returns their paths."""
    folder = output_dir / FOLDER
    make_directory(folder)
    written = []
    for name, contents in charts.items():
        for suffix in FILES:
            written.append(folder / f"{name}{suffix}")
            write_atomically(written[-1], contents[suffix])
    return written
