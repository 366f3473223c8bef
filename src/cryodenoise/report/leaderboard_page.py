"""leaderboard.html: one file that needs nothing but a browser, and trusts no word of what it shows."""

import base64
import hashlib
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from cryodenoise.config.submission import Entry, Leaderboard
from cryodenoise.report import templates, theme, wording
from cryodenoise.report.leaderboard_columns import COLUMNS, SUBMISSION, TRACKS
from cryodenoise.report.wording import of_a_stranger

_TEMPLATE = "leaderboard.html.jinja"
_ADDRESS = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def page(board: Leaderboard) -> str:
    """The page, as HTML: a table and charts for each track and set, and what was left out."""
    sets = [
        _set(number, track, reference_set, list(entries))
        for number, ((track, reference_set), entries) in enumerate(groupby(board.entries, _of_a_set), start=1)
    ]
    style = templates.source("page.css") + templates.source("leaderboard.css") + _colours()
    script = templates.source("leaderboard.js")
    return templates.rendered(
        _TEMPLATE,
        style=style,
        script=script,
        digests={"style": _digest(style), "script": _digest(script)},
        columns=COLUMNS,
        submission=SUBMISSION,
        submissions=wording.pieces(len(board.entries), "submission"),
        tracks={entry.track: TRACKS[entry.track][0] for entry in board.entries},
        divisions=sorted({entry.division for entry in board.entries}),
        sets=sets,
        packages=[
            (_name(entry), of_a_stranger(entry.package_sha256), ", ".join(map(str, entry.seeds)))
            for entry in board.entries
        ],
        left_out=[
            (of_a_stranger(each.name), [of_a_stranger(finding) for finding in each.findings]) for each in board.left_out
        ],
    )


def address(entry: Entry) -> str | None:
    """Where the page of its report is, seen from the leaderboard; None unless it is a plain path below that."""
    return entry.page if entry.page and _ADDRESS.fullmatch(entry.page) else None


def _set(number: int, track: str, reference_set: str, entries: Sequence[Entry]) -> dict[str, Any]:
    title, against = TRACKS[track]
    rows = [_row(f"set-{number}", _letters(place), entry) for place, entry in enumerate(entries)]
    return {
        "id": f"set-{number}",
        "track": track,
        "title": title,
        "reference_set": of_a_stranger(reference_set),
        "says": f"{against}. {wording.pieces(len(entries), 'submission')}.",
        "divisions": list(dict.fromkeys(entry.division for entry in entries)),
        "rows": rows,
        "reviews": [row for row in rows if row["reviews"]],
    }


def _row(set_id: str, letters: str, entry: Entry) -> dict[str, Any]:
    around = entry.psnr_interval_db
    return {
        "id": f"{set_id}-{letters}",
        "letters": letters,
        "name": _name(entry),
        "division": entry.division,
        "psnr": entry.psnr_db,
        "low": around.low if around else entry.psnr_db,
        "high": around.high if around else entry.psnr_db,
        "across": {
            "time": entry.training_s,
            "gpu": entry.peak_device_memory_bytes,
            "host": entry.peak_host_memory_bytes,
        },
        "cells": [(column, column.value(entry), column.text(entry), column.below(entry)) for column in COLUMNS],
        "address": address(entry),
        "reviews": [of_a_stranger(review) for review in entry.reviews],
    }


def _of_a_set(entry: Entry) -> tuple[str, str]:
    return entry.track, entry.reference_set


def _name(entry: Entry) -> str:
    return " · ".join(map(of_a_stranger, (entry.organization, entry.system, entry.descriptor)))


def _letters(place: int) -> str:
    """A, B, … Z, AA, AB, …: what a row and its mark in the charts are called."""
    before, last = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


def _colours() -> str:
    def of_divisions(colours: theme.Theme) -> str:
        return f":root {{ --closed: {colours.denoised}; --open: {colours.noisy}; }}"

    return f"{of_divisions(theme.LIGHT)}\n@media (prefers-color-scheme: dark) {{ {of_divisions(theme.DARK)} }}\n"


def _digest(text: str) -> str:
    """What the page's policy calls this style or script, so that the browser runs no other."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
