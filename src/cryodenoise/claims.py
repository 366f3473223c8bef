"""One task at a time writes a directory, for one set of inputs, and what is finished stays.

A directory under work holds `unfinished.json`, which names what it is made from; a finished one holds the task's
document instead, which names the same under `made_from`. A task that finds work made from other inputs refuses, so
nothing is overwritten by mistake.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryodenoise.errors import InputError, UserError
from cryodenoise.files import (
    PARTIAL_SUFFIX,
    make_directory,
    partial,
    require_directory,
    require_space,
    write_atomically,
)
from cryodenoise.ranks import wait_until

MARKER_NAME = "unfinished.json"
JOURNAL_NAME = "journal.jsonl"
"""Where a task notes which parts of its unfinished work are on the disk, whole."""
_JOURNALS = re.compile(r"journal(-survey)?(\.\d+)?\.jsonl")


def journal_name(rank: int, part: str = "") -> str:
    """The journal of one of several processes that share the work, or of a part of it."""
    return f"journal{'-' * bool(part)}{part}{f'.{rank}' if rank else ''}.jsonl"


def is_journal(name: str) -> bool:
    """Whether a file name is that of a journal."""
    return _JOURNALS.fullmatch(name) is not None


@dataclass(frozen=True)
class Claim:
    """The right to write one directory.

    Attributes:
        directory: The claimed directory.
        finished: Whether the work was finished before, from the same inputs.
    """

    directory: Path
    document_name: str
    finished: bool

    @property
    def marker(self) -> Path:
        """The file that says that the work is not finished."""
        return self.directory / MARKER_NAME

    def finish(self, document: str) -> None:
        """Write the document that makes the work whole, then drop the marker."""
        write_atomically(self.directory / self.document_name, document.encode())
        self.marker.unlink(missing_ok=True)


@contextmanager
def claim(directory: Path, document_name: str, task: str, made_from: dict[str, Any]) -> Iterator[Claim]:
    """Claim `directory` for one task.

    Args:
        directory: Created if missing.
        document_name: The document that the finished work holds.
        task: The task's name, for the marker and messages.
        made_from: Everything that determines the output, as JSON values.

    Raises:
        UserError: If the directory cannot be written or its disk is full, another process works in it, or it holds
            something else than work made from the same.
    """
    created = not directory.exists()
    make_directory(directory)
    made_from = json.loads(json.dumps(made_from))
    with locked(directory, task):
        marker, document = directory / MARKER_NAME, directory / document_name
        finished = document.exists()
        if finished:
            _require_same(document, _made_from(document), made_from, task)
            marker.unlink(missing_ok=True)
        resumed = not finished and marker.exists()
        if not finished and not resumed:
            _require_empty(directory, task)
        if resumed:
            _require_same(marker, _made_from(marker), made_from, task)
        elif not finished:
            content = {"task": task, "made_from": made_from}
            write_atomically(marker, (json.dumps(content, indent=1) + "\n").encode())
        try:
            if not finished:
                require_space(directory, 0)
            yield Claim(directory, document_name, finished)
        except BaseException as error:
            if not finished:
                _drop_what_is_of_no_use(directory, error)
            if created and not any(directory.iterdir()):
                directory.rmdir()
            if isinstance(error, OSError):
                place = error.filename or directory
                problem = error.strerror or error
                raise UserError(f"{place}: {problem}: mend that and run `cryodenoise {task}` again") from error
            raise


@contextmanager
def join(directory: Path, document_name: str, task: str, made_from: dict[str, Any]) -> Iterator[Claim]:
    """Take part in the work that another process of this run claims, as soon as it has.

    Raises:
        UserError: If the directory cannot be written, holds something else than work made from the same, or nobody
            claims it.
    """
    make_directory(directory)
    marker, document = directory / MARKER_NAME, directory / document_name
    wait_until(lambda: marker.exists() or document.exists(), lambda: None, f"process 0 to claim {directory}")
    finished = document.exists()
    place = document if finished else marker
    _require_same(place, _made_from(place), json.loads(json.dumps(made_from)), task)
    try:
        yield Claim(directory, document_name, finished)
    except InputError as error:
        _drop_what_is_of_no_use(directory, error)  # the others find the marker gone
        raise


def require_document(directory: Path, document_name: str, task: str) -> Path:
    """The document of finished work in an input directory.

    Raises:
        UserError: If the directory or the document is missing, or the work is unfinished; `task` is what makes it.
    """
    require_directory(directory, task)
    path = directory / document_name
    if not path.is_file():
        found = "unfinished" if (directory / MARKER_NAME).exists() else "missing"
        raise UserError(f"{path}: {found}: run `cryodenoise {task}` first, to its end")
    return path


def _require_empty(directory: Path, task: str) -> None:
    """Refuse a folder that holds files of which no task of ours knows; journals alone are what is left of work."""
    inside = entries(directory)
    marker = partial(directory / MARKER_NAME)  # a claim that was killed
    if foreign := [path for path in inside if not is_journal(path.name) and path != marker]:
        raise UserError(f"{directory}: holds {foreign[0].name}, which `{task}` did not put there: give an empty folder")
    for journal in inside:
        journal.unlink(missing_ok=True)


def _drop_what_is_of_no_use(directory: Path, error: BaseException) -> None:
    """Remove work that no other run can go on with: without a finished part, or begun with an unusable input.

    So a run file or a folder of micrographs that was mended is not refused for its sake.
    """
    files, folders = entries(directory), []
    if not isinstance(error, InputError):
        folders = [path for path in files if path.is_dir() and not path.is_symlink()]
        files = [path for path in files if path not in folders] + [path for each in folders for path in each.iterdir()]
    unfinished = [path for path in files if path.name == MARKER_NAME or path.name.endswith(PARTIAL_SUFFIX)]
    if isinstance(error, InputError):
        unfinished += [path for path in files if is_journal(path.name)]
    elif unfinished != files:
        return
    for path in unfinished:
        path.unlink(missing_ok=True)
    for folder in folders:
        folder.rmdir()


def entries(directory: Path) -> list[Path]:
    """What a folder holds beside logs, hidden files and what a file system keeps at its top."""
    files = (path for path in directory.iterdir() if path.suffix != ".log" and path.name[0] != ".")
    return sorted(path for path in files if path.name != "lost+found")


@contextmanager
def locked(directory: Path, task: str) -> Iterator[None]:
    """Hold a lock on the directory itself: it leaves no file behind and goes with the process, however that ends."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{directory}: another `cryodenoise {task}` is writing here: wait for it to end") from error
        except OSError:
            pass  # a file system without locks: two tasks at once are then the user's to avoid
        yield
    finally:
        os.close(descriptor)


def _made_from(path: Path) -> Any:
    with suppress(ValueError, AttributeError):
        return json.loads(path.read_text()).get("made_from")
    return None


def _require_same(path: Path, found: Any, expected: dict[str, Any], task: str) -> None:
    if not isinstance(found, dict):
        raise UserError(
            f"{path}: cannot be read as what `{task}` writes: remove the folder and run `cryodenoise {task}` again"
        )
    others = list(differences(found, expected))
    if others:
        shown = "; ".join(others[:3]) + (f"; and {len(others) - 3} more" if len(others) > 3 else "")
        state = "unfinished work" if path.name == MARKER_NAME else "finished work"
        raise UserError(
            f"{path.parent}: holds {state} of `{task}` made from something else ({shown}): "
            "give another folder, or remove this one to make it anew"
        )


def differences(found: Any, expected: Any, place: str = "") -> Iterator[str]:
    """Where two JSON values differ, each place with both sides."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from differences(found.get(key), expected.get(key), f"{place}.{key}" if place else key)
    elif found != expected:
        yield f"{place or 'made_from'}: {_short(found)} there, {_short(expected)} now"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "…"
