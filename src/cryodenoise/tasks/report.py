"""Command `report`: what people read of one folder of results, or of several side by side."""

from collections.abc import Sequence
from pathlib import Path

from cryodenoise.claims import MARKER_NAME
from cryodenoise.config.report import Report
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.evaluation import measures as beside
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report.build import write_all, write_comparison

DOCUMENT_NAME = "report.json"


def report(results_dirs: Sequence[Path], output_dir: Path | None, console: Console) -> None:
    """Write report.html, figures/ and tables/ of one folder, or comparison.html of several.

    Args:
        results_dirs: Folders that `test` wrote; nothing else is read.
        output_dir: Gets the files; None takes the folder itself, if it is but one.
        console: Takes what is to be said.

    Raises:
        UserError: If a folder holds no finished report of this version with its measures, one is given twice, or there
            is no place for the comparison of several.
    """
    if len(results_dirs) > 1 and output_dir is None:
        raise UserError(
            f"{len(results_dirs)} folders of results, and no --output_dir: give a folder that gets comparison.html"
        )
    if len({path.resolve() for path in results_dirs}) < len(results_dirs):
        raise UserError("a folder of results is given twice: give each once")
    opened = {path: open_results(path) for path in results_dirs}
    if len(opened) > 1 and output_dir is not None:
        page, ordered = write_comparison(opened, output_dir)
        for place, results_dir in enumerate(ordered, start=1):
            console.say(f"run {place}: {results_dir}")
        console.say(f"{page}")
        return
    results_dir, (document, measures) = next(iter(opened.items()))
    page, *others = write_all(results_dir, document, measures, output_dir or results_dir)
    console.say(f"{page}")
    for folder in dict.fromkeys(path.parent for path in others):
        console.say(f"{folder}: {sum(path.parent == folder for path in others)} files")


def open_results(results_dir: Path) -> tuple[Report, Measures]:
    """The finished report of a folder and its measures.

    Raises:
        UserError: If there is none, it is of another version or was edited, or the measures are missing or not its own.
    """
    path = results_dir / DOCUMENT_NAME
    if not results_dir.is_dir():
        found = "is a file" if results_dir.exists() else "does not exist"
        raise UserError(f"{results_dir}: {found}, expected a folder that `cryodenoise test` wrote: run that first")
    if not path.is_file():
        if (results_dir / MARKER_NAME).exists():
            raise UserError(f"{results_dir}: unfinished: run `cryodenoise test` again, then this command")
        raise UserError(f"{path}: missing: give a folder that `cryodenoise test` wrote, such as workspace/results")
    document = Report.load_document(path)
    return document, beside.load(results_dir / beside.NAME, document.measures_sha256)
