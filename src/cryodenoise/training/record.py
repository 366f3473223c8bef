"""Reading what finished trainings left: one folder each, those that repeat the first within its folder."""

import re
from pathlib import Path

from cryodenoise.claims import differences, require_document
from cryodenoise.config.documents import MadeFrom
from cryodenoise.config.training import ImportedModel
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.models import Network, choose, code_digest

DOCUMENT_NAME = "training.json"
_REPEAT = re.compile(r"repeat-([2-9]|[1-9]\d+)")


def folder_of(model_dir: Path, number: int) -> Path:
    """The folder of one of several trainings that differ by their seed, counted from 1."""
    return model_dir if number == 1 else model_dir / f"repeat-{number}"


def repeats_in(model_dir: Path) -> dict[int, Path]:
    """The folders repeat-2, repeat-3, … that are there, by their number, in order."""
    inside = model_dir.iterdir() if model_dir.is_dir() else ()
    found = {int(match[1]): path for path in inside if (match := _REPEAT.fullmatch(path.name)) and path.is_dir()}
    return dict(sorted(found.items()))


def unfinished(model_dir: Path, trainings: int) -> list[int]:
    """Which of so many trainings are not there as a whole, counted from 1."""
    numbers = range(1, trainings + 1)
    return [number for number in numbers if not (folder_of(model_dir, number) / DOCUMENT_NAME).exists()]


def open_training(model_dir: Path) -> TrainingRecord:
    """Read training.json and hold it against the weights beside it.

    Raises:
        UserError: If the training is missing, unfinished, of another format version, or its weights were altered.
    """
    path = require_document(model_dir, DOCUMENT_NAME, "train")
    record = TrainingRecord.load_document(path)
    weights = model_dir / record.weights.name
    if not weights.is_file() or sha256_of(weights) != record.weights.sha256:
        found = "altered since it was written" if weights.is_file() else "missing, though training.json names it"
        raise UserError(f"{weights}: {found}: {TrainingRecord.remedy()}")
    return record


def open_trainings(model_dir: Path) -> list[tuple[Path, TrainingRecord]]:
    """Read the training.json of all trainings of a folder, each held against the weights beside it.

    Returns:
        Folders and records: the folder's own first, then repeat-2, repeat-3, …, which differ from it by their seed.

    Raises:
        UserError: As `open_training` for each; or if one is missing or is no repetition of the first.
    """
    own = open_training(model_dir)
    found = [(model_dir, own)]
    for number in range(2, own.trainings + 1):
        folder = folder_of(model_dir, number)
        if not folder.is_dir():
            raise UserError(
                f"{folder}: missing, though {model_dir / DOCUMENT_NAME} tells of {own.trainings} trainings: run "
                "`cryodenoise train` again, which trains those that are missing"
            )
        record = open_training(folder)
        if other := "; ".join(differences(record.made_from.model_dump(), made_from_of(own, number).model_dump())):
            raise UserError(
                f"{folder}: its training differs from the first by more than its seed ({other}): remove that folder "
                "and run `cryodenoise train` again"
            )
        found.append((folder, record))
    return found


def made_from_of(first: TrainingRecord, number: int) -> MadeFrom:
    """What one of several trainings must be made from, the first being known.

    Args:
        first: The record of the first.
        number: Which, counted from 1.
    """
    parameters = first.made_from.parameters
    return first.made_from.model_copy(update={"parameters": {**parameters, "seed": parameters["seed"] + number - 1}})


def network_of(record: TrainingRecord, model_dir: Path, code_dir: Path | None) -> Network:
    """The network that was trained; one's own must have the code that it had then.

    Args:
        record: Its training.json.
        model_dir: Where that is, for messages.
        code_dir: Folder of the code of one's own; None without one.

    Raises:
        UserError: If there is no such network, or its code is another or fails.
    """
    place = f"{model_dir / DOCUMENT_NAME}: model"
    if isinstance(record.model, ImportedModel):
        expected, found = record.made_from.inputs.get("code", ""), code_digest(code_dir)
        if found != expected:
            here = f"{code_dir} has the digest {found[:16]}…" if code_dir else "no code_dir was given"
            raise UserError(
                f"{place}: {record.model.import_} was trained with code of the digest {expected[:16]}…, but {here}: "
                "give as code_dir the folder as it was then, or train again"
            )
    return choose(record.model, code_dir, place)
