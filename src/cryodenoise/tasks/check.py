"""Command `check`: a folder of a workspace, or all of them, held against what their documents say."""

import io
import os
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from cryodenoise.claims import MARKER_NAME, entries
from cryodenoise.config.documents import DatasetRecord, DownloadRecord
from cryodenoise.config.imported_record import ImportedRecord
from cryodenoise.config.report import Report
from cryodenoise.config.schema import Document
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.console import Console
from cryodenoise.dataset import check as dataset_rules
from cryodenoise.errors import UserError
from cryodenoise.evaluation import check as results_rules
from cryodenoise.files import fingerprint_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.micrographs.hdf5 import is_stack
from cryodenoise.models import imported, name_of
from cryodenoise.models.code_folder import require_folder
from cryodenoise.sources import check as raw_rules
from cryodenoise.sources.record import contents, counted, is_within
from cryodenoise.submission import logs as log_rules
from cryodenoise.submission.check import checked, is_package
from cryodenoise.tasks.findings_told import Told, as_json, tell
from cryodenoise.tasks.folders import IMPORTED, KINDS, Kind, is_unfinished, kind_of, read_json
from cryodenoise.training import check as model_rules
from cryodenoise.training.record import folder_of, repeats_in


def check(directory: Path, code_dir: Path | None, json: bool, console: Console) -> int:
    """Tell everything that is wrong with a folder that a task wrote, with those of a workspace, or with a submission.

    Args:
        directory: The folder, or the archive of a submission.
        code_dir: Folder of the code of a network of one's own; without it, less is checked of such a one.
        json: Whether what is found is told as JSON, and nothing else.
        console: Takes what is to be said.

    Returns:
        The exit code: 0 if nothing is wrong, else 1.

    Raises:
        UserError: If the folder is none of these, or there is no such folder of code.
    """
    require_folder(code_dir)
    told = Told(Console(io.StringIO()) if json else console)
    in_workspace = any(_has_work(directory / kind.name) for kind in KINDS)  # to which `submit` may have written
    if is_package(directory) and not in_workspace:
        with checked(directory) as outcome:
            told.outcome = outcome
            tell(outcome, told.console)
    else:
        _check_workspace(directory, code_dir, told)
    if json:
        console.say(as_json(told.outcome))
    count = len(told.outcome.findings)
    told.console.say("no findings" if not count else f"{count} finding{'s' * (count > 1)}")
    return 1 if count else 0


def _check_workspace(directory: Path, code_dir: Path | None, told: Told) -> None:
    """Check a folder that a task wrote, or those of a workspace."""
    if not directory.is_dir():
        found = "is a file" if directory.exists() else "does not exist"
        raise UserError(f"{directory}: {found}, expected a folder that a task wrote, or a workspace")
    kind = kind_of(directory)
    if kind:
        _check_folder(directory, kind, code_dir, told)
    else:
        folders = [(directory / kind.name, kind) for kind in KINDS if (directory / kind.name).is_dir()]
        if not any(_has_work(folder) for folder, _ in folders):
            documents = ", ".join(kind.document_name for kind in KINDS)
            raise UserError(
                f"{directory}: holds none of {documents}, nor folders that do: give a folder that a task wrote, or a "
                "workspace"
            )
        for folder, kind in folders:
            _check_folder(folder, IMPORTED if _is_imported(folder) else kind, code_dir, told)
        told.apply(FITTING, directory)


def _has_work(folder: Path) -> bool:
    return kind_of(folder) is not None


def _is_imported(folder: Path) -> bool:
    """Whether a folder of a workspace holds imported weights in the place of a training."""
    return folder.name == IMPORTED.name and kind_of(folder) is IMPORTED


@rule("FOLDER-1", "the work in the folder is finished")
def finished(folder: Path) -> Iterator[Finding]:
    """A marker of unfinished work."""
    if (folder / MARKER_NAME).exists():
        task = read_json(folder / MARKER_NAME).get("task", "its task")
        yield Finding(folder / MARKER_NAME, f"found unfinished work, expected none: run `{task}` again to go on")


def _nothing_else(kind: Kind) -> Rule[Path]:
    """The rule about other files; raw/ may hold some beside its micrographs."""

    def findings(folder: Path) -> Iterator[Finding]:
        repeats = repeats_in(folder).values() if kind.name == "model" else ()
        made = [folder / name for name in kind.folders if (folder / name).is_dir()]
        inside = (
            [path for each in (folder, *made) for path in entries(each)] if kind.name != "raw" else contents(folder)
        )
        for path in (path for path in inside if path not in (*repeats, *made)):
            left_over = is_unfinished(path.name) and path.name[0] != "."
            if not kind.writes(path.relative_to(folder).as_posix()) and (left_over or kind.name != "raw"):
                what = "what unfinished work left" if left_over else f"what `{kind.task}` did not write"
                yield Finding(path, f"found {what}, expected only what {kind.document_name} tells of: move it away")

    sentence = (
        "nothing is left of unfinished work" if kind.name == "raw" else "nothing is there that its task did not write"
    )
    return Rule("FOLDER-2", sentence, findings)


def _valid(kind: Kind, loaded: list[Document]) -> Rule[Path]:
    """The rule about the document itself, which is appended to `loaded` where it can be read."""

    def findings(folder: Path) -> Iterator[Finding]:
        path = folder / kind.document_name
        if not path.is_file():
            yield Finding(path, f"missing, expected the document that `{kind.task}` writes")
            return
        try:
            document, edited = kind.document.read_document(path)
            loaded.append(document)
            if edited:
                yield Finding(path, edited)
        except UserError as error:
            for line in str(error).splitlines():
                yield Finding(path, line.removeprefix(f"{path}: ").removesuffix(f": {kind.document.remedy()}"))
        except OSError as error:
            yield Finding(path, f"cannot be read ({error.strerror}), expected JSON")
        except RecursionError:
            yield Finding(path, "found endless nesting, expected a document")

    return Rule(
        "FOLDER-3", f"{kind.document_name} is of this version, as its schema says and as it was written", findings
    )


def _check_folder(folder: Path, kind: Kind, code_dir: Path | None, told: Told) -> None:
    """Apply the rules of one folder."""
    console = told.console
    if not os.path.lexists(folder / kind.document_name) and not (folder / MARKER_NAME).exists():
        if kind.name == "raw":
            console.say(f"{folder}: no {kind.document_name}: micrographs of one's own, not checked")
            return
        if not entries(folder):
            console.say(f"{folder}: empty, not checked")
            return
    console.say(f"{folder}: what `{kind.task}` writes")
    told.apply([finished], folder)
    if not (folder / kind.document_name).exists() and (folder / MARKER_NAME).exists():
        return  # there is nothing yet to hold it against
    told.apply([_nothing_else(kind)], folder)
    loaded: list[Document] = []
    sound = told.apply([_valid(kind, loaded)], folder)
    for document in loaded:
        rules, about = _rules_of(folder, document, code_dir, console)
        started_s = time.monotonic()
        sound &= told.apply(rules, about)
        what, size_bytes = _amount(document)
        elapsed_s = time.monotonic() - started_s
        rate = f", {size_bytes / 1e6:.1f} MB in {elapsed_s:.1f} s ({size_bytes / 1e6 / elapsed_s:.0f} MB/s)"
        console.say(f"  checked: {what}{rate if size_bytes else ''}")
        if isinstance(about, model_rules.ModelFolder):
            several = repeats_in(folder) or about.record.trainings > 1
            told.apply([log_rules.of_training, *([model_rules.trainings] if several else [])], about)
    if not sound:
        console.say(f"  what to do: {kind.document.remedy()}")
    _check_repeats(folder, loaded, kind, code_dir, told)


def _check_repeats(folder: Path, loaded: list[Document], kind: Kind, code_dir: Path | None, told: Told) -> None:
    """Check the folders of the trainings that repeat a folder's own."""
    count = max((document.trainings for document in loaded if isinstance(document, TrainingRecord)), default=1)
    places = [folder_of(folder, number) for number in range(2, count + 1)]
    for place in (place for place in places if place.is_dir()):
        _check_folder(place, kind, code_dir, told)


def _rules_of(
    folder: Path, document: Document, code_dir: Path | None, console: Console
) -> tuple[Sequence[Rule[Any]], object]:
    """The rules for what a document describes, and what they apply to."""
    match document:
        case DownloadRecord():
            return raw_rules.RULES, raw_rules.RawFolder(folder, document, console)
        case DatasetRecord():
            return dataset_rules.RULES, dataset_rules.DatasetFolder(folder, document, console)
        case TrainingRecord():
            return model_rules.RULES, model_rules.open_folder(folder, document, code_dir, console)
        case ImportedRecord():
            return imported.RULES, imported.ImportedFolder(folder, document)
        case Report():
            return (*results_rules.RULES, log_rules.of_results), results_rules.ResultsFolder(folder, document)
    raise AssertionError(document.FORMAT)


def _amount(document: Document) -> tuple[str, int]:
    """What a document describes, in words, and the bytes of the large files among it."""
    match document:
        case DownloadRecord():
            return counted(document.files), sum(file.size_bytes for file in document.files)
        case DatasetRecord():
            samples = sum(place.samples for place in document.splits.values())
            return f"{samples:,} inputs and targets", sum(file.size_bytes for file in document.files)
        case TrainingRecord():
            return f"weights of {name_of(document.model)}", 0
        case ImportedRecord():
            return f"weights of {imported.title(document)}", 0
    return "scores", 0


def _at(workspace: Path, name: str, *keys: str) -> Any:
    """A value in the document of one of the folders; None where there is none."""
    kind = next(kind for kind in KINDS if kind.name == name)
    value: Any = read_json(workspace / name / (IMPORTED if _is_imported(workspace / name) else kind).document_name)
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


@rule("WORKSPACE-1", "each folder was made from what the folder before it holds")
def made_from_each_other(workspace: Path) -> Iterator[Finding]:
    """Folders that are made from other data or weights than those beside them."""
    dataset, weights = _at(workspace, "data", "identity"), _at(workspace, "model", "weights", "sha256")
    links: list[tuple[str, str, Any, Any]] = [
        ("data", "source", _at(workspace, "data", "source"), _at(workspace, "raw", "made_from")),
        ("model", "made_from.inputs.dataset", _at(workspace, "model", "made_from", "inputs", "dataset"), dataset),
        ("results", "dataset_identity", _at(workspace, "results", "dataset_identity"), dataset),
        ("results", "training.weights.sha256", _at(workspace, "results", "training", "weights", "sha256"), weights),
    ]
    if _is_imported(workspace / "model") and _at(workspace, "results", "denoiser", "parameters"):
        links.append(("results", "denoiser.sha256", _at(workspace, "results", "denoiser", "sha256"), weights))
    for name, key, found, expected in links:
        if found is not None and expected is not None and found != expected:
            shown = (f"{value[:16]}…" if isinstance(value, str) else "another run file" for value in (found, expected))
            yield Finding(workspace / name, "{}: found {}, expected {}".format(key, *shown))
    yield from _other_stacks(workspace)
    downloaded = {file.get("name"): file.get("pixel_digest") for file in _at(workspace, "raw", "files") or []}
    for micrograph in _at(workspace, "data", "micrographs") or [] if downloaded else []:
        for name, pixel_digest in _images_of(micrograph, downloaded):
            of_a_stack = isinstance(name, str) and is_stack(name.rpartition("#")[0])
            if not of_a_stack and downloaded.get(name) != pixel_digest:
                yield Finding(workspace / "data", f"{name}: made from other pixels than raw/ holds now")


def _other_stacks(workspace: Path) -> Iterator[Finding]:
    """Stacks that are not those a dataset was made from; of their images download.json has no digests."""
    told = _at(workspace, "data", "made_from", "inputs", "micrographs")
    stacks = [file.get("name") for file in _at(workspace, "raw", "files") or [] if file.get("role") == "stack"]
    for name in stacks if isinstance(told, dict) else []:
        if name not in told or not is_within(name):
            continue
        path = workspace / "raw" / name
        if path.is_file() and fingerprint_of(path) != told[name]:
            yield Finding(workspace / "data", f"{name}: made from another file than raw/ holds now")


def _images_of(micrograph: dict[str, Any], downloaded: Collection[str]) -> Iterator[tuple[Any, Any]]:
    """Names and digests of a micrograph of a dataset and of those images beside it that came with it."""
    beside = [image for key in ("target", "truth") if isinstance(image := micrograph.get(key), dict)]
    images = [micrograph, *(image for image in beside if image.get("name") in downloaded)]
    names = [image.get("name") for image in images]
    for name, image in zip(names, images, strict=True):
        if names.count(name) == 1:  # both halves of one movie have its name, and digests of their own
            yield name, image.get("pixel_digest")


FITTING: tuple[Rule[Path], ...] = (made_from_each_other,)
