"""model/training.json: what was trained, on what, and how it went."""

from typing import Any, ClassVar

from pydantic import Field

from cryodenoise.config.documents import Digest, MadeFrom
from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.schema import Document, Schema
from cryodenoise.config.training import Model


class Epoch(Schema):
    """One pass over the training samples."""

    epoch: int = Field(ge=1)
    """Number of the epoch."""
    train_loss: float
    """Mean of the objective over the epoch's samples, each measured before the step that learns from it."""
    validation_mse: float
    """Mean squared error over the validation samples after the epoch."""
    validation_psnr_db: float | None
    """Their PSNR, from that error; null where there is no error at all."""
    gain_over_input_db: float | None
    """That PSNR less the noisy input's; null if either is."""
    learning_rate: float
    """Learning rate of the epoch's last step."""
    samples_seen: int
    """Training samples seen since the start of the run."""
    elapsed_s: float
    """Seconds of training and validation since the start of the run; saving and interruptions are left out."""
    train_patches_per_s: float
    """Training samples over the seconds spent on them, of all processes together."""
    read_mb_per_s: float
    """Megabytes read from the streaming binaries over the seconds of training, of all processes together."""
    waiting_fraction: float
    """Share of the seconds of training in which the first process waited for samples."""
    skipped_steps: int
    """Steps of fp16 whose gradients overflowed and that changed no weight."""


class WeightsFile(Schema):
    """A file of weights."""

    name: str
    """File name in model/."""
    sha256: Digest
    """SHA-256 of the file."""


class TargetReached(Schema):
    """When training came to the validation quality that the run file asks for."""

    epoch: int
    """The first epoch with that quality."""
    samples_seen: int
    """Training samples seen until then."""
    elapsed_s: float
    """Seconds of training and validation until then, interruptions left out."""


Extent = tuple[float, float]
"""Lowest and highest."""


class TrainedOn(Schema):
    """What the inputs of a training were like: the range in which its network is at home."""

    normalization: str
    """Rule by which intensities came to [0, 1]."""
    clipped: bool
    """Whether intensities beyond were clipped."""
    pairs: PairsKind
    """What inputs and targets were made of."""
    micrographs: int = Field(ge=1)
    """Micrographs that were trained on."""
    pixel_size_angstrom: Extent | None
    """Pixel sizes of the micrographs, in Å; null where one is not known."""
    dose_e_per_a2: Extent | None
    """Electrons per Å² of what was the input, of halves one half's; null where it is not known."""
    standard_deviation: Extent
    """Standard deviation of the normalised inputs, of the micrographs each."""
    neighbour_correlation: Extent
    """Correlation of pixels next to each other along rows in the normalised inputs, of the micrographs each: near 0 for
    white noise, higher where noise or pixels were smoothed, binned or interpolated."""


class TrainingRecord(Document):
    """model/training.json: what was trained, on what, and how it went."""

    FORMAT: ClassVar[str] = "cryodenoise/training"
    VERSION: ClassVar[int] = 6
    TASK: ClassVar[str] = "train"

    model: Model
    """Name of the network, or where one's own is."""
    parameters: int
    """Number of trained values."""
    trainings: int = Field(ge=1)
    """Trainings in the folder: this one and, in its folders repeat-2, repeat-3, …, those that differ by their seed."""
    weights: WeightsFile
    """Weights of the epoch with the lowest validation error."""
    best_epoch: int
    """That epoch."""
    history: list[Epoch] = Field(min_length=1)
    """All epochs."""
    trained_on: TrainedOn
    """What the training samples were like."""
    validation_samples: int = Field(ge=1)
    """Samples that each epoch was validated on."""
    validation_input_mse: float
    """Mean squared error of the validation split's noisy inputs."""
    target: TargetReached | None
    """When the validation quality that the run file asks for was reached; null if it was not, or asks for none."""
    remarks: list[str]
    """What a reader must know to judge the run: that it diverged, for one."""
    micro_batch_size: int
    """Samples that a process computed at a time at most."""
    processes: int
    """Processes that trained together."""
    compiled: bool
    """Whether torch.compile fused the network's operations."""
    sessions: int
    """How often the task was started and came to save a state, until it was finished."""
    initialization_s: float = Field(ge=0)
    """Seconds that the last session spent before its first step: on initial weights or a saved state, on finding the
    micro-batch and on compiling."""
    finished_ms: int = Field(ge=0)
    """When the training was finished, in milliseconds since the start of 1970, UTC."""
    peak_host_memory_bytes: int = Field(ge=0, lt=1 << 60)
    """Largest resident memory of a process during its last session."""
    peak_device_memory_bytes: int | None = Field(ge=0, lt=1 << 60)
    """Largest memory of a GPU in its last session: what PyTorch's allocator reserved, and the context; null on the
    processor."""
    device: str
    """Name of the processor or GPU that trained."""
    made_from: MadeFrom
    """The run file, the dataset and, of a network of one's own, the digest of its code."""
    machine: dict[str, Any]
    """The other keys of the run file, which only say how a machine does the work."""
    environment: dict[str, Any]
    """Versions and hardware."""
