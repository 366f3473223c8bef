"""What an unfinished raw/ has begun and finished."""

import threading
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.documents import RawFile
from cryodenoise.config.schema import Schema, validate
from cryodenoise.dataset.writer import append_journal, mend_journal
from cryodenoise.errors import UserError
from cryodenoise.files import partial
from cryodenoise.sources.listing import some


class Begun(Schema):
    """Of which file the bytes in a partial file are the first."""

    name: str
    url: str
    size_bytes: int
    validator: str | None


class _Line(Schema):
    begun: Begun | None = None
    finished: RawFile | None = None


def drop(raw_dir: Path) -> None:
    """Remove the journal of a download that is finished."""
    (raw_dir / JOURNAL_NAME).unlink(missing_ok=True)


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
        path = raw_dir / JOURNAL_NAME
        for text in path.read_bytes().splitlines() if path.exists() else ():
            with suppress(UserError):  # a line that cannot be read costs no more than fetching its file again
                self._take(validate(_Line, text.decode(errors="replace"), path))

    def begin(self, entry: Begun) -> None:
        """Note, down to the disk, what the empty partial file is about to get."""
        self._write(_Line(begun=entry))

    def finish(self, file: RawFile) -> None:
        """Note, down to the disk, that a file is done with."""
        self._write(_Line(finished=file))

    def require_listed(self, names: Collection[str], place: str) -> None:
        """See that the files of an earlier, interrupted run are still wanted.

        A file that is no longer listed is neither dropped nor kept silently: either would change what is made of raw/.

        Raises:
            UserError: If one that came is not among `names`.
        """
        others = sorted((self.begun.keys() | self.finished.keys()).difference(names))
        if lost := [name for name in others if (self._raw_dir / name).exists()]:
            raise UserError(
                f"{place}: no longer lists or selects {some(lost)}, which an earlier run brought to {self._raw_dir}: "
                f"move {'it' if len(lost) == 1 else 'them'} elsewhere to go on without, or run again once listed"
            )
        for name in others:
            partial(self._raw_dir / name).unlink(missing_ok=True)

    def _write(self, line: _Line) -> None:
        with self._lock:
            try:
                append_journal(self._raw_dir, 0, line.model_dump_json())
            except OSError:
                with suppress(OSError):
                    mend_journal(self._raw_dir, 0)  # or the next line would be lost with the torn one
                raise
            self._take(line)

    def _take(self, line: _Line) -> None:
        if line.begun:
            self.begun[line.begun.name] = line.begun
        if line.finished:
            self.finished[line.finished.name] = line.finished
