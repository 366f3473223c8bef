"""The folders of a workspace: which task writes which, under which names."""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from cryodenoise.claims import MARKER_NAME, is_journal
from cryodenoise.config.documents import DatasetRecord, DownloadRecord
from cryodenoise.config.imported_record import ImportedRecord, ImportParameters
from cryodenoise.config.report import Report
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Document, Parameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.dataset import layout
from cryodenoise.files import PARTIAL_SUFFIX
from cryodenoise.models import imported
from cryodenoise.sources.record import FOLDERS, is_within
from cryodenoise.submission import log
from cryodenoise.tasks import download, test
from cryodenoise.training import checkpoints, record, scalars

LOGS = "logs"


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        name: What it is called in a workspace.
        task: The task that writes it.
        parameters: Schema of the task's run file.
        document: Schema of the document that finished work holds.
        document_name: The document's file name.
        files: Patterns of the names of what the task writes beside it, or in folders there; the files of raw/ are named
            in its document instead.
        folders: Folders that the task makes in it.
    """

    name: str
    task: str
    parameters: type[Parameters]
    document: type[Document]
    document_name: str
    files: tuple[str, ...]
    folders: tuple[str, ...] = ()

    def writes(self, name: str) -> bool:
        """Whether a file name, with that of its folder before it, is one that the task gives."""
        return name in (self.document_name, MARKER_NAME) or any(fnmatch(name, pattern) for pattern in self.files)


KINDS = (
    Kind("raw", "download", DownloadParameters, DownloadRecord, download.DOCUMENT_NAME, (), FOLDERS),
    Kind(
        "data",
        "preprocess",
        PreprocessParameters,
        DatasetRecord,
        layout.DOCUMENT_NAME,
        tuple(
            name(stem, role)
            for name in (layout.binary_name, layout.checksums_name)
            for stem in layout.STEMS
            for role in layout.roles_of(stem, with_truth=True)
        ),
    ),
    Kind(
        "model",
        "train",
        TrainParameters,
        TrainingRecord,
        record.DOCUMENT_NAME,
        (checkpoints.BEST_NAME, checkpoints.LAST_NAME, "last-*.safetensors", log.TRAINING_NAME, scalars.FILES),
    ),
    Kind(
        "results",
        "test",
        TestParameters,
        Report,
        test.DOCUMENT_NAME,
        (
            "measures.npz", *log.RESULT_NAMES, "report.html", "figures/*.png", "figures/*.pdf", "tables/*.md",
            "tables/*.tex",
        ),
        ("figures", "tables"),
    ),
)  # fmt: skip
"""The folders of a workspace, in the order of the tasks of a run set."""
IMPORTED = Kind(
    "model",
    ImportedRecord.TASK,
    ImportParameters,
    ImportedRecord,
    imported.DOCUMENT_NAME,
    (imported.WEIGHTS_NAME,),
)
"""What may lie in the place of a training, and comes from no run file."""


def kind_of(directory: Path) -> Kind | None:
    """The kind of a folder: by its document, else by what its unfinished work says, else by the files in it."""
    kinds = (*KINDS, IMPORTED)
    for kind in kinds:
        if (directory / kind.document_name).exists():
            return kind
    task = read_json(directory / MARKER_NAME).get("task")
    for kind in kinds:
        here = (name for name in kind.files if "/" not in name)  # figures of a dataset may lie beside it
        if kind.task == task or any(next(directory.glob(name), None) for name in here):
            return kind
    return None


def is_unfinished(name: str) -> bool:
    """Whether a file name is one that only work under way has."""
    return name == MARKER_NAME or name.endswith(PARTIAL_SUFFIX) or is_journal(name)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON mapping that a file holds; empty where it holds none."""
    with suppress(OSError, ValueError, RecursionError):
        content = json.loads(path.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}
    return {}


def is_made_from(told: object, kind: Kind, run_file: Path, number: int = 1) -> bool:
    """Whether what a document tells under `made_from` names the parameters of a run file, as this version reads it.

    Args:
        told: What it tells.
        kind: The kind of its folder.
        run_file: The run file.
        number: Of several trainings that differ by their seed, which, counted from 1.
    """
    parameters = told.get("parameters") if isinstance(told, dict) else None
    expected = kind.parameters.load(run_file)
    if isinstance(expected, TrainParameters):
        expected = expected.training(number)
    return bool(parameters == json.loads(json.dumps(expected.determining())))


def named_files(raw_dir: Path) -> dict[Path, int | None]:
    """What `download` put into raw/, by its document or by the journals of unfinished work, and the lengths.

    Only names of files in the folder itself and in those that it makes there count, whatever a document says.
    """
    found: dict[Path, int | None] = {}
    for entry in _noted_files(raw_dir):
        name, size_bytes = entry.get("name"), entry.get("size_bytes")
        if isinstance(name, str) and is_within(name):
            found[raw_dir / name] = size_bytes if isinstance(size_bytes, int) else None
    return found


def _noted_files(raw_dir: Path) -> Iterator[dict[str, Any]]:
    for document in (download.DOCUMENT_NAME, MARKER_NAME):
        files = read_json(raw_dir / document).get("files", [])
        yield from (entry for entry in files if isinstance(entry, dict))
    for journal in sorted(path for path in raw_dir.iterdir() if is_journal(path.name) and path.is_file()):
        for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError, RecursionError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield from (part for part in entry.values() if isinstance(part, dict))
