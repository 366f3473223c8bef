"""The JSON documents of a submission: manifest.json of a package, leaderboard.json of many."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cryodenoise.config.documents import Digest
from cryodenoise.config.schema import Document, Schema
from cryodenoise.config.scores import Interval

Division = Literal["closed", "open"]
"""What may be changed: machines only, or anything but the test data and the scorer (docs/RULES.md)."""
Track = Literal["added_noise", "truth", "halves"]
"""What denoised images are held against: docs/RULES.md."""
APPLICATION = "cryodenoise"
"""Name of the benchmark in the folders of a submission."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What names of organisations, systems and descriptors may be: they become folders anywhere."""
MAX_TRAININGS = 100
"""Trainings of a package at most."""


class PackagedFile(Schema):
    """A file of a package."""

    size_bytes: int = Field(ge=0)
    """Length of the file."""
    sha256: Digest
    """SHA-256 of the file."""


class PackagedRun(Schema):
    """One folder of results, with the trainings it scored."""

    folder: str
    """Place in the package of the folders data/, model/ and results/ of the run."""
    seeds: list[int] = Field(min_length=1, max_length=MAX_TRAININGS)
    """Seed of each training."""
    logs: list[str] = Field(min_length=1, max_length=MAX_TRAININGS)
    """Place in the package of the log of each."""

    @model_validator(mode="after")
    def _a_log_each(self) -> Self:
        if len(self.logs) != len(self.seeds):
            raise ValueError(f"{len(self.seeds)} seeds and {len(self.logs)} logs, expected a log for each seed")
        return self


class Manifest(Document):
    """manifest.json: what a package is and what is in it."""

    FORMAT: ClassVar[str] = "cryodenoise/submission"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "submit"

    organization: str = Field(pattern=NAME_PATTERN)
    """Who submits."""
    system: str = Field(pattern=NAME_PATTERN)
    """What it ran on."""
    descriptor: str = Field(pattern=NAME_PATTERN)
    """What tells it from other submissions of that system."""
    division: Division
    """Whose rules it keeps."""
    track: Track
    """What it is ranked in."""
    reference_set: str
    """Name of the set of `reference/` whose test data it was scored on."""
    runs: list[PackagedRun] = Field(min_length=1, max_length=MAX_TRAININGS)
    """What was run."""
    files: dict[str, PackagedFile]
    """All other files, by their places in the package."""
    environment: dict[str, Any]
    """Versions and hardware that made the package."""


class Entry(Schema):
    """A submission as a leaderboard shows it: means over its trainings, each scored on all test patches."""

    place: int | None = Field(default=None, ge=1)
    """Rank in its track, set and division: one more than the submissions that are better beyond their intervals."""
    organization: str
    """Who submitted."""
    system: str
    """What it ran on."""
    descriptor: str
    """What tells it from other submissions of that system."""
    division: Division
    """Whose rules it keeps."""
    track: Track
    """What it is ranked in."""
    reference_set: str
    """The set that it was scored on; only submissions of one set are compared."""
    model: str
    """Name of the network."""
    parameters: int
    """Number of trained values."""
    seeds: list[int]
    """Seed of each training."""
    psnr_db: float
    """PSNR against the truth where there is one, else against the target: mean over the trainings."""
    psnr_interval_db: Interval | None
    """95 % interval of that mean over seeds; null for fewer than two."""
    gain_db: float
    """Mean gain over the best classical baseline of the reports."""
    best_baseline: str
    """Title of that baseline."""
    ssim: float
    """Mean structural similarity of the first training of each run."""
    training_s: float | None
    """Mean seconds of a training, validation included; null where a run was timed only as a whole."""
    patches_per_s: float
    """Inference: patches a second, of the slowest run."""
    peak_device_memory_bytes: int | None
    """Largest memory on a GPU, in training or scoring; null where all ran on processors."""
    peak_host_memory_bytes: int
    """Largest resident memory of a process, in training or scoring."""
    device: str
    """Name of the processor or GPU that trained."""
    reviews: list[str]
    """What a reviewer should look at, though it breaks no rule."""
    package_sha256: Digest
    """SHA-256 of manifest.json, which names the digests of all other files."""
    page: str | None
    """The report of the first run as a page, relative to the leaderboard's folder; null where none was made."""


class LeftOut(Schema):
    """A package that is not ranked."""

    name: str
    """Name of its file or folder."""
    findings: list[str]
    """What `check` said, each beginning with the rule's identifier."""


class Leaderboard(Document):
    """leaderboard.json: the packages of a folder, ranked."""

    FORMAT: ClassVar[str] = "cryodenoise/leaderboard"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "leaderboard"

    entries: list[Entry]
    """By track, set, division and rank."""
    left_out: list[LeftOut]
    """What `check` refuses."""
