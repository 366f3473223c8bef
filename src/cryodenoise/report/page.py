"""report.html and comparison.html: one file each, that needs nothing but a browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryodenoise.config.report import Report
from cryodenoise.config.scores import AgainstReference, Spread
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report import charts, headline, images, tables, templates, theme, wording
from cryodenoise.report.tables import Table
from cryodenoise.report.wording import NOTHING, beside, interval, number

_TEMPLATE = "page.html.jinja"


@dataclass(frozen=True)
class Run:
    """What `test` left in a folder of results, and its charts.

    Attributes:
        report: The report.
        measures: What stands beside it.
        charts: SVG files of the charts by name.
    """

    report: Report
    measures: Measures
    charts: Mapping[str, bytes]


def single(run: Run) -> str:
    """The page of one run, as HTML."""
    title = f"{run.report.denoiser.name}: report of cryodenoise"
    return _render(title=title, runs=[_shown(run, 1)], comparison=None, warning=None)


def comparison(runs: Sequence[Run]) -> str:
    """Several runs on one page: their headline scores, best gain over the best baseline first, then each of them."""
    several = in_order(runs)
    datasets = dict.fromkeys(run.report.dataset_identity for run in several)
    warning = None
    if len(datasets) > 1:
        warning = (
            f"These runs are of {len(datasets)} different datasets, so their scores cannot be compared: another "
            "dataset has other images, another noise or another split. The column dataset tells which belong together."
        )
    shown = [_shown(run, place) for place, run in enumerate(several, start=1)]
    title = f"{wording.pieces(len(several), 'run')} of cryodenoise side by side"
    compared = [_headline_scores(several), *_differences(several)]
    return _render(title=title, runs=shown, comparison=compared, warning=warning)


def in_order(runs: Sequence[Run]) -> list[Run]:
    """The largest gain over the best baseline first, those without one last."""
    return sorted(runs, key=_by_gain)


def _render(**shown: Any) -> str:
    return templates.rendered(_TEMPLATE, **shown)


def _by_gain(run: Run) -> tuple[bool, float]:
    scores = run.report.that_counts
    gain = scores.methods[scores.best_baseline].gain_db
    return gain is None, -(gain or 0.0)


def _headline_scores(runs: Sequence[Run]) -> Table:
    rows = []
    for place, run in enumerate(runs, start=1):
        report, scores = run.report, run.report.that_counts
        best, its, around = scores.methods[scores.best_baseline], scores.denoised, scores.intervals
        rows.append(
            (
                f"{place}: {report.denoiser.name}",
                beside(wording.gain(best.gain_db), interval(best.gain_interval, 2, signed=True)),
                best.title,
                wording.reference_of(report),
                beside(wording.psnr(its.psnr_db), interval(around.psnr_db if around else None, 2)),
                number(its.mse, 6),
                number(its.ssim.mean, 4),
                number(its.correlation.mean, 4),
                f"{report.samples:,}",
                report.dataset_identity[:8],
            )
        )
    header = (
        "run", "gain/dB", "over", "against", "PSNR/dB", "MSE", "SSIM", "correlation", "patches", "dataset"
    )  # fmt: skip
    return Table("comparison", "Headline scores; in brackets 95 % intervals", header, tuple(rows))


def _differences(runs: Sequence[Run]) -> Iterator[Table]:
    """What the run files of `train` say differently, if they do."""
    trainings = [run.report.training for run in runs]
    told = [dict(tables.flat(training.made_from.parameters)) if training else {} for training in trainings]
    keys = dict.fromkeys(key for each in told for key in each)
    rows = [(key, *(each.get(key, NOTHING) for each in told)) for key in keys]
    differing = tuple(row for row in rows if len(set(row[1:])) > 1)
    if differing:
        header = ("", *(f"run {place}" for place in range(1, len(runs) + 1)))
        yield Table("differences", "Where the run files of train differ", header, differing)


def _shown(run: Run, place: int) -> dict[str, Any]:
    """What the template shows of a run."""
    report, measures = run.report, run.measures
    performance, *others = tables.of_report(report)
    second = [others.pop(0)] if report.against_truth else []
    return {
        "id": f"run-{place}",
        "place": place,
        "report": report,
        "reference": wording.reference_of(report),
        "headline": headline.of_report(report),
        "facts": list(_facts(report)),
        "performance": [performance, *second],
        "affine_fitted": headline.affine_fitted(report),
        "spreads": _spreads(report),
        "examples": [_example(example) for example in images.examples(report, measures)],
        "charts": [_chart(chart, run.charts[chart.name]) for chart in charts.CHARTS if chart.name in run.charts],
        "blank": report.blank and headline.blank(report.blank),
        "blank_baselines": report.blank and _energies(report),
        "regions": _regions(report),
        "seeds": _seeds(report),
        "efficiency": others[0],
        "architecture": others[1],
        "self_tests": Table(
            "self_tests",
            "Answers of the scorer that are known beforehand",
            ("what was scored", "expected", "found"),
            tuple((test.name, f"{test.expected:.9g}", f"{test.found:.9g}") for test in report.self_tests),
        ),
        "provenance": list(_provenance(report)),
    }


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """The scores that count, by what they are called."""
    scores = report.that_counts
    its, around, size = scores.denoised, scores.intervals, report.pixel_size_angstrom
    curve, noisy = scores.spectra.denoised, scores.methods["noisy_input"].scores
    yield "PSNR", beside(f"{wording.psnr(its.psnr_db)} dB", interval(around.psnr_db if around else None, 2))
    yield "of the noisy input", f"{wording.psnr(noisy.psnr_db)} dB"
    yield "structural similarity", beside(number(its.ssim.mean, 4), interval(around.ssim if around else None, 4))
    yield (
        "correlation",
        beside(number(its.correlation.mean, 4), interval(around.correlation if around else None, 4)),
    )
    yield "edge preservation", number(its.edge_preservation.mean, 4)
    yield "FRC below 0.5 at", wording.frequency(curve.frc_below_0_5_per_px, size)
    yield "FRC below 0.143 at", wording.frequency(curve.frc_below_0_143_per_px, size)


def _spreads(report: Report) -> Table:
    its: AgainstReference = report.that_counts
    scores = its.denoised
    shown: tuple[tuple[str, Spread | None, int], ...] = (
        ("PSNR/dB", scores.patch_psnr_db, 2),
        ("SSIM", scores.ssim, 4),
        ("correlation", scores.correlation, 4),
        ("edge preservation", scores.edge_preservation, 4),
    )
    rows = tuple(
        (name, *(number(getattr(spread, key), digits) for key in ("mean", "median", "min", "max")))
        for name, spread, digits in shown
        if spread is not None
    )
    return Table("spreads", "Scores a patch", ("", "mean", "median", "lowest", "highest"), rows)


def _example(example: images.Example) -> dict[str, Any]:
    height, width = example.panels[0].image.shape
    psnr = f"PSNR {wording.psnr(example.psnr_db)} dB, before {wording.psnr(example.noisy_psnr_db)} dB"
    return {
        "name": example.name,
        "height": height,
        "width": width,
        "says": f"{psnr}; micrograph {example.micrograph} of the dataset, row {example.row}, column {example.column}",
        "panels": [
            {
                "name": panel.name,
                "title": panel.title,
                "uri": images.data_uri(images.png(panel), "image/png"),
                "alt": f"{example.name} patch, {panel.title}, black {panel.low:.3g}, white {panel.high:.3g}",
            }
            for panel in example.panels
        ],
    }


def _chart(chart: charts.Chart, svg: bytes) -> dict[str, Any]:
    light, dark = (images.data_uri(content, "image/svg+xml") for content in (svg, theme.for_dark(svg)))
    return {
        "name": chart.name,
        "title": chart.title,
        "says": chart.says,
        "wide": chart.wide,
        "light": light,
        "dark": dark,
    }


def _energies(report: Report) -> Table:
    assert report.blank is not None
    methods = report.that_counts.methods
    titles = {name: methods[name].title if name in methods else name for name in report.blank.energy_of_baselines}
    energies = [(titles[name], energy) for name, energy in report.blank.energy_of_baselines.items()]
    rows = tuple(
        (name, wording.percent(energy, 2)) for name, energy in ((report.denoiser.name, report.blank.energy), *energies)
    )
    return Table("blank", "What is left of noise on empty ice, as a share of its variance", ("", "energy"), rows)


def _regions(report: Report) -> Table | None:
    region = report.region_snr
    if region is None:
        return None
    rows = [("noisy input", number(region.noisy_input_db, 2)), (report.denoiser.name, number(region.denoised_db, 2))]
    if region.reference_db is not None:
        rows.append((wording.reference_of(report), number(region.reference_db, 2)))
    caption = f"Signal-to-noise ratio of {wording.pieces(region.particles, 'particle')} in the ice beside them"
    return Table("regions", caption, ("", "SNR/dB"), tuple(rows))


def _seeds(report: Report) -> Table | None:
    spread = report.across_seeds
    if spread is None:
        return None
    rows = [(f"seed {seed}", wording.psnr(psnr)) for seed, psnr in zip(spread.seeds, spread.psnr_db, strict=True)]
    rows += [
        ("mean, 95 % interval", beside(wording.psnr(spread.mean_db), interval(spread.interval_db, 2))),
        ("standard deviation", number(spread.standard_deviation_db, 3)),
        ("mean gain over the best baseline", wording.gain(spread.gain_mean_db)),
    ]
    return Table("seeds", "Trainings that differ by their seed alone", ("", "PSNR/dB"), tuple(rows))


def _provenance(report: Report) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Heading and lines of each part of where a report comes from."""
    training = report.training
    yield (
        "digests",
        [
            ("report", report.content_sha256 or NOTHING),
            ("dataset", report.dataset_identity),
            ("what was scored", report.denoiser.sha256 or NOTHING),
            ("measures.npz", report.measures_sha256),
        ],
    )
    made = {
        "download": report.download,
        "preprocess": report.preprocess,
        "train": training and training.made_from,
        "test": report.made_from,
    }
    machine = {"train": training.machine if training else {}, "test": report.machine}
    for task, made_from in made.items():
        if made_from:
            yield f"run file of {task}", list(tables.flat({**made_from.parameters, **machine.get(task, {})}))
            yield f"inputs of {task}", list(tables.flat(made_from.inputs))
    if training:
        yield "environment of train", list(tables.flat(training.environment))
    yield "environment of test", list(tables.flat(report.environment))
    if report.skipped:
        yield "micrographs left out", [(each.name, each.reason) for each in report.skipped]
