"""results/report.json: the schema of what `test` reports."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from cryodenoise.config.documents import Digest, MadeFrom, Skipped
from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.schema import Document, Schema
from cryodenoise.config.scores import AgainstReference, BlankProbe, HalvesEstimate, RegionSnr, SeedSpread
from cryodenoise.config.training_record import Epoch, WeightsFile


class SelfTest(Schema):
    """One answer of the scorer that is known beforehand."""

    name: str
    """What was scored, and which score."""
    expected: float
    """The known answer."""
    found: float
    """What the scorer gave."""


class Resources(Schema):
    """What scoring took."""

    patches_per_s: float | None
    """Patches over the seconds that the denoiser spent on them, after one batch that is not timed; null for images of
    another program, which are only read."""
    megapixels_per_s: float | None
    """Likewise in 10⁶ pixels."""
    reading_s: float
    """Seconds in which a batch, or the images of another program, were waited for."""
    denoising_s: float
    """Seconds of the denoiser alone."""
    scoring_s: float
    """The rest of `elapsed_s`: baselines and scores."""
    elapsed_s: float
    """Seconds in all, from the fit of the first baseline to the last score; figures are made later."""
    peak_host_memory_bytes: int = Field(ge=0, lt=1 << 60)
    """Largest resident memory of the process during the task."""
    peak_device_memory_bytes: int | None = Field(ge=0, lt=1 << 60)
    """Largest memory that the process took on the GPU, its context included; null on the processor."""
    memory_bandwidth_bytes_per_s: float = Field(gt=0)
    """Bytes read and written a second by copies of 64 MiB within the memory of the device that scored, measured
    before it did; what throughput is possible can be told from it."""
    energy_joules: dict[str, float]
    """By the counters of the GPU (`gpu`) and of the processor (`processor`); only what there is a counter for."""
    cost: float | None
    """Hours times `price_per_hour` of the run file; null where it gives none."""


class Denoiser(Schema):
    """What was scored."""

    kind: Literal["network", "published", "baseline", "predictions"]
    """A network that `train` made, one that others trained and published, a classical filter, or images that another
    program made."""
    name: str
    """Name of the network or filter; of images, their file's name."""
    parameters: int | None
    """Number of trained values; null for anything but a network, published or not."""
    found: dict[str, float]
    """Of a filter, what was estimated or tuned."""
    sha256: Digest | None
    """SHA-256 of the weights or of the file of images; null for a filter."""


class TrainingConditions(Schema):
    """How a network was trained; training.json tells the rest."""

    device: str
    """Name of the processor or GPU."""
    machine: dict[str, Any]
    """Keys of the run file of `train` that only say how a machine does the work."""
    environment: dict[str, Any]
    """Versions and hardware."""
    weights: WeightsFile
    """The weights that were scored."""
    best_epoch: int
    """The epoch that they are of."""
    history: list[Epoch]
    """All epochs."""
    processes: int
    """How many trained together."""
    peak_host_memory_bytes: int = Field(ge=0, lt=1 << 60)
    """Largest resident memory of a process."""
    peak_device_memory_bytes: int | None = Field(ge=0, lt=1 << 60)
    """Largest memory of a process on its GPU; null on the processor."""
    made_from: MadeFrom
    """Run file of `train` and its dataset."""


class Report(Document):
    """What `test` measured, beside its references, and everything it was measured from."""

    FORMAT: ClassVar[str] = "cryodenoise/report"
    VERSION: ClassVar[int] = 6
    TASK: ClassVar[str] = "test"

    denoiser: Denoiser
    """What was scored."""
    samples: int = Field(ge=1)
    """Patches scored."""
    sample_shape: tuple[int, int]
    """Rows and columns of a patch."""
    micrographs: int = Field(ge=1)
    """Micrographs that they are of."""
    pixel_size_angstrom: float | None
    """Pixel size, in Å; null where it is unknown or not one."""
    pairs: PairsKind
    """What inputs and targets are made of; of `truth`, the target is the truth."""
    against_target: AgainstReference
    """Scores against the targets."""
    against_truth: AgainstReference | None
    """Scores against the truth that was carried along for them; null where there is none or it is the target."""
    halves: HalvesEstimate | None
    """Without a truth: what independent halves tell of the error against it; null where inputs are no halves."""
    region_snr: RegionSnr | None
    """Of particles in their ice; null where their places are unknown."""
    blank: BlankProbe | None
    """What the denoiser makes of ice that shows nothing; null for images of another program."""
    across_seeds: SeedSpread | None
    """With several trainings that differ by their seed alone: how much that changes; else null."""
    subset: list[int]
    """Indices of the test patches on which slow filters were scored."""
    intervals_missing: str | None
    """Why there are no 95 % intervals; null where there are."""
    remarks: list[str]
    """What a reader must know to judge the scores."""
    skipped: list[Skipped]
    """Micrographs that preprocessing left out as unusable."""
    self_tests: list[SelfTest]
    """What the scorer was tested with before it scored."""
    resources: Resources
    """What scoring took."""
    device: str
    """Name of the processor or GPU that scored."""
    dataset_identity: Digest
    """Identity of the dataset that was scored."""
    measures_sha256: Digest
    """SHA-256 of measures.npz beside the report: scores a patch, histograms, examples."""
    download: MadeFrom | None
    """Run file of `download`; null for micrographs of one's own."""
    preprocess: MadeFrom
    """Run file of `preprocess` and its micrographs."""
    training: TrainingConditions | None
    """How the network was trained; null for anything that `train` did not make."""
    made_from: MadeFrom
    """Run file of `test`, its dataset and what was scored."""
    machine: dict[str, Any]
    """The other keys of the run file, which only say how a machine does the work."""
    environment: dict[str, Any]
    """Versions and hardware."""

    @property
    def that_counts(self) -> AgainstReference:
        """The scores that the headline is about: those against the truth where there is one."""
        return self.against_truth or self.against_target
