"""Files that are on this machine already, linked or copied into raw/.

Links are hard links: a symbolic link would lead nowhere in a container that mounts raw/ alone. No task writes into a
micrograph, and removing raw/ removes a name, so the originals are safe.
"""

import errno
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.sources import LocalParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import commit, partial
from cryodenoise.sources.client import PermanentError, StoppedError
from cryodenoise.sources.gather import Gathering
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Announced, Reached, SourceFile, again, counted, select, unusable

_BLOCK_BYTES = 1 << 22


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that would be linked or copied."""
    return [_source_file(path) for path in paths(_section(parameters)).values()]


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Link or copy the selected files; see `sources.Fetch`."""
    section = _section(parameters)
    by_name = paths(section)
    if any(path.parent.resolve() == raw_dir.resolve() for path in by_name.values()):
        raise UserError(
            f"local.path: {section.path} is raw_dir itself: give `preprocess` that folder, without download"
        )
    journal = Journal(raw_dir)
    if not mend:
        journal.require_listed(by_name, f"local.path: {section.path}")
    console.say(f"{section.path}: {counted(len(by_name))} to {section.place}")
    stop = threading.Event()

    def bring(file: SourceFile, reached: Reached) -> None:
        original, path = by_name[file.name], raw_dir / file.name
        if section.place == "copy":
            _copy(original, path, file.announced.size_bytes, reached, stop)
        else:
            _link(original, path)
            reached(file.announced.size_bytes)

    return Gathering(
        place=section.path,
        files=[_source_file(by_name[name]) for name in again(list(by_name), mend, section.path)],
        bring=bring,
        kept=lambda _: 0,
        journal=journal,
        raw_dir=raw_dir,
        console=console,
        threads=2,
        stop=stop,
        needs_space=section.place == "copy",
        sha256={name: file.sha256 for name, file in mend.items()},
    ).run()


def _section(parameters: DownloadParameters) -> LocalParameters:
    assert parameters.local is not None  # the schema sees to it
    return parameters.local


def _source_file(path: Path) -> SourceFile:
    return SourceFile(path.name, (), Announced(path.stat().st_size, None))


def paths(section: LocalParameters) -> dict[str, Path]:
    """The selected files by name, sorted; hidden files and folders do not count."""
    try:
        place = Path(section.path).expanduser()
        found = _found(place)
    except (RuntimeError, ValueError) as error:  # no such user, no such pattern
        raise UserError(f"local.path: {section.path}: {error}: give the folder of your micrographs") from error
    by_name: dict[str, Path] = {}
    for path in sorted(path for path in found if path.is_file() and not unusable(path.name)):
        if path.name in by_name:
            raise UserError(f"local.path: {by_name[path.name]} and {path} have the same name: rename one of them")
        by_name[path.name] = path
    if not by_name:
        state = "holds no files" if place.is_dir() else "no such folder, and no file matches it"
        raise UserError(f"local.path: {section.path}: {state}: give the folder of your micrographs, or /folder/*.mrc")
    return {name: by_name[name] for name in select(by_name, section.selection, f"local.path: {section.path}")}


def _found(place: Path) -> list[Path]:
    """What is in a folder; else the file of this very name, whatever brackets it has; else what matches."""
    if place.is_dir():
        return list(place.iterdir())
    return [place] if place.is_file() else list(place.parent.glob(place.name))


def _link(original: Path, path: Path) -> None:
    try:
        path.hardlink_to(original.resolve())
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        raise UserError(
            f"{path}: no link to {original} can be made ({error.strerror}): set `place: copy` in the run file, or "
            "choose a raw_dir on the same disk"
        ) from error


def _copy(original: Path, path: Path, size_bytes: int, reached: Reached, stop: threading.Event) -> None:
    done = 0
    with original.open("rb") as source, partial(path).open("wb") as target:
        while block := source.read(_BLOCK_BYTES):
            if stop.is_set():
                raise StoppedError
            target.write(block)
            done += len(block)
            reached(done)
        target.flush()
        os.fsync(target.fileno())
    if done != size_bytes:
        raise PermanentError(f"{original}: {done} bytes copied, it had {size_bytes}: it was changed meanwhile")
    commit(path)
