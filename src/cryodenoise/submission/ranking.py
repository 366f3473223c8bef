"""The order of submissions: who is better beyond what its seeds leave open (docs/RULES.md)."""

from collections.abc import Iterable, Sequence
from typing import get_args

from cryodenoise.config.schema import canonical
from cryodenoise.config.scores import Interval
from cryodenoise.config.submission import Division, Entry, Leaderboard, LeftOut, Track

_TRACKS, _DIVISIONS = get_args(Track), get_args(Division)


def leaderboard(entries: Iterable[Entry], left_out: Iterable[LeftOut]) -> Leaderboard:
    """The document of these submissions, ranked, and of those left out, by name; the order of both does not matter."""
    return Leaderboard(
        format=Leaderboard.FORMAT,
        format_version=Leaderboard.VERSION,
        entries=ranked(entries),
        left_out=sorted(left_out, key=lambda each: (each.name, each.findings)),
    )


def ranked(entries: Iterable[Entry]) -> list[Entry]:
    """Give each submission its place among those of its track, reference set and division.

    A place is one more than the number of submissions whose interval lies wholly above, so those that the seeds cannot
    tell apart may share one; a submission without an interval counts as a point.

    Args:
        entries: Submissions in any order; places that they bear are forgotten.

    Returns:
        The submissions by track, set, division and place, of one place the largest mean PSNR first, then by names.
    """
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.track, entry.reference_set, entry.division), []).append(entry)
    placed = [entry for group in groups.values() for entry in _placed(group)]
    return sorted(placed, key=_order)


def _placed(group: Sequence[Entry]) -> list[Entry]:
    lows = [_around(entry).low for entry in group]
    return [entry.model_copy(update={"place": 1 + sum(low > _around(entry).high for low in lows)}) for entry in group]


def _around(entry: Entry) -> Interval:
    return entry.psnr_interval_db or Interval(low=entry.psnr_db, high=entry.psnr_db)


def _order(entry: Entry) -> tuple[object, ...]:
    """Nothing but equal entries is left to chance: what decides last is all that is in them."""
    return (
        _TRACKS.index(entry.track),
        entry.reference_set,
        _DIVISIONS.index(entry.division),
        entry.place,
        -entry.psnr_db,
        entry.organization,
        entry.system,
        entry.descriptor,
        canonical(entry.model_dump()),
    )
