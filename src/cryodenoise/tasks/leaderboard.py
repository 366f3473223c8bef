"""Command `leaderboard`: the packages of a folder, checked and ranked."""

from collections.abc import Iterator
from pathlib import Path

from cryodenoise.config.submission import APPLICATION, Entry, LeftOut
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.evaluation import measures
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import leaderboard as board
from cryodenoise.report.build import page_of
from cryodenoise.submission.check import SENSELESS, checked
from cryodenoise.submission.entries import entry_of, report_folder
from cryodenoise.submission.events import shown
from cryodenoise.submission.package import MANIFEST_NAME, Package
from cryodenoise.submission.ranking import leaderboard as ranked
from cryodenoise.tasks.findings_told import lines, review_lines

PAGES = "reports"


def leaderboard(folder: Path, output_dir: Path | None, console: Console) -> None:
    """Rank packages; those that break a rule are named and left out.

    Args:
        folder: Holds archives that `submit` wrote, or the folders in them; of a package that is there as both, the
            archive counts.
        output_dir: Gets leaderboard.json, leaderboard.md, leaderboard.html and reports/; None takes `folder`.
        console: Takes what is to be said.

    Raises:
        UserError: If there is no such folder, or output_dir cannot be written.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no folder, expected one that holds packages")
    output_dir = output_dir or folder
    make_directory(output_dir / PAGES)
    entries: dict[tuple[str, str, str], Entry] = {}
    left_out = []
    for path in _packages(folder):
        name = path.relative_to(folder).as_posix()
        with checked(path) as outcome:
            package = outcome.package
            if package is None or outcome.findings:
                left_out.append(LeftOut(name=name, findings=lines(outcome)))
                console.say(f"{name}: left out: {len(outcome.findings)} findings")
                continue
            try:
                entry = entry_of(package, review_lines(outcome), None)
                page = _page(package)
            except SENSELESS as error:  # values that break no rule, and that no run has
                told = f"PACKAGE-7: cannot be shown: {type(error).__name__}: {shown(str(error))}"
                left_out.append(LeftOut(name=name, findings=[told]))
                console.say(f"{name}: left out: {told}")
                continue
        names = entry.organization, entry.system, entry.descriptor
        if names not in entries:
            place = f"{PAGES}/{entry.organization}-{entry.system}-{entry.descriptor}-{entry.package_sha256[:8]}.html"
            write_atomically(output_dir / place, page.encode())
            entries[names] = entry.model_copy(update={"page": place})
            console.say(f"{name}: {entry.psnr_db:.3f} dB, {entry.track}, {entry.division}")
    for path in board.write(ranked(entries.values(), left_out), output_dir):
        console.say(f"{path}")


def _packages(folder: Path) -> Iterator[Path]:
    """Archives first, then folders."""
    yield from sorted(path for path in folder.glob("*.tar") if path.is_file())
    yield from sorted(path.parent for path in folder.glob(f"*/{APPLICATION}/*/*/{MANIFEST_NAME}"))


def _page(package: Package) -> str:
    """The page of a package's first report."""
    report, results = package.runs[0].report, report_folder(package, 0)
    return page_of(results, report, measures.load(results / measures.NAME, report.measures_sha256))
