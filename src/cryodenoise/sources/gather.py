"""All files of a source into raw/: several at a time, each verified, digested and noted as it arrives."""

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, TypeVar

from cryodenoise.config.documents import RawFile
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import free_bytes, require_space
from cryodenoise.micrographs import is_micrograph
from cryodenoise.micrographs.hdf5 import is_stack
from cryodenoise.sources import known
from cryodenoise.sources.client import PermanentError
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Reached, SourceFile, counted
from cryodenoise.sources.record import REJECTED_SUFFIX, describe, size_problem

_HOPELESS = 6
"""So many files in a row that failed, none arriving between them: the others would too."""
_LEAVE_S = 1.0
"""How long threads that were told to stop are waited for; those that still wait for a server end with the process."""
_PAGE_STARTS = (b"<!doctype html", b"<html")
_START_BYTES = 64
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BZIP2 = b"BZh"

J = TypeVar("J")
R = TypeVar("R")


def in_threads(
    work: Callable[[J], R], jobs: Sequence[J], threads: int, stop: threading.Event
) -> Generator[tuple[J, R | Exception], None, None]:
    """What the work on each job came to, as it comes; `stop` is set at the end, whatever way that comes."""
    todo: SimpleQueue[J] = SimpleQueue()
    results: SimpleQueue[tuple[J, R | Exception]] = SimpleQueue()
    for job in jobs:
        todo.put(job)

    def serve() -> None:
        while not stop.is_set():
            try:
                job = todo.get_nowait()
            except Empty:
                return
            try:
                results.put((job, work(job)))
            except Exception as error:  # noqa: BLE001  who reads the results raises it
                results.put((job, error))

    # A thread that waits for a server must not keep an interrupted program from ending, hence daemons.
    crew = [threading.Thread(target=serve, daemon=True) for _ in range(min(threads, len(jobs)))]
    try:
        for thread in crew:
            thread.start()
        for _ in jobs:
            yield results.get()
    finally:
        stop.set()
        deadline_s = time.monotonic() + _LEAVE_S
        for thread in filter(threading.Thread.is_alive, crew):  # a signal may have come before all were started
            thread.join(max(deadline_s - time.monotonic(), 0))


@dataclass
class Gathering:
    """A source's files on their way into raw_dir.

    Attributes:
        place: What to call the source in messages.
        files: What to bring.
        bring: Puts a file at its name, telling how many of its bytes are there; returns its address if it has one.
        kept: How many bytes of a file are there from before, in part.
        needs_space: Whether what is brought takes room on the disk.
        sha256: What files must have by name, beside what is known of addresses.
    """

    place: str
    files: list[SourceFile]
    bring: Callable[[SourceFile, Reached], str | None]
    kept: Callable[[SourceFile], int]
    journal: Journal
    raw_dir: Path
    console: Console
    threads: int
    stop: threading.Event
    needs_space: bool = True
    sha256: Mapping[str, str] = field(default_factory=dict)

    def run(self) -> list[RawFile]:
        """Bring all files; one that fails does not keep the others from coming.

        Raises:
            UserError: If the disk has no room, or a file did not come or is not what it should be.
        """
        finished = {
            file.name: self.journal.finished[file.name]
            for file in self.files
            if file.name in self.journal.finished and not self._problem(file)
        }
        there = {file.name: self._there_bytes(file) for file in self.files}
        self._say_what_is_to_come(there)
        total_bytes = sum(file.announced.size_bytes for file in self.files)
        todo = [file for file in self.files if file.name not in finished]
        failures: list[str] = []
        in_a_row = 0
        lock = threading.Lock()

        def work(file: SourceFile) -> RawFile:
            def reached(at_bytes: int) -> None:
                with lock:
                    advance(at_bytes - there[file.name])
                    there[file.name] = at_bytes

            return self._arrival(file, reached)

        with (
            self.console.progress("download", total_bytes, "bytes", done=sum(there.values())) as advance,
            closing(in_threads(work, todo, self.threads, self.stop)) as results,
        ):
            for file, result in results:
                if isinstance(result, RawFile):
                    finished[file.name] = result
                    in_a_row = 0
                elif isinstance(result, PermanentError):
                    failures.append(str(result))
                    in_a_row += 1
                    self.console.say(f"failed: {result}")
                    if in_a_row == _HOPELESS:
                        break
                else:
                    raise result
        if failures:
            missing = f"{len(self.files) - len(finished)} of {counted(len(self.files))}"
            raise UserError(
                f"{self.place}: {missing} did not come, the first: {failures[0]}: run the same command again to go on "
                "with them, or select others"
            )
        return [finished[file.name] for file in self.files]

    def _problem(self, file: SourceFile) -> str | None:
        return size_problem(self.raw_dir / file.name, file.announced.size_bytes)

    def _there_bytes(self, file: SourceFile) -> int:
        return self.kept(file) if self._problem(file) else file.announced.size_bytes

    def _say_what_is_to_come(self, there: Mapping[str, int]) -> None:
        sizes = {file.name: file.announced.size_bytes for file in self.files}
        whole_sizes = [size_bytes for name, size_bytes in sizes.items() if there[name] == size_bytes]
        missing_bytes = sum(sizes.values()) - sum(there.values())
        in_part_bytes = sum(there.values()) - sum(whole_sizes)
        in_part = f" and {_size(in_part_bytes)} of others" if in_part_bytes else ""
        self.console.say(
            f"wanted: {_amount(len(sizes), sum(sizes.values()))}; "
            f"here already: {_amount(len(whole_sizes), sum(whole_sizes))}{in_part}; "
            f"to come: {_amount(len(sizes) - len(whole_sizes), missing_bytes)}; "
            f"free on the disk: {_size(free_bytes(self.raw_dir))}"
        )
        if self.needs_space:
            require_space(self.raw_dir, missing_bytes)

    def _arrival(self, file: SourceFile, reached: Reached) -> RawFile:
        """Bring a file unless it is there, and verify it; once more if it turns out wrong."""
        path = self.raw_dir / file.name
        begun = self.journal.begun.get(file.name)
        url = begun.url if begun else None
        problem = self._problem(file)
        if problem and path.exists():
            self._reject(path, problem)
        size_bytes = file.announced.size_bytes
        for last in (False, True):
            if problem:
                url = self.bring(file, reached)
                begun = self.journal.begun.get(file.name)
                if begun and begun.url == url:  # another mirror, or a file that changed since
                    size_bytes = begun.size_bytes
            address = url or next(iter(file.urls), "")
            expected = self.sha256.get(file.name) or known.known_sha256().get(address)
            verified: Literal["sha256", "size"] | None = "sha256" if expected else "size" if file.urls else None
            found = describe(self.raw_dir, file.name, url, verified, file.role)
            problem = _complaint(path, found, size_bytes, expected)
            if not problem:
                self.journal.finish(found)
                return found
            self._reject(path, problem)
            if last:
                break
            reached(0)
        raise PermanentError(f"{file.name}: twice it was not what it should be: {problem}")

    def _reject(self, path: Path, problem: str) -> None:
        aside = path.with_name(path.name + REJECTED_SUFFIX)
        path.replace(aside)
        self.console.say(f"{path}: {problem}: moved aside to {aside.name}")


def _complaint(path: Path, found: RawFile, size_bytes: int, expected_sha256: str | None) -> str | None:
    """What is wrong with a file that came, or None."""
    if found.size_bytes != size_bytes:
        return f"{found.size_bytes} bytes, expected {size_bytes}"
    if expected_sha256:
        differs = found.sha256 != expected_sha256
        return f"SHA-256 {found.sha256[:16]}…, expected {expected_sha256[:16]}…" if differs else None
    if not found.url:
        return None
    with path.open("rb") as stream:
        start = stream.read(_START_BYTES)
    text = start.removeprefix(_BYTE_ORDER_MARK).lstrip().lower()
    if text.startswith(_PAGE_STARTS) and path.suffix.lower() not in (".html", ".htm"):
        return "a web page in the place of the file"
    of_images = is_micrograph(path) or is_stack(path)
    return "a text in the place of the micrograph" if of_images and _is_text(start) else None


def _is_text(start: bytes) -> bool:
    """Whether a file begins as no micrograph does: all but those of bzip2 have a control character among these."""
    return (
        bool(start)
        and not start.startswith(_BZIP2)
        and not any(byte < 32 and byte not in b"\t\n\f\r" for byte in start)
    )


def _amount(count: int, size_bytes: int) -> str:
    return counted(count) + (f", {_size(size_bytes)}" if count else "")


def _size(size_bytes: int) -> str:
    for unit, unit_bytes in (("GB", 1e9), ("MB", 1e6)):
        if size_bytes >= unit_bytes / 10:
            return f"{size_bytes / unit_bytes:.2f} {unit}"
    return f"{size_bytes / 1e3:.2f} kB"
