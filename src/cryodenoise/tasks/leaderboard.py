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
from cryodenoise.submission.check import Outcome, checked
from cryodenoise.submission.entries import entry_of, report_folder
from cryodenoise.submission.package import MANIFEST_NAME
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
    entries: dict[str, Entry] = {}
    left_out = []
    for path in _packages(folder):
        name = path.relative_to(folder).as_posix()
        with checked(path) as outcome:
            package = outcome.package
            if package is None or outcome.findings:
                left_out.append(LeftOut(name=name, findings=lines(outcome)))
                console.say(f"{name}: left out: {len(outcome.findings)} findings")
                continue
            entry = entry_of(package, review_lines(outcome), _page(outcome, output_dir))
        if entry.package_sha256 not in entries:
            entries[entry.package_sha256] = entry
            console.say(f"{name}: {entry.psnr_db:.3f} dB, {entry.track}, {entry.division}")
    for path in board.write(ranked(entries.values(), left_out), output_dir):
        console.say(f"{path}")


def _packages(folder: Path) -> Iterator[Path]:
    """Archives first, then folders."""
    yield from sorted(path for path in folder.glob("*.tar") if path.is_file())
    yield from sorted(path.parent for path in folder.glob(f"*/{APPLICATION}/*/*/{MANIFEST_NAME}"))


def _page(outcome: Outcome, output_dir: Path) -> str:
    """Write the page of a package's first report; its place relative to the leaderboard."""
    assert outcome.package, "a package that breaks a rule is left out before"
    manifest, report = outcome.package.manifest, outcome.package.runs[0].report
    results = report_folder(outcome.package, 0)
    of_patches = measures.load(results / measures.NAME, report.measures_sha256)
    name = f"{PAGES}/{manifest.organization}-{manifest.system}-{manifest.descriptor}.html"
    write_atomically(output_dir / name, page_of(results, report, of_patches).encode())
    return name
