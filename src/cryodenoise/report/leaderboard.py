"""A leaderboard as files: leaderboard.json, leaderboard.md and leaderboard.html."""

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from cryodenoise.config.submission import Entry, Leaderboard, LeftOut
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import leaderboard_page, tables, wording
from cryodenoise.report.leaderboard_columns import COLUMNS, SUBMISSION, TRACKS
from cryodenoise.report.tables import Table
from cryodenoise.report.wording import beside, of_a_stranger

DOCUMENT_NAME = "leaderboard.json"
TABLES_NAME = "leaderboard.md"
PAGE_NAME = "leaderboard.html"
_ACTIVE = re.compile(r"[\\`*_{}\[\]<>()#!|~&:@$]|(?<=www)\.")


def write(board: Leaderboard, output_dir: Path) -> list[Path]:
    """Write the document, its tables and its page; equal leaderboards give equal bytes.

    Args:
        board: Submissions in the order in which they are shown, each with its place. What is said of packages that are
            left out loses the places on the machine that it names.
        output_dir: Gets the files; created if missing.

    Returns:
        The paths of the document, the tables and the page.

    Raises:
        UserError: If output_dir cannot be written.
    """
    told = board.model_copy(update={"left_out": [_told(each) for each in board.left_out]})
    contents = {DOCUMENT_NAME: told.dumps(), TABLES_NAME: markdown(told), PAGE_NAME: leaderboard_page.page(told)}
    make_directory(output_dir)
    for name, text in contents.items():
        write_atomically(output_dir / name, text.encode())
    return [output_dir / name for name in contents]


def markdown(board: Leaderboard) -> str:
    """A table for each track, set and division, and what was left out."""
    parts = ["# Leaderboard of cryodenoise\n"]
    if not board.entries:
        parts.append("No submission is ranked.\n")
    for (track, reference_set, division), group in groupby(board.entries, _group):
        title, against = TRACKS[track]
        parts.append(f"## {title}, {_escaped(reference_set)}, {division} division\n")
        parts.append(tables.markdown(_table(list(group), against), escape=str))
    reviews = [f"- {_name(entry)}: {_escaped(review)}" for entry in board.entries for review in entry.reviews]
    left_out = [
        f"- {_escaped(each.name)}\n" + "".join(f"  - {_escaped(finding)}\n" for finding in each.findings)
        for each in board.left_out
    ]
    if reviews:
        parts += ["## For review\n", "\n".join(reviews) + "\n"]
    if left_out:
        parts += ["## Left out\n", "".join(left_out)]
    return "\n".join(parts)


def _told(left_out: LeftOut) -> LeftOut:
    return LeftOut(name=left_out.name, findings=[wording.without_places(each) for each in left_out.findings])


def _group(entry: Entry) -> tuple[str, str, str]:
    return entry.track, entry.reference_set, entry.division


def _table(entries: Sequence[Entry], against: str) -> Table:
    columns = [column for column in COLUMNS if column.heading != "division"]
    rows = []
    for entry in entries:
        cells = {column.heading: _escaped(column.text(entry)) for column in columns}
        address = leaderboard_page.address(entry)
        if address:
            cells[SUBMISSION] = f"[{cells[SUBMISSION]}]({address})"
        rows.append(tuple(_joined(cells[column.heading], _escaped(column.below(entry))) for column in columns))
    caption = f"{against}; in brackets 95 % intervals over seeds. Submissions that the seeds cannot tell apart share a "
    return Table("leaderboard", f"{caption}place.", tuple(column.heading for column in columns), tuple(rows))


def _joined(text: str, below: str) -> str:
    return f"{text}, {below}" if below and not below.startswith(r"\[") else beside(text, below)


def _name(entry: Entry) -> str:
    return _escaped(" · ".join((entry.organization, entry.system, entry.descriptor)))


def _escaped(text: str) -> str:
    """Text in which Markdown sees no markup, link or mention."""
    return _ACTIVE.sub(r"\\\g<0>", of_a_stranger(text))
