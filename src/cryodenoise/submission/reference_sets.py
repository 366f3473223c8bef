"""The sets whose test data are known, and the scores that were measured on them: reference/NAME.json."""

from functools import cache
from pathlib import Path

import cryodenoise
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.reference import Reference
from cryodenoise.errors import UserError
from cryodenoise.submission.digests import test_digest

FOLDER = Path(cryodenoise.__file__).parent / "reference"
"""In a checkout a link to the top-level folder; installed, a copy of its JSON files."""


@cache
def all() -> tuple[Reference, ...]:
    """All sets, in order of their names."""
    return tuple(Reference.load_document(path) for path in sorted(FOLDER.glob("*.json")))


def of(name: str) -> Reference:
    """The set of a name.

    Raises:
        UserError: If there is none.
    """
    for reference in all():
        if reference.name == name:
            return reference
    known = ", ".join(reference.name for reference in all())
    raise UserError(f"reference set: found {name!r}, expected one of {known}: give one of these")


def find(identity: str, digest: str | None = None) -> Reference | None:
    """The set of a dataset's identity, else that of a test split's digest; None where there is none."""
    for reference in all():
        if reference.dataset_identity == identity:
            return reference
    for reference in all():
        if digest is not None and reference.test_digest == digest:
            return reference
    return None


def of_dataset(dataset: DatasetRecord) -> Reference | None:
    """The set whose dataset this is, else whose test split it has, else whose run files made it; None without one."""
    return find(dataset.identity, test_digest(dataset)) or _unmeasured(dataset)


def _unmeasured(dataset: DatasetRecord) -> Reference | None:
    """Of the sets whose data this project has not made, the one whose run files made a dataset."""
    told = [made_from.parameters for made_from in (dataset.source, dataset.made_from) if made_from]
    for reference in all():
        if reference.test_digest is None and told == [reference.download, reference.preprocess]:
            return reference
    return None
