"""The folder of imported weights: its names, reading it, and its rules."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from cryodenoise.claims import require_document
from cryodenoise.config.imported_record import ImportedRecord
from cryodenoise.errors import UserError
from cryodenoise.files import sha256_of
from cryodenoise.findings import Finding, Rule, rule
from cryodenoise.models import MODELS, Network, choose, parameter_count
from cryodenoise.models.weights import load_into, read_tensors

DOCUMENT_NAME, WEIGHTS_NAME = "imported.json", "imported.safetensors"


def open_imported(model_dir: Path) -> ImportedRecord:
    """Read imported.json and hold it against the weights beside it.

    Raises:
        UserError: If it is missing, unfinished, of another format version, or its weights were altered.
    """
    record = ImportedRecord.load_document(require_document(model_dir, DOCUMENT_NAME, ImportedRecord.TASK))
    weights = model_dir / record.weights.name
    if not weights.is_file() or sha256_of(weights) != record.weights.sha256:
        found = "altered since it was written" if weights.is_file() else f"missing, though {DOCUMENT_NAME} names it"
        raise UserError(f"{weights}: {found}: {ImportedRecord.remedy()}")
    return record


def network_of(record: ImportedRecord, model_dir: Path) -> Network:
    """The network that the weights belong to, under a name that says where they are from.

    Raises:
        UserError: If there is none of its name.
    """
    return replace(choose(record.model, None, f"{model_dir / DOCUMENT_NAME}: model"), name=title(record))


def load(record: ImportedRecord, model_dir: Path) -> nn.Module:
    """The network with its weights, on the processor.

    Raises:
        UserError: If the file is unsound or another network's.
    """
    return _loaded(model_dir / record.weights.name, network_of(record, model_dir))


def _loaded(path: Path, network: Network) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        module = network.build()
    load_into(module, read_tensors(path)[0], network.name, path)
    return module


def title(record: ImportedRecord) -> str:
    """What reports and messages call it."""
    return f"{record.model}, imported from {record.origin}"


def remarks(record: ImportedRecord) -> list[str]:
    """What a reader must know to judge scores of it."""
    found = [
        f"The weights were not trained here but imported from files of {record.origin}, read in the order "
        f"{record.order}: on what and how they were trained is not recorded, so whether they have seen micrographs of "
        "this test split is not known."
    ]
    if others := like_it(record):
        found.append(
            f"By the error on validation patches the order {record.order} could not be told from "
            f"{', '.join(others)}: the scores may differ a little from those of the network as it was trained."
        )
    return found


def like_it(record: ImportedRecord) -> list[str]:
    """Other orders that the validation patches cannot tell from the one that was taken."""
    return [name for name, score in record.orders.items() if score.like_best and name != record.order]


@dataclass(frozen=True)
class ImportedFolder:
    """A folder, and what its imported.json says."""

    path: Path
    record: ImportedRecord


@rule("IMPORTED-1", "imported.json does not contradict itself: network, number of weights and order fit")
def consistent(folder: ImportedFolder) -> Iterator[Finding]:
    """Every contradiction."""
    record, place = folder.record, folder.path / DOCUMENT_NAME
    if record.model not in MODELS:
        yield Finding(place, f"model: {record.model!r}, expected one of {', '.join(MODELS)}")
    elif record.parameters != (count := parameter_count(MODELS[record.model].build())):
        yield Finding(place, f"parameters: {record.parameters}, expected {count}, those of {record.model}")
    if record.weights.name != WEIGHTS_NAME:
        yield Finding(place, f"weights.name: {record.weights.name!r}, expected {WEIGHTS_NAME!r}")
    taken = record.orders.get(record.order)
    if taken is None or taken.mse is None or taken.mse >= record.input_mse or not taken.like_best:
        found = None if taken is None else taken.mse
        yield Finding(
            place, f"order: {record.order!r} has the error {found}, expected the best, below the noisy input's"
        )


@rule("IMPORTED-2", "the weights are there, with their SHA-256, and fit the network")
def weights(folder: ImportedFolder) -> Iterator[Finding]:
    """Missing, altered or unsound weights."""
    record, path = folder.record, folder.path / WEIGHTS_NAME
    if not path.is_file():
        yield Finding(path, f"missing, expected the weights with SHA-256 {record.weights.sha256[:16]}…")
        return
    if (found := sha256_of(path)) != record.weights.sha256:
        expected = f"expected {record.weights.sha256[:16]}…"
        yield Finding(path, f"SHA-256 {found[:16]}…, {expected}: altered since it was written")
    elif record.model in MODELS:
        try:
            _loaded(path, MODELS[record.model])
        except UserError as error:
            yield Finding(path, str(error).removeprefix(f"{path}: "))


RULES: tuple[Rule[ImportedFolder], ...] = (consistent, weights)
