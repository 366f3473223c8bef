"""How the numbers and kinds of a report read, in tables, figures and pages alike."""

import re
from typing import Any

from cryodenoise.config.report import Report
from cryodenoise.config.scores import Interval

NOTHING = "–"
MINUS = "−"
KINDS = {
    "input": "input",
    "bound": "bound, fitted to the test split itself",
    "baseline": "baseline",
    "scored": "scored",
}
"""Kinds of methods in words."""
_MOST_SIGNS = 400  # of a stranger's text: more than any honest one has
_URL = r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[^\s/@\"']*@)?(?P<rest>[^\s?#\"']*)(?:[?#][^\s\"']*)?"
_PATH = r"(?<![\w.…/])(?:~[^\s/]*|[A-Za-z]:)?[/\\](?:[^\s/\\:;,\"'`()]+[/\\])*(?P<last>[^\s/\\:;,\"'`()]+)[/\\]?"
_PLACES = re.compile(f"{_URL}|{_PATH}")


def number(value: float | None, decimals: int) -> str:
    """A number with so many decimals, its minus sign a true one."""
    return NOTHING if value is None else f"{value:.{decimals}f}".replace("-", MINUS)


def psnr(value: float | None) -> str:
    """A PSNR in dB without its unit; infinite where there is no error."""
    return "∞" if value is None else number(value, 2)


def gain(value: float | None) -> str:
    """A difference of PSNRs in dB without its unit; of infinite ones there is none."""
    return NOTHING if value is None else f"{value:+.2f}".replace("-", MINUS)


def interval(value: Interval | None, decimals: int, signed: bool = False) -> str:
    """Both ends of an interval in brackets; nothing at all where there is none."""
    if value is None:
        return ""
    low, high = (gain(end) if signed else number(end, decimals) for end in (value.low, value.high))
    return f"[{low}, {high}]"


def beside(shown: str, its_interval: str) -> str:
    """A value, and its interval if there is one."""
    return f"{shown} {its_interval}".strip()


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


def bytes_of_memory(value: int | None) -> str:
    """Memory in GiB, of little in MiB."""
    if value is None:
        return NOTHING
    return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    """Seconds in the unit that one would say them in."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def percent(share: float, decimals: int = 1) -> str:
    """A share of 1 in percent."""
    return f"{number(100 * share, decimals)} %"


def frequency(per_px: float | None, pixel_size_angstrom: float | None) -> str:
    """A spatial frequency as a resolution in Å where the pixel size is known, else in cycles per pixel."""
    if per_px is None:
        return "nowhere"
    if pixel_size_angstrom is None or per_px == 0:
        return f"{per_px:.3f}/px"
    return f"{pixel_size_angstrom / per_px:.1f} Å ({per_px / pixel_size_angstrom:.4f}/Å)"


def pieces(count_: int, one: str) -> str:
    """So many of something, its plural with an s, or es after ch."""
    return f"{count_:,} {one}" if count_ == 1 else f"{count_:,} {one}{'es' if one.endswith('ch') else 's'}"


def reference_of(report: Report) -> str:
    """What these are against."""
    return "truth" if report.against_truth or report.pairs == "truth" else "target"


def reference_is_noisy(report: Report) -> bool:
    """Whether the reference shows noise of its own, as frames that were counted do."""
    return report.against_truth is None and report.pairs in ("halves", "added_noise")


def of_a_stranger(text: str) -> str:
    """Text from somebody's file in one line: signs that are not seen, or turn the reading direction, by their code."""
    shown = "".join(sign if sign.isprintable() else f"\\u{ord(sign):04x}" for sign in text[:_MOST_SIGNS])
    return f"{shown}…" if len(text) > _MOST_SIGNS else shown


def without_places(text: str) -> str:
    """Text without what names a place on a machine or, in an address, a user."""
    return _PLACES.sub(_shortened, text)


def public(report: Report) -> Report:
    """The report without what names a place on a machine or, in an address, a user."""
    return Report.model_validate(_public(report.model_dump()))


def _public(value: Any) -> Any:
    if isinstance(value, str):
        return without_places(value)
    if isinstance(value, dict):
        return {_public(key): _public(each) for key, each in value.items()}
    return type(value)(_public(each) for each in value) if isinstance(value, list | tuple) else value


def _shortened(match: re.Match[str]) -> str:
    """An address without user and query, of a path only its last part."""
    if match["scheme"] and match["scheme"] != "file":
        return f"{match['scheme']}://{match['rest']}"
    last = match["last"] or match["rest"].rstrip("/").rpartition("/")[2]
    return f"…/{last}"
