"""Reading what a finished training left."""

from pathlib import Path

from cryodenoise.claims import MARKER_NAME
from cryodenoise.config.documents import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import require_directory, sha256_of

DOCUMENT_NAME = "training.json"


def open_training(model_dir: Path) -> TrainingRecord:
    """Read training.json and hold it against the weights beside it.

    Raises:
        UserError: If the training is missing, unfinished, of another format version, or its weights were altered.
    """
    require_directory(model_dir, "train")
    path = model_dir / DOCUMENT_NAME
    if not path.is_file():
        found = "unfinished" if (model_dir / MARKER_NAME).exists() else "missing"
        raise UserError(f"{path}: {found}: run `cryodenoise train` first, to its end")
    record = TrainingRecord.load_document(path)
    weights = model_dir / record.weights.name
    if not weights.is_file() or sha256_of(weights) != record.weights.sha256:
        found = "altered since it was written" if weights.is_file() else "missing, though training.json names it"
        raise UserError(f"{weights}: {found}: remove the folder and run `cryodenoise train` again")
    return record
