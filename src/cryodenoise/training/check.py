"""The rules of model/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.config.documents import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.models import MODELS
from cryodenoise.training.checkpoints import BEST_NAME, LAST_NAME, load_network
from cryodenoise.training.record import DOCUMENT_NAME


@dataclass(frozen=True)
class ModelFolder:
    """A folder and what its training.json says."""

    path: Path
    record: TrainingRecord


@rule("MODEL-1", "training.json does not contradict itself: epochs, best epoch and number of weights fit")
def consistent(folder: ModelFolder) -> Iterator[Finding]:
    """Every contradiction."""
    record, place = folder.record, folder.path / DOCUMENT_NAME
    planned = record.made_from.parameters.get("epochs")
    found = [epoch.epoch for epoch in record.history]
    if found != list(range(1, len(found) + 1)) or len(found) != planned:
        yield Finding(place, f"history: epochs {found}, expected 1 to {planned}")
    if record.history:
        best = min(record.history, key=lambda epoch: epoch.validation_mse).epoch
        if record.best_epoch != best:
            yield Finding(place, f"best_epoch: {record.best_epoch}, expected {best}, which has the lowest error")
    if record.model not in MODELS:
        yield Finding(place, f"model: {record.model!r}, expected one of: {', '.join(MODELS)}")
    elif record.parameters != (weights := sum(value.numel() for value in MODELS[record.model]().parameters())):
        yield Finding(place, f"parameters: {record.parameters}, expected {weights}, those of {record.model}")
    if record.weights.name != BEST_NAME:
        yield Finding(place, f"weights.name: {record.weights.name!r}, expected {BEST_NAME!r}")


@rule("MODEL-2", "the best weights are there, with their SHA-256")
def best_weights(folder: ModelFolder) -> Iterator[Finding]:
    """Missing or other weights."""
    path, expected = folder.path / BEST_NAME, folder.record.weights.sha256
    if not path.is_file():
        yield Finding(path, f"missing, expected the weights with SHA-256 {expected[:16]}…")
    elif (found := sha256_of(path)) != expected:
        yield Finding(path, f"SHA-256 {found[:16]}…, expected {expected[:16]}…: altered since it was written")


@rule("MODEL-3", "every file of weights has its own digest and fits the network")
def files_of_weights(folder: ModelFolder) -> Iterator[Finding]:
    """Damaged files, and weights of another network."""
    for path in (folder.path / BEST_NAME, folder.path / LAST_NAME):
        if path.name == LAST_NAME and not path.is_file():
            yield Finding(path, "missing, expected the state after the last epoch")
        elif path.is_file() and folder.record.model in MODELS:
            try:
                load_network(path, folder.record.model)
            except UserError as error:
                yield Finding(path, str(error).removeprefix(f"{path}: ").removesuffix(f": {TrainingRecord.remedy()}"))


RULES: tuple[Rule[ModelFolder], ...] = (consistent, best_weights, files_of_weights)
