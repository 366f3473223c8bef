"""The JSON documents in a workspace: raw/download.json and data/dataset.json.

The schemas of model/training.json and results/report.json are in `config.training_record` and `config.report`.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from cryodenoise.config.exposure import Particle
from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.schema import Document, Schema

SampleDtype = Literal["<f4", "<f2"]
"""Type of a stored pixel as numpy writes it: little-endian 32- or 16-bit float."""
SplitName = Literal["train", "validation", "test"]
Digest = str


class MadeFrom(Schema):
    """What determines a document's content."""

    parameters: dict[str, Any]
    """The run file, defaults filled in, without the keys that only say how a machine works."""
    inputs: dict[str, Any] = Field(default_factory=dict)
    """Identities of what was read."""


RawRole = Literal["micrograph", "truth", "even", "odd", "particles", "gain", "stack"]
"""What a file in raw/ is: a micrograph, its noise-free image, a sum of half of its frames, what it shows (JSON or
STAR), the gain reference of all, or an HDF5 file of many images."""


class RawFile(Schema):
    """One file in raw/."""

    name: str
    """Place in raw/: a file name, or that of one of the folders truth, even, odd, particles, train and test before
    it."""
    role: RawRole = "micrograph"
    """What it is."""
    size_bytes: int = Field(ge=0)
    """Length of the file."""
    sha256: Digest
    """SHA-256 of the file."""
    pixel_digest: Digest | None
    """Digest of shape and pixels (docs/FORMATS.md), the same whatever header the file has; null if unreadable or not of
    one image."""
    problem: str | None = None
    """Why the file cannot be read as a micrograph; null if it can."""
    url: str | None = None
    """Where it was fetched from; null for a file that was made or found on the machine."""
    verified: Literal["sha256", "size"] | None = None
    """What it was held against: a SHA-256 known beforehand, or only the length that the server announced."""


class DownloadRecord(Document):
    """raw/download.json: which micrographs `download` put there, and what belongs to them."""

    FORMAT: ClassVar[str] = "cryodenoise/download"
    VERSION: ClassVar[int] = 4
    TASK: ClassVar[str] = "download"

    made_from: MadeFrom
    """The run file."""
    files: list[RawFile]
    """All files, sorted by name."""
    environment: dict[str, Any]
    """Versions and hardware."""


class OtherImage(Schema):
    """An image that belongs to a micrograph."""

    name: str
    """Place in raw/."""
    pixel_digest: Digest
    """Digest of shape and pixels (docs/FORMATS.md), of a half from a movie those of the sum of its frames."""
    offset: float | None
    """Of a half, where it is the input: intensity that became 0."""
    scale: float | None
    """Likewise, intensity above the offset that became 1."""


class Micrograph(Schema):
    """One micrograph of a dataset."""

    name: str
    """Place in raw/ of the micrograph, of halves of the even one, of an image of an HDF5 file with # and its number
    after it; no sample depends on it but through the order of names."""
    pixel_digest: Digest
    """Digest of shape and pixels (docs/FORMATS.md), before any gain; of halves, of the even one."""
    target: OtherImage | None
    """Where the target comes from: a given clean image, the truth, or the odd half; null where it is the micrograph."""
    truth: OtherImage | None
    """The noise-free image that was carried along for the scores; null where there is none or it is the target."""
    particles: list[Particle] | None
    """What raw/particles tells of it; null where it tells nothing."""
    height_px: int
    """Rows."""
    width_px: int
    """Columns."""
    pixel_size_angstrom: float | None
    """Pixel size in Å, null where neither the header nor the run file tells."""
    offset: float
    """Intensity that became 0."""
    scale: float
    """Intensity above the offset that became 1."""


class Skipped(Schema):
    """A micrograph that was left out because it is unusable."""

    name: str
    """Place in raw/."""
    reason: str
    """What is wrong with it."""


class Segment(Schema):
    """The samples of one micrograph that belong to one split: consecutive in their files."""

    micrograph: int = Field(ge=0)
    """Index in `micrographs`."""
    split: SplitName
    """What the samples are for."""
    half: Literal["even", "odd"] | None
    """Of halves, which of them is the input; the other is the target."""
    file: Literal["train", "test"]
    """Stem of the files that hold them."""
    first_sample: int = Field(ge=0)
    """Index of the first sample in these files."""
    rows: tuple[int, int]
    """First and one past the last row of the patch grid; patch (r, c) starts at pixel (r·stride, c·stride)."""
    columns: tuple[int, int]
    """First and one past the last column of the patch grid; columns run fastest."""
    sha256: dict[Literal["input", "target", "truth"], Digest]
    """SHA-256 of the segment's bytes in each file."""

    @property
    def samples(self) -> int:
        """How many samples the segment holds."""
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


class BinaryFile(Schema):
    """One streaming binary: samples one after the other, C order, no header."""

    name: str
    """File name in data/."""
    size_bytes: int = Field(ge=0)
    """Length of the file."""
    checksums: str
    """File with an XXH3-64 a sample, little-endian unsigned 64-bit integers."""
    checksums_sha256: Digest
    """SHA-256 of that file."""
    digest: Digest
    """SHA-256 over the digests of the file's segments (docs/FORMATS.md)."""


class SampleRange(Schema):
    """Where the samples of a split are."""

    file: Literal["train", "test"]
    """Stem of the files."""
    first_sample: int = Field(ge=0)
    """Index of the first sample."""
    samples: int = Field(ge=1)
    """How many there are."""


class DatasetRecord(Document):
    """data/dataset.json: all that a reader of the streaming binaries needs."""

    FORMAT: ClassVar[str] = "cryodenoise/dataset"
    VERSION: ClassVar[int] = 3
    TASK: ClassVar[str] = "preprocess"

    identity: Digest
    """SHA-256 over what the samples are and where (docs/FORMATS.md): equal identities mean equal bytes."""
    pairs: PairsKind
    """What inputs and targets are made of."""
    dtype: SampleDtype
    """Type of a pixel as numpy writes it: little-endian 32- or 16-bit float."""
    sample_shape: tuple[int, int]
    """Rows and columns of a sample."""
    stride_px: int = Field(ge=1)
    """Distance between neighbouring patches."""
    held_out: Literal["micrographs", "regions"]
    """Whether validation and test are whole micrographs, or regions of micrographs that are also trained on."""
    splits: dict[SplitName, SampleRange]
    """Where the samples of each split are."""
    files: list[BinaryFile]
    """The streaming binaries."""
    micrographs: list[Micrograph]
    """The micrographs, sorted by name."""
    skipped: list[Skipped]
    """Micrographs that were left out as unusable, sorted by name."""
    segments: list[Segment]
    """What comes from where, in the order of the files."""
    made_from: MadeFrom
    """The run file and the micrographs."""
    machine: dict[str, Any]
    """The other keys of the run file, which only say how a machine does the work."""
    source: MadeFrom | None
    """What download.json says its micrographs were made from; null for micrographs of one's own."""
    environment: dict[str, Any]
    """Versions and hardware."""

    def binary(self, name: str) -> BinaryFile:
        """The entry of one streaming binary."""
        return next(file for file in self.files if file.name == name)
