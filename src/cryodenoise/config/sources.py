"""The sections of a download's run file that say where files are and how they come."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from cryodenoise.config.schema import Parameters


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/@\s]+(/\S*)?", text) or not _has_host(text):
        raise ValueError("an address such as https://host/folder/ without a user's name")
    return text


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an end, a port that is none, letters that stand for several
        return False


def _folder(text: str) -> str:
    parts = text.strip("/").split("/")
    if not all(part.isprintable() and part not in ("", ".", "..") for part in parts):
        raise ValueError("a folder such as 14sep05c_averaged_196")
    return "/".join(parts)


def _not_empty(items: tuple[str, ...]) -> tuple[str, ...]:
    """After the items were looked at, unlike pydantic's min_length, which counts only those that are right."""
    if not items:
        raise ValueError("at least one")
    return items


Url = Annotated[str, AfterValidator(_url)]
Urls = Annotated[tuple[Url, ...], AfterValidator(_not_empty)]


class SelectionParameters(Parameters):
    """Which files of a source; all of them where nothing is given."""

    pattern: str | None = None
    """Only files whose name matches, as in a shell: `*_c.mrc`."""
    first: int | None = Field(None, ge=1)
    """Only the first so many, in order of names, of those that match."""
    names: Annotated[tuple[str, ...], AfterValidator(_not_empty)] | None = None
    """Only these, each of which must be there; excludes the other two."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.names is not None and (self.pattern is not None or self.first is not None):
            raise ValueError("names beside pattern or first: give the one or the others")
        return self


class EmpiarParameters(Parameters):
    """Files of an EMPIAR entry (https://www.ebi.ac.uk/empiar/)."""

    entry: int = Field(ge=10_001, le=99_999)
    """Number of the entry, such as 10025."""
    directory: Annotated[str, AfterValidator(_folder)]
    """Folder below the entry's `data`."""
    mirrors: Urls = ("https://ftp.ebi.ac.uk/empiar/world_availability",)
    """Folders that hold the entries, tried in this order."""
    selection: SelectionParameters = SelectionParameters()
    """Which of its files."""


class UrlsParameters(Parameters):
    """Files from anywhere."""

    files: Urls | None = None
    """Address of each file."""
    index: Url | None = None
    """Address of a page that links to the files of its folder, in place of `files`."""
    selection: SelectionParameters = SelectionParameters()
    """Which of these files."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.files is None) == (self.index is None):
            raise ValueError("give either files or index")
        return self


class LocalParameters(Parameters):
    """Files that are on this machine already."""

    path: str
    """A folder, or the files of one: /data/*.mrc; relative to where the command runs."""
    place: Literal["link", "copy"] = "link"
    """`link` makes hard links, which cost no space but need the same disk; `copy` copies."""
    selection: SelectionParameters = SelectionParameters()
    """Which of these files."""


class TransferParameters(Parameters):
    """How files come over the network; none of it changes what comes."""

    connections: int = Field(6, ge=1, le=25)
    """Files at a time; EBI blocks an address that opens more than 25 connections."""
    attempts: int = Field(8, ge=1, le=100)
    """Attempts in a row that may bring next to nothing before a file, or its mirror, is given up."""
    backoff_s: float = Field(1.0, ge=0, le=60)
    """Seconds before the second attempt; doubles with each, up to 60."""
    connect_timeout_s: float = Field(20.0, gt=0, le=86_400)
    """Seconds to wait for a connection."""
    stall_timeout_s: float = Field(60.0, gt=0, le=86_400)
    """Seconds without a byte after which a transfer is begun again where it stopped."""
