"""Which files a source has, and which of them are wanted."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from html.parser import HTMLParser
from unicodedata import normalize
from urllib.parse import quote, unquote, unquote_to_bytes, urldefrag, urljoin, urlsplit

from cryodenoise.claims import MARKER_NAME, is_journal
from cryodenoise.config.documents import RawRole
from cryodenoise.config.sources import SelectionParameters
from cryodenoise.errors import UserError
from cryodenoise.files import PARTIAL_SUFFIX
from cryodenoise.sources.record import DOCUMENT_NAME, REJECTED_SUFFIX

_LONGEST_NAME_BYTES = 240  # file systems take 255, suffixes of ours included
_SHOWN = 3
_DEFAULT_PORTS = {"http": 80, "https": 443}

Reached = Callable[[int], object]
"""Told how many bytes of a file are there."""


@dataclass(frozen=True)
class Announced:
    """What a server says of a file before it sends it."""

    size_bytes: int
    validator: str | None
    """Strong ETag, else the date of its last change: tells whether a file was changed between two attempts."""


@dataclass(frozen=True)
class SourceFile:
    """A file that a source has."""

    name: str
    urls: tuple[str, ...]
    """Where it can be fetched, in the order to try; empty for a file that is on this machine."""
    announced: Announced
    role: RawRole = "micrograph"
    """What it will be in raw/."""


@dataclass(frozen=True)
class Listing:
    """A source's files."""

    place: str
    """What to call the source in messages."""
    urls: dict[str, tuple[str, ...]]
    """Name of each file: its addresses, in the order to try."""
    left_out: list[str]
    """What is not among them, and why, where a user may wonder."""
    role: RawRole = "micrograph"
    """What its files will be in raw/."""


def unusable(name: str) -> str | None:
    """Why a file may not have this name in raw/, or None if it may."""
    if not name or "/" in name or "\\" in name or name in (".", ".."):
        return "leads out of the folder"
    if not name.isprintable() or len(name.encode(errors="replace")) > _LONGEST_NAME_BYTES:
        return "is too long or not printable"
    if name.startswith("."):
        return "is that of a hidden file"
    lower = name.lower()  # some file systems do not tell capitals
    ours = lower in (DOCUMENT_NAME, MARKER_NAME) or is_journal(lower)
    if ours or lower.endswith((PARTIAL_SUFFIX, REJECTED_SUFFIX, ".log")):
        return "is one that `download` itself writes"
    return None


def name_in(url: str) -> str:
    """The file name that an address ends with, percent-decoded.

    Raises:
        UserError: If no file in raw/ may have it.
    """
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2], errors="strict")
    except UnicodeDecodeError as error:
        raise UserError(f"{url}: its name is no UTF-8") from error
    if problem := unusable(name):
        raise UserError(f"{url}: the name {name!r} {problem}")
    return name


def names_in_index(page: str, url: str) -> tuple[list[str], list[str]]:
    """The files of a folder that its index page links to, in order of names, and why other links were left out.

    Folders, the folders above and links that sort the page are no files and not mentioned.

    Args:
        page: HTML, as Apache, nginx or `python -m http.server` write it.
        url: Address of the page.
    """
    links = _Links()
    links.feed(page)
    links.close()
    names, left_out = set(), set()
    folder = _folder(urljoin(url, "."))
    for link in links.found:
        try:
            target = urldefrag(urljoin(url, link)).url
            if target.endswith("/") or "?" in target or target == url:
                continue
            if _folder(target) == folder:
                names.add(name_in(target))
            else:
                left_out.add(f"{link!r} leads out of the folder")
        except (UserError, ValueError) as error:
            left_out.add(str(error))
    return sorted(names), sorted(left_out)


def _folder(url: str) -> tuple[str, str | None, int | None, str]:
    """Scheme, host, port and folder of an address, the same however these are written."""
    parts = urlsplit(url)
    segments = (quote(unquote_to_bytes(segment), safe="") for segment in parts.path.split("/")[:-1])
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme), "/".join(segments)


class _Links(HTMLParser):
    """Where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if tag == "a" and key == "href" and value]


def select(names: Iterable[str], selection: SelectionParameters, place: str) -> list[str]:
    """The names that a run file wants, sorted.

    Raises:
        UserError: If none is left, one that it lists is not there, or two are the same to some file systems.
    """
    selected = _selected(names, selection, place)
    seen: dict[str, str] = {}
    for name in selected:
        other = seen.setdefault(normalize("NFC", name).casefold(), name)
        if other != name:
            raise UserError(
                f"{place}: {other!r} and {name!r} differ in capitals or in how accents are written alone, and some "
                "disks take them for one file: select one of them, or rename it"
            )
    return selected


def _selected(names: Iterable[str], selection: SelectionParameters, place: str) -> list[str]:
    there = sorted(names)
    if not there:
        raise UserError(f"{place}: lists no files: give the folder that holds them")
    if selection.names is not None:
        wanted = set(selection.names)
        if missing := sorted(wanted.difference(there)):
            raise UserError(
                f"{place}: selection.names: {some(missing)} {'is' if len(missing) == 1 else 'are'} not among its "
                f"{len(there)} files, which are named like {there[0]}: correct the names"
            )
        return sorted(wanted)
    pattern = selection.pattern
    matching = [name for name in there if pattern is None or fnmatchcase(name, pattern)]
    if not matching:
        raise UserError(
            f"{place}: selection.pattern: none of its {len(there)} files matches {pattern!r}; they are named like "
            f"{there[0]}"
        )
    return matching[: selection.first]


def again(names: Sequence[str], mend: Collection[str], place: str) -> list[str]:
    """Those of the selected names that are to be brought again, or all where it is the first time.

    Raises:
        UserError: If the source has one of them no more.
    """
    if lost := sorted(set(mend).difference(names)):
        verb = "is" if len(lost) == 1 else "are"
        raise UserError(
            f"{place}: {some(lost)} {verb} no longer there, and only that is lacking, the other files are whole: put "
            "it back into raw_dir yourself, or give a server that has it (`mirrors` of source empiar)"
        )
    return [name for name in names if not mend or name in mend]


def counted(files: int) -> str:
    """So many files, in words."""
    return f"{files} file{'' if files == 1 else 's'}"


def some(items: Sequence[str]) -> str:
    """The first few of a list, and how many more."""
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
