"""model/imported.json: which weights of another program were brought here, and how they were found to be in order."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from cryodenoise.config.documents import Digest, MadeFrom
from cryodenoise.config.schema import Document, Parameters, Schema
from cryodenoise.config.training_record import WeightsFile

Origin = Literal["v28f"]
"""The programs whose weights can be imported."""
AUTO = "auto"
"""In place of the name of an order: the one with the lowest error."""


class ImportParameters(Parameters):
    """What `import-weights` was asked for."""

    from_: Origin = Field("v28f", alias="from")
    """The program that wrote the weights."""
    order: str = AUTO
    """In which order the values lie in its files (docs/SYSTEMS.md); `auto` takes the one with the lowest error."""


class ImportedFile(Schema):
    """A file that was read."""

    name: str
    """File name in the folder that was given."""
    size_bytes: int = Field(ge=0)
    """Length of the file."""
    sha256: Digest
    """SHA-256 of the file."""


class OrderScore(Schema):
    """What the network makes of the validation patches if the values lie in an order."""

    mse: float | None
    """Mean squared error, in float64; null where images were not finite."""
    like_best: bool
    """Whether the patches cannot tell it from the order with the lowest error."""


class ImportedRecord(Document):
    """model/imported.json: which weights of another program were brought here, and how they were found to be in order.

    What they were trained on is not known, so nothing is said of it.
    """

    FORMAT: ClassVar[str] = "cryodenoise/imported"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "import-weights"

    origin: Origin
    """The program that wrote the weights."""
    model: str
    """Name of the network."""
    parameters: int
    """Number of trained values."""
    weights: WeightsFile
    """The weights, as this program writes them."""
    order: str
    """The order in which the files were read."""
    files: list[ImportedFile]
    """All files that were read, sorted by name."""
    orders: dict[str, OrderScore]
    """Every order that is known, and what came of it."""
    validation_samples: int = Field(ge=1)
    """Patches of the dataset's validation split on which the orders were scored."""
    input_mse: float
    """Mean squared error of these patches as they are."""
    affine_mse: float
    """Likewise after the affine map that is best for them."""
    normalization: str
    """Rule by which the intensities of that dataset came to [0, 1]; `denoise` takes it, for want of a better."""
    clipped: bool
    """Whether intensities beyond were clipped there."""
    device: str
    """Name of the processor or GPU that scored."""
    made_from: MadeFrom
    """What was asked for, the files and the dataset."""
    environment: dict[str, Any]
    """Versions and hardware."""
