"""A folder of the user's code: its digest, imports from it, and what went wrong in which line."""

import hashlib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

import torch

import cryodenoise
from cryodenoise import devices
from cryodenoise.config.schema import canonical
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of

_LIBRARIES = tuple(f"{Path(module.__file__ or '').parent}{os.sep}" for module in (cryodenoise, torch, importlib))
_loaded: dict[tuple[Path | None, str], set[str]] = {}
"""The folder that was imported from last and its digest, and the names of the modules that came from it."""


def require_folder(code_dir: Path | None) -> None:
    """Raise a UserError if a folder of code is given and is none."""
    if code_dir is not None and not code_dir.is_dir():
        found = "is a file" if code_dir.exists() else "does not exist"
        raise UserError(f"{code_dir}: {found}, expected the folder of a network's code: mend code_dir or leave it out")


def code_digest(code_dir: Path | None) -> str:
    """SHA-256 of a folder's code: of the JSON mapping from the relative path of each *.py file to its SHA-256.

    Links are followed, but not in circles; hidden folders and `__pycache__` are left out. None counts as an empty one.

    Raises:
        UserError: If there is no such folder.
    """
    require_folder(code_dir)
    root = code_dir.resolve() if code_dir else None
    files = {path.relative_to(root).as_posix(): sha256_of(path) for path in _code_files(root)} if root else {}
    return hashlib.sha256(canonical(files)).hexdigest()


def import_module(name: str, folder: Path | None, place: str) -> ModuleType:
    """Import a module, from a folder of code if that has it; what other code left in Python is forgotten.

    Args:
        name: Dotted.
        folder: Resolved; None searches installed packages alone.
        place: Start of messages.

    Raises:
        UserError: If there is no such module, its code fails, or another of its name is in the way.
    """
    key = (folder, code_digest(folder))
    if key not in _loaded:
        for stale in (stale for names in _loaded.values() for stale in names):
            sys.modules.pop(stale, None)
        _loaded.clear()
        _loaded[key] = set()
    offered = (
        {path.relative_to(folder).parts[0].removesuffix(".py") for path in _code_files(folder)} if folder else set()
    )
    for top in offered - {"__init__", "__main__"}:
        if top in sys.builtin_module_names or not (top not in sys.modules or _is_within(sys.modules[top], folder)):
            raise UserError(
                f"{place}: {folder} has a module {top}, but Python has loaded another of this name, which an import "
                "would find: rename it"
            )
    before = set(sys.modules)
    try:
        with searched_first(folder), faults_told(f"{place}: importing {name} failed"):
            module = importlib.import_module(name)
    except UserError as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and f"{name}.".startswith(f"{missing.name}."):
            here = f"in {folder}, which has {', '.join(sorted(offered)) or 'none'}" if folder else "without a code_dir"
            raise UserError(
                f"{place}: found no module {missing.name} {here}, nor among installed packages: mend `import`, or give "
                "as code_dir the folder that it is in"
            ) from missing
        raise
    finally:
        _loaded[key] |= {new for new in sys.modules.keys() - before if new.partition(".")[0] in offered}
    if name.partition(".")[0] in offered and not _is_within(module, folder):
        raise UserError(
            f"{place}: {name} was found in {module.__file__}, though {folder} has a module of this name, too: rename "
            "it, or give its folder an __init__.py"
        )
    return module


@contextmanager
def searched_first(folder: Path | None) -> Iterator[None]:
    """Let imports within the block find the folder's modules first, and write no bytecode beside them."""
    if folder is None:
        yield
        return
    writing, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writing
        with suppress(ValueError):  # the user's code took it away
            sys.path.remove(str(folder))


@contextmanager
def faults_told(what: str) -> Iterator[None]:
    """Turn what the user's code raises within the block into a UserError that names the line; `what` begins it.

    Running out of memory is no fault of the code.
    """
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if devices.is_out_of_memory(error):
            raise
        said = str(error.msg if isinstance(error, SyntaxError) else error).strip().splitlines()
        problem = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
        raise UserError(f"{what}{_line_of(error)}: {problem}: mend that code (--debug shows more)") from error


def _is_within(module: ModuleType, folder: Path | None) -> bool:
    """Whether a module, or a part of a package without a file of its own, was found in a folder."""
    known = getattr(module, "__dict__", {})
    places = [Path(path) for path in ([known["__file__"]] if known.get("__file__") else known.get("__path__", []))]
    return folder is not None and any(folder in path.parents or folder in path.resolve().parents for path in places)


def _line_of(error: BaseException) -> str:
    """The line of the user's code that raised, in words: in the folder of code if one is, else outside of libraries."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" in {error.filename}, line {error.lineno}"
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    frames = [frame for frame in frames if frame[0][0] != "<" and not frame[0].startswith(_LIBRARIES)]
    folders = tuple(f"{folder}{os.sep}" for folder, _ in _loaded if folder)
    within = [frame for frame in frames if frame[0].startswith(folders)]
    return " in {}, line {}".format(*(within or frames)[-1]) if frames else ""


def _code_files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All *.py files; a folder that a link repeats within itself is left out."""
    if (real := folder.resolve()) in above:
        return
    for path in folder.iterdir():
        if path.is_dir() and path.name[0] != "." and path.name != "__pycache__":
            yield from _code_files(path, (*above, real))
        elif path.suffix == ".py" and path.is_file():
            yield path
