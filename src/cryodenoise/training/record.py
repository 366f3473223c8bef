"""Reading what a finished training left."""

from pathlib import Path

from cryodenoise.claims import require_document
from cryodenoise.config.training import ImportedModel
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.models import Network, choose, code_digest

DOCUMENT_NAME = "training.json"


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
