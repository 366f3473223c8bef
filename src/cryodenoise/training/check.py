"""The rules of model/."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.claims import differences
from cryodenoise.config.training import ImportedModel
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.models import Network, parameter_count
from cryodenoise.models.weights import read_tensors
from cryodenoise.training.checkpoints import BEST_NAME, LAST_NAME, load_network, states
from cryodenoise.training.record import DOCUMENT_NAME, folder_of, made_from_of, network_of, repeats_in


@dataclass(frozen=True)
class ModelFolder:
    """A folder, what its training.json says, and its network.

    Attributes:
        path: The folder.
        record: What training.json says.
        network: None if there is none of the name, or the code of one's own is not at hand.
        problem: Why there is none, if that is a finding.
    """

    path: Path
    record: TrainingRecord
    network: Network | None
    problem: str | None


def open_folder(path: Path, record: TrainingRecord, code_dir: Path | None, console: Console) -> ModelFolder:
    """What the rules apply to; what they cannot see without the code of a network of one's own is said."""
    try:
        return ModelFolder(path, record, network_of(record, path, code_dir), None)
    except UserError as error:
        problem = str(error).removeprefix(f"{path / DOCUMENT_NAME}: ")
    if isinstance(record.model, ImportedModel) and code_dir is None:
        console.say(f"  not checked: the number of parameters, and whether weights fit the network: {problem}")
        return ModelFolder(path, record, None, None)
    return ModelFolder(path, record, None, problem)


@rule("MODEL-1", "training.json does not contradict itself: epochs, best epoch and number of weights fit")
def consistent(folder: ModelFolder) -> Iterator[Finding]:
    """Every contradiction."""
    record, place = folder.record, folder.path / DOCUMENT_NAME
    planned = record.made_from.parameters.get("epochs")
    found = [epoch.epoch for epoch in record.history]
    last = record.target.epoch if record.target else planned
    if found != list(range(1, len(found) + 1)) or len(found) != last:
        yield Finding(place, f"history: epochs {found}, expected 1 to {last}")
    if record.history:
        best = min(record.history, key=lambda epoch: epoch.validation_mse).epoch
        if record.best_epoch != best:
            yield Finding(place, f"best_epoch: {record.best_epoch}, expected {best}, which has the lowest error")
    if folder.problem:
        yield Finding(place, folder.problem)
    if folder.network and record.parameters != (weights := parameter_count(folder.network.build())):
        yield Finding(place, f"parameters: {record.parameters}, expected {weights}, those of {folder.network.name}")
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
    if not (last := folder.path / LAST_NAME).is_file():
        yield Finding(last, "missing, expected the state after the last epoch")
    for path in (folder.path / BEST_NAME, *states(folder.path)):
        if path.is_file():
            try:
                load_network(path, folder.network) if folder.network else read_tensors(path)
            except UserError as error:
                yield Finding(path, str(error).removeprefix(f"{path}: ").removesuffix(f": {TrainingRecord.remedy()}"))


@rule("MODEL-4", "the trainings that differ by their seed are all there, and no others")
def trainings(folder: ModelFolder) -> Iterator[Finding]:
    """Folders that are missing, that hold another training, or of which training.json does not tell."""
    count = folder.record.trainings
    for number in range(2, count + 1):
        place = folder_of(folder.path, number)
        if not place.is_dir():
            yield Finding(place, f"missing, expected training {number} of {count}: run `train` again, which makes it")
        elif (place / DOCUMENT_NAME).is_file():
            try:
                record, _ = TrainingRecord.read_document(place / DOCUMENT_NAME)
            except (UserError, OSError, RecursionError):
                continue  # the rules for that folder say what is wrong
            expected = made_from_of(folder.record, number).model_dump()
            if other := "; ".join(differences(record.made_from.model_dump(), expected)):
                yield Finding(place, f"another training than the first's but for its seed ({other}): move it away")
    for number, place in repeats_in(folder.path).items():
        if number > count:
            what = f"training.json tells of {count} training{'s' * (count > 1)}"
            yield Finding(place, f"{what}, expected no folder of another: run `train` again to go on, or move it away")


RULES: tuple[Rule[ModelFolder], ...] = (consistent, best_weights, files_of_weights)
