"""One file over HTTP, from where it stopped."""

import os
from io import FileIO
from pathlib import Path

import requests

from cryodenoise.files import commit, partial
from cryodenoise.sources.client import (
    ChangedError,
    Client,
    PermanentError,
    StoppedError,
    TransientError,
    announced,
    ask,
    coding_problem,
    persist,
)
from cryodenoise.sources.journal import Begun, Journal
from cryodenoise.sources.listing import Announced, Reached, SourceFile

_CHUNK_BYTES = 1 << 20


def transfer(client: Client, file: SourceFile, raw_dir: Path, journal: Journal, reached: Reached) -> str:
    """Bring a file to its name in raw_dir, as long as announced; what came of it before is kept.

    Args:
        client: Sends the requests.
        file: What to fetch; its addresses are tried in turn, each with all attempts.
        raw_dir: Holds the partial file.
        journal: Knows what the partial file is a part of.
        reached: Told how far the file has come.

    Returns:
        The address that served it.

    Raises:
        PermanentError: If no address serves it.
        StoppedError: If told to.
    """
    path = raw_dir / file.name
    problems = []
    for url in file.urls:
        told: Announced | None = file.announced if url == file.urls[0] else None

        def attempt(url: str = url) -> None:
            nonlocal told
            told = told or ask(client, url)
            try:
                _attempt(client, _begun(file.name, url, told), path, journal, reached)
            except ChangedError:
                told = None
                raise
            except TransientError:
                begun = journal.begun.get(file.name)
                if begun and begun.url == url:
                    told = Announced(begun.size_bytes, begun.validator)
                raise

        try:
            persist(client, attempt, lambda: _length(partial(path)))
        except PermanentError as error:
            problems.append(str(error))
        else:
            return url
    raise PermanentError("; ".join(problems))


def kept_bytes(file: SourceFile, raw_dir: Path, journal: Journal) -> int:
    """How much of a file's beginning is in its partial file."""
    begun = _begun(file.name, file.urls[0], file.announced)
    return _kept_bytes(partial(raw_dir / file.name), begun, journal)


def _begun(name: str, url: str, told: Announced) -> Begun:
    return Begun(name=name, url=url, size_bytes=told.size_bytes, validator=told.validator)


def _kept_bytes(part: Path, wanted: Begun, journal: Journal) -> int:
    """Without a validator nothing would show that the file is still the same, so nothing counts."""
    if wanted.validator is None or journal.begun.get(wanted.name) != wanted:
        return 0
    found = _length(part)
    return found if found <= wanted.size_bytes else 0


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(client: Client, wanted: Begun, path: Path, journal: Journal, reached: Reached) -> None:
    part = partial(path)
    kept = _kept_bytes(part, wanted, journal)
    if not kept:
        part.unlink(missing_ok=True)
    reached(kept)
    if not kept or kept < wanted.size_bytes:
        _request(client, wanted, part, kept, journal, reached)
    commit(path)


def _request(client: Client, wanted: Begun, part: Path, kept: int, journal: Journal, reached: Reached) -> None:
    """Fetch what the partial file lacks, and flush it."""
    headers = {"Range": f"bytes={kept}-", "If-Range": str(wanted.validator)} if kept else {}
    with client.request("GET", wanted.url, headers) as response:
        if response.status_code == requests.codes.ok:
            kept = 0
            _begin_anew(response, wanted, part, journal)
        elif not (kept and _goes_on(response, kept, wanted)):
            part.unlink(missing_ok=True)
            answer = f"{response.status_code} {response.headers.get('Content-Range', response.reason)}"
            raise ChangedError(f"{wanted.url}: asked for its bytes from {kept} on, answered {answer}")
        with part.open("ab", buffering=0) as stream:
            try:
                while chunk := response.raw.read1(_CHUNK_BYTES):
                    if client.stop.is_set():
                        raise StoppedError
                    kept += len(chunk)
                    if kept > wanted.size_bytes:
                        part.unlink()
                        raise ChangedError(f"{wanted.url}: longer than the {wanted.size_bytes} bytes announced")
                    write_all(stream, chunk)
                    reached(kept)
            finally:
                os.fsync(stream.fileno())
            written = os.fstat(stream.fileno()).st_size
    if written != wanted.size_bytes:
        raise TransientError(f"{wanted.url}: {written} of {wanted.size_bytes} bytes, then the connection ended")


def write_all(stream: FileIO, chunk: bytes) -> None:
    """Unbuffered, so that what is kept after a kill is what had come; a disk that fills up takes only a part."""
    left = memoryview(chunk)
    while left:
        left = left[stream.write(left) :]


def _begin_anew(response: requests.Response, wanted: Begun, part: Path, journal: Journal) -> None:
    """Note which file the bytes to come are of, before the first of them is written."""
    told = announced(response, wanted.url)
    if told and told.size_bytes != wanted.size_bytes:
        raise ChangedError(f"{wanted.url}: {wanted.size_bytes} bytes announced, then {told.size_bytes}")
    part.write_bytes(b"")
    journal.begin(wanted.model_copy(update={"validator": told.validator if told else None}))


def _goes_on(response: requests.Response, kept: int, wanted: Begun) -> bool:
    """Whether a partial answer is the rest of the same file; some servers know ranges but not If-Range."""
    expected = f"bytes {kept}-{wanted.size_bytes - 1}/{wanted.size_bytes}"
    same = wanted.validator in (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    partial_content = response.status_code == requests.codes.partial and not coding_problem(response, wanted.url)
    return partial_content and same and response.headers.get("Content-Range") == expected
