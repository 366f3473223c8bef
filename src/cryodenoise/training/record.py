"""Reading what a finished training left."""

from pathlib import Path

from cryodenoise.claims import require_document
from cryodenoise.config.documents import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of

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
