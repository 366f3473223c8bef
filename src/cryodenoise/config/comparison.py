"""The comparison of systems: its run file, and comparison.json."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cryodenoise.config.documents import Digest, MadeFrom
from cryodenoise.config.run_files import DownloadParameters, PairsKind, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Document, Parameters, Schema
from cryodenoise.config.scores import Interval
from cryodenoise.config.sources import Url
from cryodenoise.config.training import TrainParameters

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f]*$")]
"""Text without a line's end."""
_TRACK_FOLDERS, _SYSTEM_FOLDERS = ("logs", "comparison"), ("raw", "data")
"""What else lies in the workspace, and in a track's folder."""
SHIPPED = "shipped"
"""What a run file calls the model that is shipped."""


class TrackParameters(Parameters):
    """Data on which systems are compared."""

    title: Line
    """What tables call it."""
    about: Line
    """What is denoised, and against what it is scored, in a sentence."""
    download: DownloadParameters | None = None
    """Where its micrographs come from; null takes the folder that the command is given, or leaves the track out."""
    preprocess: PreprocessParameters
    """How they are cut and split."""


class LiteratureFigure(Parameters):
    """What others published of a system: measured on other data, so it stands beside the scores, never among them."""

    track: Name
    """The track that it stands beside."""
    figure: Line
    """The figure, its unit, and the data that it is of."""
    source: Url
    """Where it was published."""


class SystemParameters(Parameters):
    """A way to denoise."""

    title: Line
    """What tables call it."""
    about: Line
    """What it is and whose, in a sentence."""
    train: TrainParameters | None = None
    """How its network learns from a track's training split."""
    epochs: dict[Name, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """On these tracks, other epochs than `train` gives."""
    model: str | None = None
    """In place of `train`: `shipped`, a name that the run file of `test` takes (`baseline/wiener`, `topaz/unet`), or
    a folder of weights, as `train` or `import-weights` wrote it."""
    tracks: tuple[Name, ...] | None = None
    """The tracks that it takes part in; null takes all."""
    literature: tuple[LiteratureFigure, ...] = ()
    """What was published of it."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.train is None) == (self.model is None):
            raise ValueError("give either train or model")
        if self.epochs and self.train is None:
            raise ValueError("epochs are those of a training, and train is not given: remove it")
        return self

    def takes_part(self, track: str) -> bool:
        """Whether it is among the systems of a track."""
        return self.tracks is None or track in self.tracks

    def training_on(self, track: str) -> TrainParameters | None:
        """How it is trained on a track; None where it is not."""
        if self.train is None or track not in self.epochs:
            return self.train
        given = self.train.model_dump(by_alias=True, exclude_unset=True)
        return TrainParameters.model_validate({**given, "epochs": self.epochs[track]})


class CompareParameters(Parameters):
    """Command `compare`: tracks, and the systems that are trained and scored on each."""

    tracks: dict[Name, TrackParameters] = Field(min_length=1)
    """The tracks, by name, in the order of the tables."""
    systems: dict[Name, SystemParameters] = Field(min_length=1)
    """The systems, by name."""
    test: TestParameters = TestParameters()
    """How all are scored; its `model` stays empty."""

    @model_validator(mode="after")
    def _known_tracks(self) -> Self:
        if self.test.model is not None:
            raise ValueError("test.model names one system: remove it, and add the system to `systems:`")
        for names, taken in ((self.tracks, _TRACK_FOLDERS), (self.systems, _SYSTEM_FOLDERS)):
            if clash := set(names).intersection(taken):
                raise ValueError(f"{min(clash)!r} is the name of another folder there: choose another name")
        for name, system in self.systems.items():
            for track in (*system.epochs, *(system.tracks or ()), *(each.track for each in system.literature)):
                if track not in self.tracks:
                    raise ValueError(
                        f"systems.{name} names the track {track!r}, expected one of {', '.join(self.tracks)}"
                    )
        return self


class Training(Schema):
    """What a training on a track took."""

    elapsed_s: float
    """Seconds of training and validation."""
    samples_seen: int
    """Training samples that it saw, each as often as it saw it."""
    device: str
    """Name of the processor or GPU."""


class Row(Schema):
    """A way to denoise, on one track."""

    name: str
    """Name in the run file, or that of a method in the reports."""
    title: str
    """What tables call it."""
    kind: Literal["system", "filter", "input", "bound"]
    """A network; a classical filter; the noisy input; a map that is fitted to the test split itself."""
    samples: int = Field(ge=1)
    """Test patches that it was scored on."""
    psnr_db: float | None
    """PSNR of the set; null without any error."""
    psnr_interval_db: Interval | None
    """Its 95 % interval; null where there is none."""
    affine_psnr_db: float | None
    """PSNR under the best affine map of its images."""
    affine_psnr_interval_db: Interval | None
    """Its 95 % interval."""
    gain_db: float | None
    """PSNR less that of the best classical filter; null of bounds, and without any error."""
    gain_interval_db: Interval | None
    """Its 95 % interval; null where there is none."""
    affine_gain_db: float | None
    """The same with both under the best affine maps of their own, over the filter that is best then."""
    affine_gain_interval_db: Interval | None
    """Its 95 % interval; null where there is none."""
    ssim: float
    """Mean structural similarity."""
    correlation: float
    """Mean Pearson correlation."""
    parameters: int | None
    """Trained values; null for filters."""
    s_per_megapixel: float | None
    """Seconds that it took over 10⁶ pixels; null where that was not measured."""
    device: str | None
    """Name of the processor or GPU on which that was measured."""
    training: Training | None
    """Its training on this track; null where there was none."""
    remarks: list[str]
    """What its report remarks."""
    report_sha256: Digest | None
    """Digest of its report; null of rows that stand in all reports."""


class TrackResult(Schema):
    """All systems on one track."""

    name: str
    """Name in the run file."""
    pairs: PairsKind
    """What inputs and targets are made of."""
    against: Literal["truth", "target"]
    """What scores are against."""
    dataset_identity: Digest
    """Identity of the dataset."""
    samples: int = Field(ge=1)
    """Test patches."""
    sample_shape: tuple[int, int]
    """Rows and columns of a patch."""
    micrographs: int = Field(ge=1)
    """Test micrographs."""
    training_samples: int = Field(ge=1)
    """Training patches."""
    intervals_missing: str | None
    """Why there are no intervals; null where there are."""
    best_filter: str
    """Name of the classical filter with the highest PSNR."""
    best_affine_filter: str
    """That with the highest PSNR under the best affine map."""
    rows: list[Row]
    """The highest PSNR first."""


class ComparisonRecord(Document):
    """comparison.json: systems on tracks."""

    FORMAT: ClassVar[str] = "cryodenoise/comparison"
    VERSION: ClassVar[int] = 1
    TASK: ClassVar[str] = "compare"

    tracks: list[TrackResult]
    """The tracks, in the order of the run file."""
    left_out_tracks: dict[str, str]
    """Tracks that were left out, and why."""
    left_out_systems: dict[str, str]
    """Systems that were left out, and why; of one that failed on a track, with the track before it."""
    made_from: MadeFrom
    """The run file."""
    environment: dict[str, Any]
    """Versions and hardware."""
