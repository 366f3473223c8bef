"""The run file of `denoise`, and denoised.json: what was denoised, by what, and how it went."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from cryodenoise.config.documents import Digest, MadeFrom
from cryodenoise.config.schema import Document, Parameters, Schema
from cryodenoise.config.training import Device
from cryodenoise.config.training_record import TrainedOn


class DenoiseParameters(Parameters):
    """Task `denoise`: micrographs to denoised micrographs, in their own units."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset(
        {"device", "memory_limit_gib", "tile_px", "preview", "on_bad_micrograph", "dose_e_per_a2"}
    )

    model: str | None = Field(None, pattern=r"^(baseline|topaz)/")
    """`baseline/NAME` for a classical filter, `topaz/NAME` for a network of Topaz-Denoise; null takes the model that is
    given, or without one the shipped model."""
    stacks: Literal["sum", "each"] = "sum"
    """Of a file with several images: `sum` adds them up, as the frames of a movie, `each` denoises each for itself and
    writes a stack."""
    mode: Literal["float32", "float16"] = "float32"
    """Type of the pixels that are written: MRC mode 2, or mode 12, which takes half the disk."""
    pixel_size_angstrom: float | None = Field(None, gt=0)
    """Pixel size of all micrographs, in Å, where their headers have it wrong; null believes the headers."""
    dose_e_per_a2: float | None = Field(None, gt=0)
    """Electrons per Å² of the micrographs, for a warning where the model saw others in training; null tells nothing."""
    preview: bool = False
    """Whether a PNG file of each micrograph shows it before and after, and the difference."""
    on_bad_micrograph: Literal["error", "skip"] = "error"
    """`error` stops at a micrograph that cannot be used; `skip` names it, goes on and ends with exit code 1."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Type in which a network's convolutions compute; only in fp32 does the result not depend on the tiles."""
    device: Device = "auto"
    """`auto` takes the first GPU, else the processor."""
    memory_limit_gib: float = Field(8.0, gt=0, le=1e6)
    """Memory of the GPU, or without one of the machine, that the whole process may take: tiles are chosen for it."""
    tile_px: int | None = Field(None, ge=64, le=65536)
    """Side of the tiles, without what they overlap by; null takes what the memory allows, as far as that is fast."""


class HalvesFound(Schema):
    """What two independent halves tell of the denoiser, without any truth (Noise2Noise)."""

    noise_power: float
    """Mean squared error of a half as it is, in squared units of the normalised half: half that of their difference."""
    mse: float
    """Unbiased estimate of the mean squared error of a denoised half, in the same units."""
    gain_db: float | None
    """10·log10 of their ratio; null where the estimate is not above zero."""
    frc_below_0_143_per_px: dict[Literal["noisy", "denoised"], float | None]
    """Spatial frequency, in cycles per pixel, at which the correlation of both halves in Fourier rings falls below
    0.143; null where it never does."""
    frequency_per_px: list[float]
    """Of the rings."""
    frc_noisy: list[float]
    """Correlation of both halves as they are."""
    frc_denoised: list[float]
    """Correlation of both halves once denoised; what a denoiser invents alike in both raises it, too."""


class DenoisedFile(Schema):
    """One micrograph."""

    source: str
    """Its file, as it was given or found."""
    stamp: str
    """Length and time of that file, by which a run that goes on knows it."""
    pixel_digest: Digest
    """Digest of shape and pixels (docs/FORMATS.md) of what was denoised."""
    name: str
    """File in the output folder."""
    size_bytes: int
    """Length of that file."""
    sha256: Digest
    """Its SHA-256."""
    images: int = Field(ge=1)
    """How many images it holds."""
    height_px: int
    """Rows."""
    width_px: int
    """Columns."""
    pixel_size_angstrom: float | None
    """Pixel size that was written; null where none is known."""
    offset: float
    """Intensity that the model saw as 0; of a stack, of its first image."""
    scale: float
    """Intensity above the offset that the model saw as 1, likewise."""
    warnings: list[str]
    """In what the micrograph differs from those that the model was trained on."""
    halves: HalvesFound | None
    """What its halves tell; null where none were given."""
    halves_stamp: str | None
    """Files, lengths and times of the halves; null where none were given."""


class LeftOut(Schema):
    """A micrograph that could not be used."""

    source: str
    """Its file."""
    reason: str
    """What is wrong with it."""


class DenoisedRecord(Document):
    """denoised.json: what was denoised, by what, and how it went."""

    FORMAT: ClassVar[str] = "cryodenoise/denoised"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "denoise"

    model: str
    """What denoised."""
    model_digest: Digest
    """SHA-256 of its weights, of the ONNX file, or of what was found for a filter."""
    normalization: str
    """Rule by which intensities came to the range that the model knows."""
    clipped: bool
    """Whether it was trained on intensities clipped to that range, so that nothing beyond comes back."""
    trained_on: TrainedOn | None
    """What the model saw in training; null where nothing is known of it."""
    files: list[DenoisedFile]
    """All micrographs that were denoised, sorted by name."""
    warnings: list[str]
    """In what all micrographs differ from those that the model was trained on."""
    left_out: list[LeftOut]
    """Those that could not be used, sorted by name."""
    halves: HalvesFound | None
    """What the halves of all micrographs tell together; null where none were given."""
    megapixels_per_s: float | None
    """Of the last session; null if it found nothing to do."""
    peak_host_memory_bytes: int = Field(ge=0, lt=1 << 60)
    """Largest resident memory of the last session."""
    peak_device_memory_bytes: int | None = Field(ge=0, lt=1 << 60)
    """Likewise of the GPU; null on the processor."""
    device: str
    """Name of the processor or GPU of the last session."""
    made_from: MadeFrom
    """The run file and the model."""
    machine: dict[str, Any]
    """The other keys of the run file."""
    environment: dict[str, Any]
    """Versions and hardware."""
