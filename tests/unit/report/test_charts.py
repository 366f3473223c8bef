import os
import re
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report import charts, curves, distributions, theme

Variants = dict[str, tuple[Report, Measures]]


def texts(figure: Figure) -> list[str]:
    axes = figure.axes
    legends = [legend for axis in axes if (legend := axis.get_legend())]
    labels = [label for axis in axes for label in (axis.get_xlabel(), axis.get_ylabel(), axis.get_title())]
    return [text.get_text() for legend in legends for text in legend.get_texts()] + [each for each in labels if each]


def steps(figure: Figure) -> list[Any]:
    """Values, edges and baseline of each histogram."""
    return [patch.get_data() for axis in figure.axes for patch in axis.patches if isinstance(patch, StepPatch)]


@pytest.mark.parametrize("name", ["no-error", "halves", "predictions", "no-pixel-size"])
def test_every_chart_is_drawn_of_every_sort_of_report(variants: Variants, name: str) -> None:
    report, measures = variants[name]
    for chart in charts.of_report(report):
        content = theme.drawn(lambda chart=chart: chart.draw(report, measures), [".png"])[".png"]  # type: ignore[misc]
        image = matplotlib.image.imread(BytesIO(content), format="png")[..., :3]
        assert image.min() < 0.5 < image.max()
    names = [chart.name for chart in charts.of_report(report)]
    assert ("training" in names) == (report.training is not None)


def test_curves_have_units_and_both_thresholds(variants: Variants) -> None:
    report, measures = variants["halves"]
    figure = curves.frc(report, measures)
    assert "spatial frequency in 1/Å" in texts(figure)
    assert "denoised halves with each other" in texts(figure)
    heights = [np.asarray(line.get_ydata()) for line in figure.axes[0].get_lines()]
    assert [height[0] for height in heights if np.ptp(height) == 0] == [0.5, 0.143]
    drawn = next(line for line in figure.axes[0].get_lines() if line.get_label() == "denoised with target")
    assert np.array_equal(drawn.get_ydata(), report.against_target.spectra.denoised.frc)
    assert np.array_equal(drawn.get_xdata(), np.array(report.against_target.spectra.frequency_per_px) / 2.5)
    unknown, measures = variants["no-pixel-size"]
    assert "spatial frequency in 1/px" in texts(curves.power(unknown, measures))
    assert "denoised halves with each other" not in texts(curves.frc(unknown, measures))


def test_training_marks_the_epoch_that_was_scored(variants: Variants) -> None:
    figure = curves.training(*variants["truth"])
    assert [axis.get_title() for axis in figure.axes] == ["objective", "validation PSNR in dB", "learning rate"]
    for axis in figure.axes:
        assert [line.get_xdata() for line in axis.get_lines() if line.get_linestyle() == ":"] == [[7, 7]]


def test_histograms_are_densities(variants: Variants) -> None:
    report, measures = variants["truth"]
    figure = distributions.histograms(report, measures)
    for values, edges, _ in steps(figure):
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)


def test_patches_without_an_error_are_left_out_of_the_scatter(variants: Variants) -> None:
    report, measures = variants["truth"]
    mse = measures.denoised_mse.copy()
    mse[:3] = 0
    figure = distributions.scatter(report, replace(measures, denoised_mse=mse))
    assert np.asarray(figure.axes[1].collections[0].get_offsets()).shape == (report.samples - 3, 2)


def test_a_denoiser_that_does_nothing_is_drawn(variants: Variants) -> None:
    report, measures = variants["truth"]
    counts = np.zeros_like(measures.histogram_residual)
    counts[64] = 1000
    idle = replace(measures, residual_range=np.zeros(2), histogram_residual=counts, denoised_mse=measures.noisy_mse)
    for draw in (distributions.histograms, distributions.scatter):
        assert theme.drawn(lambda draw=draw: draw(report, idle), [".png"])[".png"]  # type: ignore[misc]
    spectra = report.that_counts.spectra.model_copy(update={"residual_power": [0.0] * 16})
    scores = report.that_counts.model_copy(update={"spectra": spectra})
    figure = curves.power(report.model_copy(update={"against_truth": scores}), idle)
    assert "residual" not in texts(figure)


def test_one_value_of_correlation_is_drawn(variants: Variants) -> None:
    report, measures = variants["truth"]
    same = np.full(report.samples, 0.5)
    figure = distributions.correlation(report, replace(measures, noisy_correlation=same, denoised_correlation=same))
    assert max(values.max() for values, _, _ in steps(figure)) == report.samples


def test_a_dark_drawing_differs_by_its_colours_alone(variants: Variants) -> None:
    report, measures = variants["truth"]
    light = theme.drawn(lambda: curves.power(report, measures), [".svg"])[".svg"]
    dark = theme.for_dark(light)
    assert theme.LIGHT.denoised.encode() in light
    assert theme.DARK.denoised.encode() in dark
    assert theme.LIGHT.ink.encode() not in dark
    assert re.sub(rb"#[0-9a-f]{6}", b"", light) == re.sub(rb"#[0-9a-f]{6}", b"", dark)
    assert b"http-equiv" not in light
    assert not re.search(rb'(href|src)="(?!#|data:)', light)


def test_files_are_the_same_in_another_process(built: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import reports; from cryodenoise.report import charts\n"
        "report, measures = reports.variants()['truth']\n"
        "chart = next(chart for chart in charts.CHARTS if chart.name == 'frc')\n"
        "charts.CHARTS = (chart,)\n"
        "charts.write(Path(sys.argv[1]), charts.drawn(report, measures, charts.FILES))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    for name in ("frc.png", "frc.pdf"):
        assert (tmp_path / "figures" / name).read_bytes() == (built / "figures" / name).read_bytes()
