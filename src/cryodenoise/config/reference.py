"""reference/NAME.json: a set whose test data and reference scores are known."""

from typing import Any, ClassVar

from pydantic import Field

from cryodenoise.config.documents import Digest
from cryodenoise.config.schema import Document, Schema
from cryodenoise.config.submission import Track


class ReferenceRun(Schema):
    """A training of the reference's network, scored."""

    seed: int
    """Its seed."""
    psnr_db: float
    """PSNR of the test set against the truth where there is one, else against the target."""


class Reference(Document):
    """A set: what is fixed in the closed division, and what this project measured."""

    FORMAT: ClassVar[str] = "cryodenoise/reference"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "test"

    name: str
    """Name of the set: that of its folder in run/."""
    track: Track
    """What it is ranked in."""
    runs_required: int = Field(ge=1)
    """Trainings with distinct seeds that a submission needs."""
    dataset_identity: Digest | None
    """Identity of the dataset; null where this project has not made it."""
    test_digest: Digest | None
    """SHA-256 over the test split alone, which the open division fixes too; null likewise."""
    download: dict[str, Any]
    """Run file of `download`, defaults filled in, without the keys that only say how a machine works."""
    preprocess: dict[str, Any]
    """That of `preprocess`."""
    train: dict[str, Any]
    """That of `train`, without its seed."""
    parameters: int
    """Number of trained values."""
    runs: list[ReferenceRun]
    """What was measured; empty where this project has not."""
    tolerance_db: float | None = Field(gt=0)
    """How far the PSNR of the same seed may be off on another machine; null where nothing was measured."""
    environment: dict[str, Any]
    """Versions and hardware that measured it."""
