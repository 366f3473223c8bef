"""Command `clean`: what the tasks of a run set left in a workspace goes, and nothing else."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from cryodenoise.claims import MARKER_NAME, is_journal, locked
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.estimates.table import size
from cryodenoise.files import PARTIAL_SUFFIX
from cryodenoise.sources.record import REJECTED_SUFFIX, contents
from cryodenoise.tasks.folders import IMPORTED, KINDS, LOGS, Kind, is_made_from, named_files, read_json
from cryodenoise.training.record import repeats_in

_WRITE_TEST = ".write-test-*"  # `files.make_directory` was killed at the wrong moment


@dataclass(frozen=True)
class Found:
    """A folder of a workspace, sorted out.

    Attributes:
        folder: The folder.
        document: Name of what says that it is the run set's; goes last. None for logs.
        ours: Files that a task wrote, the document among them.
        others: Everything else in the folder.
        folders: Folders in it that a task made; go where nothing is left in them.
    """

    folder: Path
    document: str | None
    ours: list[Path]
    others: list[Path]
    folders: tuple[Path, ...] = ()


def clean(run_set: Path, workspace: Path, yes: bool, console: Console, ask: Callable[[str], str] | None = None) -> None:
    """Remove what the tasks of a run set wrote in a workspace, after asking.

    Args:
        run_set: Folder of run files: a folder of the workspace is only touched if it was made from one of them.
        workspace: Folder of raw/, data/, model/, results/ and logs/.
        yes: Do not ask.
        console: Takes what is to be said.
        ask: Puts a question to the user; None asks on the terminal.

    Raises:
        UserError: If there is no such run set or workspace, a task is at work there, or there is nobody to ask.
    """
    if not workspace.is_dir():
        raise UserError(f"{workspace}: no such folder, expected a workspace: nothing to clean")
    with ExitStack() as stack:
        found = list(_sort_out(run_set, workspace, console, stack))
        count = sum(len(entry.ours) for entry in found)
        if not count:
            console.say(f"{workspace}: holds nothing that the tasks of {run_set} left")
            return
        for entry in found:
            size_bytes = sum(path.lstat().st_size for path in entry.ours)
            console.say(f"{entry.folder}: {_files(len(entry.ours))}, {size(size_bytes)}")
            for path in entry.others:
                console.say(f"  stays: {path}, which no task of this run set wrote")
        if not yes and not _agreed(f"Remove {_files(count)}? [y/N] ", ask):
            console.say("nothing was removed")
            return
        for entry in found:  # from now on no folder passes for whole
            if entry.document:
                (entry.folder / entry.document).replace(entry.folder / MARKER_NAME)
        for entry in found:
            _remove(entry)
    console.say(f"removed {_files(count)}")


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"


def _agreed(question: str, ask: Callable[[str], str] | None) -> bool:
    if ask is None and not sys.stdin.isatty():
        raise UserError("there is no terminal to ask on: give --yes to remove the files without a question")
    try:
        return (ask or input)(question).strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D is no yes
        return False


def _sort_out(run_set: Path, workspace: Path, console: Console, stack: ExitStack) -> Iterator[Found]:
    """The folders that are the run set's, each locked; says why another one stays."""
    if not any((run_set / f"{kind.task}.yaml").is_file() for kind in KINDS):
        raise UserError(f"{run_set}: holds no run file, expected {', '.join(f'{kind.task}.yaml' for kind in KINDS)}")
    all_ours, any_ours = True, False
    for kind in KINDS:
        folder = workspace / kind.name
        if not folder.is_dir() or not any(folder.iterdir()):
            continue
        if reason := _why_not(kind, folder, run_set / f"{kind.task}.yaml"):
            console.say(f"{folder}: stays: {reason}")
            all_ours = False
            continue
        stack.enter_context(locked(folder, kind.task))
        any_ours = True
        for number, repeat in _repeats(kind, folder).items():
            if not any(repeat.iterdir()):
                continue
            if reason := _why_not(kind, repeat, run_set / f"{kind.task}.yaml", number):
                console.say(f"{repeat}: stays: {reason}")
                all_ours = False
            else:
                stack.enter_context(locked(repeat, kind.task))
                yield _found(kind, repeat)
        yield _found(kind, folder)
    logs = workspace / LOGS
    if all_ours and any_ours and logs.is_dir() and not logs.is_symlink():
        inside = sorted(logs.iterdir())
        ours = [path for path in inside if _is_log(path)]
        yield Found(logs, None, ours, [path for path in inside if path not in ours])


def _is_log(path: Path) -> bool:
    """Whether a file is the log of a command, by its name and its first line."""
    commands = "|".join((*(kind.task for kind in KINDS), "pipeline", "check_logs"))
    if not re.fullmatch(rf"({commands})(\.\d+)?\.log", path.name) or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return b" cryodenoise " in stream.readline(200)


def _why_not(kind: Kind, folder: Path, run_file: Path, number: int = 1) -> str | None:
    """Why a folder cannot be said to be the run set's; None if it can. `number` is as `is_made_from` has it."""
    if folder.is_symlink():
        return "it is a link to a folder elsewhere"
    if not run_file.is_file():
        return f"the run set has no {run_file.name}"
    document = next((name for name in (kind.document_name, MARKER_NAME) if (folder / name).is_file()), None)
    if (folder / IMPORTED.document_name).is_file():
        return f"it holds weights that `{IMPORTED.task}` wrote, which come from no run file"
    if document is None:
        return f"it holds neither {kind.document_name} nor {MARKER_NAME}, so no task wrote it"
    if document == kind.document_name:
        try:
            _, edited = kind.document.read_document(folder / document)
        except UserError:
            edited = "not as this version writes it"
        if edited:
            return f"{document} is not what `{kind.task}` wrote ({edited})"
    content = read_json(folder / document)
    made_from = {kind.task: content.get("made_from")}
    if "preprocess" in content:  # report.json, on which hardly anything of its own run file has an effect
        made_from["preprocess"] = content["preprocess"]
    if training := content.get("training"):
        made_from["train"] = training.get("made_from")
    for upstream in KINDS:
        path = run_file.with_name(f"{upstream.task}.yaml")
        told = made_from.get(upstream.task)
        if upstream.task in made_from and path.is_file() and not is_made_from(told, upstream, path, number):
            return f"{document} does not say that it was made from {path}"
    return None


def _found(kind: Kind, folder: Path) -> Found:
    document = kind.document_name if (folder / kind.document_name).is_file() else MARKER_NAME
    named = named_files(folder) if kind.name == "raw" else {}
    under_way = document == MARKER_NAME

    def is_ours(path: Path) -> bool:
        if not path.is_symlink() and not path.is_file():
            return False
        size_bytes = named.get(path)
        if size_bytes is not None and not path.is_symlink() and path.stat().st_size != size_bytes:
            return False  # somebody put another file there
        name = path.name.removesuffix(REJECTED_SUFFIX)
        if path.with_name(name) in named or kind.writes(path.with_name(name).relative_to(folder).as_posix()):
            return True
        if under_way and path.name.endswith(PARTIAL_SUFFIX):
            return True
        return path.parent == folder and (is_journal(path.name) or fnmatch(path.name, _WRITE_TEST))

    repeats = tuple(_repeats(kind, folder).values())
    made = tuple(
        folder / name for name in kind.folders if (folder / name).is_dir() and not (folder / name).is_symlink()
    )
    listed = [path for each in (folder, *made) for path in sorted(each.iterdir())]
    inside = [path for path in (contents(folder) if kind.name == "raw" else listed) if path not in (*repeats, *made)]
    ours = [path for path in inside if is_ours(path)]
    return Found(folder, document, ours, [path for path in inside if path not in ours], (*made, *repeats))


def _repeats(kind: Kind, folder: Path) -> dict[int, Path]:
    """The folders of further trainings, which are sorted out each by itself."""
    return repeats_in(folder) if kind.name == "model" else {}


def _remove(found: Found) -> None:
    """Remove files, never what a link points to; what names them goes last, so that this can be run again."""
    marker = found.folder / MARKER_NAME
    for path in found.ours:
        if path != marker:
            path.unlink(missing_ok=True)
    marker.unlink(missing_ok=True)
    for folder in found.folders:
        with suppress(OSError):  # it holds something, or is not there
            folder.rmdir()
    if not found.others:
        with suppress(OSError):  # a mount point stays
            found.folder.rmdir()
