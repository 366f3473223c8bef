"""What an unfinished raw/ has begun and finished."""

import threading
from pathlib import Path

from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.documents import RawFile
from cryodenoise.config.schema import Schema, validate
from cryodenoise.dataset.writer import append_journal, mend_journal, read_journals


class Begun(Schema):
    """Of which file the bytes in a partial file are the first."""

    name: str
    url: str
    size_bytes: int
    validator: str | None


class _Line(Schema):
    begun: Begun | None = None
    finished: RawFile | None = None


class Journal:
    """The journal of a raw_dir, for several threads.

    Attributes:
        begun: The last transfer that was begun of each file.
        finished: The files that are there, whole, verified and digested.
    """

    def __init__(self, raw_dir: Path) -> None:
        self._raw_dir = raw_dir
        self._lock = threading.Lock()
        self.begun: dict[str, Begun] = {}
        self.finished: dict[str, RawFile] = {}
        mend_journal(raw_dir, 0)
        for text in read_journals(raw_dir):
            self._take(validate(_Line, text.decode(errors="replace"), raw_dir / JOURNAL_NAME))

    def begin(self, entry: Begun) -> None:
        """Note, down to the disk, what the empty partial file is about to get."""
        self._write(_Line(begun=entry))

    def finish(self, file: RawFile) -> None:
        """Note, down to the disk, that a file is done with."""
        self._write(_Line(finished=file))

    def _write(self, line: _Line) -> None:
        with self._lock:
            append_journal(self._raw_dir, 0, line.model_dump_json())
            self._take(line)

    def _take(self, line: _Line) -> None:
        if line.begun:
            self.begun[line.begun.name] = line.begun
        if line.finished:
            self.finished[line.finished.name] = line.finished
