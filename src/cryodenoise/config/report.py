"""results/report.json: the schema of what `test` reports."""

from typing import Any, ClassVar

from pydantic import Field

from cryodenoise.config.documents import Digest, MadeFrom, Skipped
from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.schema import Document, Schema
from cryodenoise.config.training_record import WeightsFile


class Spread(Schema):
    """A score a patch, summed up over the patches."""

    mean: float
    """Mean over the patches."""
    median: float
    """Median over the patches; of an even count, the mean of the middle two."""
    min: float
    """Lowest."""
    max: float
    """Highest."""


class Scores(Schema):
    """How close images are to others; intensities are those of the dataset, in [0, 1] where it was clipped there."""

    mse: float = Field(ge=0)
    """Mean squared error over all pixels of the test split."""
    rmse: float = Field(ge=0)
    """Square root of `mse`."""
    mae: float = Field(ge=0)
    """Mean absolute error over all pixels."""
    psnr_db: float | None
    """10·log10(1 / mse), of the whole set; null if `mse` is 0. Of unclipped data the range of 1 is a convention."""
    ssim: Spread
    """Structural similarity a patch."""
    correlation: Spread
    """Pearson correlation a patch; 0 for a patch without variation."""


class AffineMap(Schema):
    """x → slope · x + offset."""

    slope: float
    """Factor."""
    offset: float
    """Summand."""


class ScoreSet(Schema):
    """How close the network and its references come to one kind of image."""

    denoised: Scores
    """Scores of the network."""
    noisy_input: Scores
    """Scores of its input."""
    scalar_wiener: Scores
    """Scores of the best affine map of its input."""
    affine_map: AffineMap
    """That map: the one with the lowest mean squared error on the test split itself."""
    gain_over_input_db: float | None
    """PSNR of the denoised less that of the noisy input; null if either is."""
    gain_over_scalar_wiener_db: float | None
    """PSNR of the denoised less that of the scalar Wiener reference; null if either is."""


class TrainingConditions(Schema):
    """On what a network was trained; training.json tells the rest."""

    device: str
    """Name of the processor or GPU."""
    machine: dict[str, Any]
    """Keys of the run file of `train` that only say how a machine does the work."""
    environment: dict[str, Any]
    """Versions and hardware."""


class Report(Document):
    """What `test` measured, beside its references, and everything it was measured from."""

    FORMAT: ClassVar[str] = "cryodenoise/report"
    VERSION: ClassVar[int] = 3
    TASK: ClassVar[str] = "test"

    model: str
    """Name of the network."""
    parameters: int
    """Number of trained values."""
    samples: int
    """Patches scored."""
    sample_shape: tuple[int, int]
    """Rows and columns of a patch."""
    pairs: PairsKind
    """What inputs and targets are made of; of `truth`, the target is the truth."""
    against_target: ScoreSet
    """Scores against the targets."""
    against_truth: ScoreSet | None
    """Scores against the truth that was carried along for them; null where there is none or it is the target."""
    remarks: list[str]
    """What a reader must know to judge the scores."""
    skipped: list[Skipped]
    """Micrographs that preprocessing left out as unusable."""
    inference_patches_per_s: float
    """Patches over the seconds that the network spent on them, transfers to its device included."""
    elapsed_s: float
    """Seconds of the whole scoring, reading included."""
    peak_host_memory_bytes: int
    """Largest resident memory of the process during the task."""
    peak_device_memory_bytes: int | None
    """Largest memory reserved on the GPU by PyTorch's allocator during the task; null on the processor."""
    device: str
    """Name of the processor or GPU that scored."""
    dataset_identity: Digest
    """Identity of the dataset that was scored."""
    weights: WeightsFile
    """The weights that were scored."""
    download: MadeFrom | None
    """Run file of `download`; null for micrographs of one's own."""
    preprocess: MadeFrom
    """Run file of `preprocess` and its micrographs."""
    train: MadeFrom
    """Run file of `train` and its dataset."""
    made_from: MadeFrom
    """Run file of `test`, its dataset and its weights."""
    machine: dict[str, Any]
    """The other keys of the run file, which only say how a machine does the work."""
    training: TrainingConditions
    """On what the network was trained."""
    environment: dict[str, Any]
    """Versions and hardware."""
