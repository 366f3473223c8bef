"""Everything that people read of a folder of results: report.html, figures/ and tables/."""

import json
from pathlib import Path

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import NAME, Measures, require_fitting
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import charts, page, tables, wording

PAGE_NAME = "report.html"
COMPARISON_NAME = "comparison.html"
FOLDERS = (charts.FOLDER, tables.FOLDER)
FILES = (
    PAGE_NAME,
    *(f"{charts.FOLDER}/{chart.name}{suffix}" for chart in charts.CHARTS for suffix in charts.FILES),
    *(f"{tables.FOLDER}/*{suffix}" for suffix in tables.FILES),
)
"""Patterns of the places of all that `write_all` writes."""


def write_all(results_dir: Path, report: Report, measures: Measures, output_dir: Path) -> list[Path]:
    """Write report.html, figures/ and tables/; equal reports give equal bytes.

    Args:
        results_dir: Folder of the report, for messages.
        report: What `test` reported.
        measures: What stands beside it.
        output_dir: Gets the files; created if missing.

    Returns:
        The paths of all files, the page first.

    Raises:
        UserError: If the measures are not the report's, or output_dir cannot be written.
    """
    require_fitting(results_dir / NAME, measures, report)
    shown = _told(report)
    make_directory(output_dir)
    path = output_dir / PAGE_NAME
    drawn = charts.drawn(shown, measures, (*charts.FILES, ".svg"))
    write_atomically(path, page.single(page.Run(shown, measures, _on_the_page(drawn))).encode())
    return [path, *charts.write(output_dir, drawn), *tables.write(output_dir, shown)]


def page_of(results_dir: Path, report: Report, measures: Measures) -> str:
    """The page of a report alone, as HTML; raises a UserError if the measures are not the report's."""
    require_fitting(results_dir / NAME, measures, report)
    told = _told(report)
    return page.single(page.Run(told, measures, _on_the_page(charts.drawn(told, measures, (".svg",)))))


def write_comparison(runs: dict[Path, tuple[Report, Measures]], output_dir: Path) -> tuple[Path, list[Path]]:
    """Write comparison.html of several folders of results; equal reports give equal bytes.

    Args:
        runs: Report and measures of each folder.
        output_dir: Gets the page; created if missing.

    Returns:
        The page's path, and the folders in the order in which the page numbers them.

    Raises:
        UserError: If the measures are not a report's, or output_dir cannot be written.
    """
    shown: dict[Path, page.Run] = {}
    for results_dir, (report, measures) in runs.items():
        require_fitting(results_dir / NAME, measures, report)
        told = _told(report)
        shown[results_dir] = page.Run(told, measures, _on_the_page(charts.drawn(told, measures, (".svg",))))
    make_directory(output_dir)
    path = output_dir / COMPARISON_NAME
    ordered = page.in_order(list(shown.values()))
    write_atomically(path, page.comparison(ordered).encode())
    return path, [results_dir for run in ordered for results_dir, each in shown.items() if each is run]


def _told(report: Report) -> Report:
    """What may be told of a report, with its digest, which one that was not read from a file lacks."""
    digest = json.loads(report.dumps())["content_sha256"]
    return wording.public(report).model_copy(update={"content_sha256": digest})


def _on_the_page(drawn: dict[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The charts as SVG but for the examples, of which a page has the images themselves."""
    return {name: contents[".svg"] for name, contents in drawn.items() if name != "examples"}
