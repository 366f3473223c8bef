"""The run file of `train`: what is learnt, how, and what the machine may spend on it."""

import json
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from cryodenoise.config.schema import Parameters

Device = Literal["auto", "cpu", "cuda"]


class ImportedModel(Parameters):
    """A network of one's own: a function of a module in code_dir, or of an installed package."""

    import_: str = Field(alias="import", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
    """`package.module:build`, where build returns a torch.nn.Module that maps (n, 1, h, w) to the same shape."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the function."""

    @model_validator(mode="after")
    def _arguments_of_json(self) -> Self:
        try:
            json.dumps(self.arguments, allow_nan=False)
        except ValueError:
            raise ValueError("arguments hold a number that is not finite: give others") from None
        return self


Model = Annotated[
    Annotated[str, Tag("<name>")] | Annotated[ImportedModel, Tag("<import>")],
    Discriminator(lambda value: "<import>" if isinstance(value, dict | ImportedModel) else "<name>"),
]
"""A network's name, or where one of one's own is."""


class ObjectiveParameters(Parameters):
    """What is made small, averaged over samples, in float32."""

    name: Literal["mse", "l1"] = "mse"
    """`mse`: mean squared difference (with halves as pairs that is Noise2Noise); `l1`: mean absolute difference, whose
    optimum is the median."""
    fourier_amplitude_weight: float = Field(0.0, ge=0)
    """Weight of a second term: the mean squared difference of the moduli of both orthonormal Fourier transforms."""


class OptimizerParameters(Parameters):
    """How weights follow gradients."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """PyTorch's Adam or AdamW with their default moments, or SGD."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate: the highest of the schedule."""
    weight_decay: float = Field(0.0, ge=0)
    """As PyTorch defines it: a penalty within the gradient for `adam` and `sgd`, apart from it for `adamw`."""
    momentum: float = Field(0.0, ge=0, lt=1)
    """Momentum of `sgd`."""

    @model_validator(mode="after")
    def _momentum_of_sgd(self) -> Self:
        if self.momentum and self.name != "sgd":
            raise ValueError(f"momentum is a key of sgd, and name is {self.name!r}: remove it")
        return self


class ScheduleParameters(Parameters):
    """How the learning rate changes over the run, as a function of the step alone."""

    name: Literal["constant", "cosine"] = "constant"
    """`cosine`: after the warm-up, half a cosine from the learning rate to `final_fraction` of it."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs, also parts of one, in which the learning rate rises linearly from zero."""
    final_fraction: float = Field(0.0, ge=0, le=1)
    """Of `cosine`: the last step's learning rate, as a fraction of the highest."""

    @model_validator(mode="after")
    def _final_fraction_of_cosine(self) -> Self:
        if self.final_fraction and self.name != "cosine":
            raise ValueError(f"final_fraction is a key of cosine, and name is {self.name!r}: remove it")
        return self


class TargetParameters(Parameters):
    """A quality at which training stops; how long it took is recorded."""

    validation_psnr_db: float
    """PSNR on the validation split against its targets."""


class CheckpointParameters(Parameters):
    """How often the state is saved, beside the end of each epoch and when a signal comes."""

    every_min: float = Field(10.0, gt=0)
    """Minutes of training between two saved states."""
    keep_last: int = Field(2, ge=1, le=100)
    """States that are kept; the best weights are kept besides."""


class TrainParameters(Parameters):
    """Task `train`: a network, and how it learns to map inputs to targets."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset(
        {
            "compile", "deterministic", "device", "memory_limit_gib", "read_ahead_mib", "resume", "checkpoints",
            "tensorboard",
        }
    )  # fmt: skip

    model: Model = "cnn3"
    """Name of a network (`cnn3`, `unet`, `unet8`, `dncnn12`, `emdenoise`), or `{import: package.module:build}` for
    one's own."""
    objective: ObjectiveParameters = ObjectiveParameters()
    """What is made small."""
    optimizer: OptimizerParameters = OptimizerParameters()
    """How weights follow gradients."""
    schedule: ScheduleParameters = ScheduleParameters()
    """How the learning rate changes."""
    gradient_clip_norm: float | None = Field(None, gt=0)
    """Gradients of a larger norm, over all weights, are scaled down to it; null leaves them."""
    ema_decay: float | None = Field(None, gt=0, lt=1)
    """Decay a step of a moving average of the weights, which is then what is validated and kept; null keeps none."""
    epochs: int = Field(5, ge=1)
    """Passes over the training samples."""
    batch_size: int = Field(8, ge=1)
    """Samples a step, of all processes together."""
    micro_batch_size: int | None = Field(None, ge=1)
    """Samples that a process computes at a time, adding up gradients to those of the batch; null takes as many as the
    memory allows, which changes results by rounding only. A network with batch normalisation or dropout must have it
    set: its statistics, and what it draws, are those of a micro-batch."""
    target: TargetParameters | None = None
    """A validation quality at which training stops; null trains for all epochs."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Type in which convolutions compute; weights and loss are float32 always."""
    tf32: bool = False
    """Whether a GPU may round the factors of float32 products to 10 bits, which is faster."""
    seed: int = Field(42, ge=0)
    """Seed of the initial weights, of the order of the samples and of random layers."""
    repeat: int = Field(1, ge=1, le=100)
    """Trainings that differ by their seed alone, the first having `seed`, the next one more, and so on: scores then
    have a mean, a spread and an interval across seeds. May be raised later."""
    deterministic: bool = True
    """Whether the same machine must give the same weights, bit for bit, which costs speed on a GPU."""
    compile: bool = False
    """Whether torch.compile fuses the network's operations; where it cannot, training goes on without and says so."""
    device: Device = "auto"
    """`auto` takes the first GPU, else the processor."""
    memory_limit_gib: float = Field(8.0, gt=0, le=1e6)
    """Memory of the GPU, or without one of the machine, that the whole process may take."""
    read_ahead_mib: int = Field(128, ge=1, le=65536)
    """Memory for the batch in use and for those read before they are needed, in MiB; it is two batches at least."""
    checkpoints: CheckpointParameters = CheckpointParameters()
    """How often the state is saved, and how many states are kept."""
    resume: Literal["auto", "never"] = "auto"
    """`auto` goes on where an interrupted run stopped; `never` refuses a folder that holds one."""
    tensorboard: bool = False
    """Whether scalars for TensorBoard are written to model_dir (needs requirements-tensorboard.txt)."""

    @model_validator(mode="after")
    def _warmup_within_the_run(self) -> Self:
        warmup, name = self.schedule.warmup_epochs, self.schedule.name
        if warmup > self.epochs or (warmup == self.epochs and name == "cosine"):
            most = f"less than {self.epochs}" if name == "cosine" else f"at most {self.epochs}"
            raise ValueError(
                f"schedule.warmup_epochs is {warmup:g}, and {name} over {self.epochs} epochs takes {most}: lower it"
            )
        return self

    def determining(self) -> dict[str, Any]:
        """The parameters that determine the output of a training; how many others there are does not."""
        return self.model_dump(mode="json", exclude={*self.MACHINE_KEYS, "repeat"})

    def training(self, number: int) -> Self:
        """The parameters of one training alone.

        Args:
            number: Which, counted from 1.
        """
        return self.model_copy(update={"seed": self.seed + number - 1, "repeat": 1})
