"""What denoises whole micrographs, and all that must be known of it for that."""

from dataclasses import dataclass

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.training_record import TrainedOn


@dataclass(frozen=True)
class Model:
    """A denoiser of normalised images.

    Attributes:
        name: What messages and documents call it.
        digest: SHA-256 of its weights, of the ONNX file, or of what was found for a filter.
        denoise: Maps a float32 image of shape (1, 1, h, w) on the device to one of the same shape.
        normalization: A rule of `signal.normalize.RULES`, by which it was trained.
        clipped: Whether it was trained on intensities clipped to [0, 1].
        multiple_px: The sides of what it is given must be multiples of it, and a tile begins at multiples of it.
        reach_px: An output pixel depends on no input pixel further away than that, along rows or columns; None where
            that is unknown or without limit: then it gets whole micrographs.
        bytes_per_px: Memory of the device that a pixel of its input takes at most while it computes.
        trained_on: What it saw in training; None where nothing is known of it.
    """

    name: str
    digest: str
    denoise: Denoise
    normalization: str
    clipped: bool
    multiple_px: int
    reach_px: int | None
    bytes_per_px: float
    trained_on: TrainedOn | None
