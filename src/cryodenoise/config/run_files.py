"""The run files of `download`, `preprocess` and `test`; that of `train` is in `config.training`."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cryodenoise.config.graphene import GrapheneParameters
from cryodenoise.config.schema import Parameters
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.config.sources import EmpiarParameters, LocalParameters, TransferParameters, UrlsParameters
from cryodenoise.config.training import Device

PairsKind = Literal["added_noise", "given", "truth", "halves"]
PARTS = ("train", "test")
"""The folders of raw/ that decide a split by folders."""
STACK_SUFFIXES = (".h5", ".hdf5")
"""How the names of files end that hold many images, in any case."""
_FOLDER = r"^[^/\x00.][^/\x00]*$"  # one name, within the folder that holds it


def is_clipped(pairs: PairsKind, normalization: object) -> bool:
    """Whether inputs are clipped to [0, 1]: of truths and halves that would bias noise and what is compared.

    Given pairs that are taken as they are (`none`) are not clipped either.
    """
    return pairs == "added_noise" or (pairs == "given" and normalization != "none")


class DownloadParameters(Parameters):
    """Task `download`: where the micrographs come from."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset({"transfer"})
    SECTIONS: ClassVar[tuple[str, ...]] = ("synthetic", "empiar", "urls", "local", "graphene")

    source: str
    """Name of a source: `synthetic`, `empiar`, `urls`, `local` or `graphene`."""
    synthetic: SyntheticParameters | None = None
    """Section of the source `synthetic`."""
    empiar: EmpiarParameters | None = None
    """Section of the source `empiar`."""
    urls: UrlsParameters | None = None
    """Section of the source `urls`."""
    local: LocalParameters | None = None
    """Section of the source `local`."""
    graphene: GrapheneParameters | None = None
    """Section of the source `graphene`."""
    transfer: TransferParameters = TransferParameters()
    """How `empiar`, `urls` and `graphene` fetch."""

    @model_validator(mode="after")
    def _one_section(self) -> Self:
        for name in self.SECTIONS if self.source in self.SECTIONS else ():
            if (getattr(self, name) is not None) != (self.source == name):
                remedy = "add the section" if self.source == name else "remove the section"
                raise ValueError(f"source is {self.source!r}: {remedy} `{name}:`")
        return self

    def determining(self) -> dict[str, Any]:
        """The parameters that determine the output; the mirror, how a file is placed, and a preset's name do not.

        Nor does an address where images are simulated, or the section of a source that other run files never had.
        """
        of_sections: dict[str, Any] = {"empiar": {"mirrors"}, "local": {"place"}, "synthetic": {"preset"}}
        if self.graphene is None:
            of_sections["graphene"] = True
        elif self.graphene.simulated is not None:
            of_sections["graphene"] = {"address"}
        return self.model_dump(mode="json", exclude={**dict.fromkeys(self.MACHINE_KEYS, True), **of_sections})


class PatchParameters(Parameters):
    """How micrographs are cut."""

    size_px: int = Field(1024, ge=16, le=8192)
    """Side of the square patches."""
    stride_px: int = Field(512, ge=1)
    """Distance between neighbouring patches."""


class SplitParameters(Parameters):
    """Which micrographs are held out, whole."""

    by: Literal["fraction", "folders"] = "fraction"
    """`fraction`: a share of all micrographs, drawn; `folders`, of given pairs: raw_dir holds train/ and test/, in each
    of which pairs.noisy and pairs.clean lie, and the test is what test/ holds."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Seed of the permutation of the micrographs sorted by name."""
    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Of n micrographs, max(1, ⌊fraction · n⌋) are for the test; not used by folders."""
    validation_fraction: float = Field(0.1, gt=0, lt=1)
    """Of the m others, by folders those of train/, the last ⌈fraction · m⌉ are for validation."""


class NoiseParameters(Parameters):
    """The noise that makes an input of a target."""

    model: str = "poisson_gaussian"
    """Which noise is added: `poisson_gaussian`, `gaussian`, `poisson` or `none`."""
    electrons_at_one: int = Field(100, ge=1, le=400)
    """Electrons counted where the clean intensity is 1; sets the strength of the shot noise."""
    sigma: float = Field(0.05, ge=0, le=1)
    """Standard deviation of the read-out noise, in units of the clean intensity."""
    seed: int = Field(42, ge=0)
    """Seed of the noise."""


class PairsParameters(Parameters):
    """What inputs and targets are made of."""

    kind: PairsKind = "added_noise"
    """`added_noise`: a micrograph is the target, noise makes the input; `given`: two folders or HDF5 files hold noisy
    and clean;
    `truth`: a micrograph is the input, its noise-free image the target; `halves`: the sums of its even and of its odd
    frames are each the other's target."""
    noisy: str = Field("noisy", pattern=_FOLDER)
    """Of given pairs: folder in raw_dir with the inputs, which also determine the normalisation; or, where it ends in
    .h5 or .hdf5, a file of many images, each a micrograph (docs/FORMATS.md)."""
    clean: str = Field("clean", pattern=_FOLDER)
    """Of given pairs: folder in raw_dir with the targets, named as the inputs are (suffixes may differ); or the file
    with as many images."""
    truth: str = Field("truth", pattern=_FOLDER)
    """Folder in raw_dir with noise-free images, named as the micrographs are: the targets of `truth`; of `added_noise`
    and `halves`, where the folder exists, carried along for the scores alone. It must exist where the run file
    sets this key."""
    halves: Literal["files", "movies"] = "files"
    """Of halves: two folders hold them, or the frames of the movies in raw_dir are summed."""
    even: str = Field("even", pattern=_FOLDER)
    """Of halves from files: folder in raw_dir with the sums of the frames 0, 2, 4, …"""
    odd: str = Field("odd", pattern=_FOLDER)
    """Of halves from files: folder in raw_dir with the sums of the frames 1, 3, 5, …, named as the others are."""


class GainParameters(Parameters):
    """A gain reference, by which micrographs, halves and sums of frames are multiplied."""

    file: str = Field(pattern=_FOLDER)
    """File in raw_dir, MRC or TIFF; it is no micrograph."""
    quarter_turns: int = Field(0, ge=0, le=3)
    """Turns by 90° (numpy.rot90) before it is flipped."""
    flip: Literal["none", "rows", "columns"] = "none"
    """Whether the order of its rows or columns is reversed."""


class PreprocessParameters(Parameters):
    """Task `preprocess`: micrographs to streaming binaries."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset({"workers"})

    pairs: PairsParameters = PairsParameters()
    """What inputs and targets are made of."""
    normalization: str = "p95"
    """How intensities come to [0, 1]: `p95` (the reference), `p1_p99` (for data with an offset), or `none` (as they
    are, for data that come so)."""
    pixel_size_angstrom: float | None = Field(None, gt=0)
    """Pixel size of all micrographs, in Å, where their headers have it wrong; null believes the headers."""
    gain: GainParameters | None = None
    """Gain reference of counts that are not corrected by it."""
    on_bad_micrograph: Literal["error", "skip"] = "error"
    """`skip` reads all micrographs first and leaves out, recorded, those that cannot be used; a missing twin, and a
    truth carried along for the scores that cannot be used, are errors always."""
    patches: PatchParameters = PatchParameters()
    """How micrographs are cut."""
    split: SplitParameters = SplitParameters()
    """What is held out."""
    noise: NoiseParameters = NoiseParameters()
    """What is added."""
    dtype: Literal["float32", "float16"] = "float32"
    """Type of the stored pixels: `float16` takes half the disk and half the reading."""
    workers: int | None = Field(None, ge=1, le=256)
    """Processes, one micrograph each at a time; null takes one for each core, as far as the memory goes."""

    def determining(self) -> dict[str, Any]:
        """The parameters that determine the output, without a key at its default that older datasets do not have."""
        found = super().determining()
        if self.split.by == "fraction":
            del found["split"]["by"]
        return found

    @model_validator(mode="after")
    def _noise_of_pairs(self) -> Self:
        if self.pairs.kind != "added_noise" and self.noise.model != "none":
            raise ValueError(
                f"pairs.kind is {self.pairs.kind!r}, whose inputs are noisy already: set `noise: {{model: none}}`"
            )
        if self.pairs.kind == "given" and self.pairs.noisy == self.pairs.clean:
            raise ValueError("pairs.noisy and pairs.clean are one folder: give two")
        if len({name.lower().endswith(STACK_SUFFIXES) for name in (self.pairs.noisy, self.pairs.clean)}) > 1:
            raise ValueError("of pairs.noisy and pairs.clean one is a file of images: give two files, or two folders")
        if self.pairs.kind != "given" and self.split.by == "folders":
            raise ValueError(f"pairs.kind is {self.pairs.kind!r}, and split.by: folders is for given pairs: remove it")
        from_files = self.pairs.kind == "halves" and self.pairs.halves == "files"
        if from_files and len({self.pairs.even, self.pairs.odd, self.pairs.truth}) < 3:
            raise ValueError("pairs.even, pairs.odd and pairs.truth name one folder twice: give three")
        if self.pairs.kind == "given" and self.gain is not None:
            raise ValueError("pairs.kind is 'given', whose images are finished: remove the section `gain:`")
        return self


class TestParameters(Parameters):
    """Task `test`: what is scored on the test split, and how that is streamed."""

    MACHINE_KEYS: ClassVar[frozenset[str]] = frozenset(
        {"batch_size", "device", "read_ahead_mib", "price_per_hour", "figures"}
    )
    __test__: ClassVar[bool] = False  # the name is no test's, whatever pytest thinks

    model: str | None = Field(None, pattern=r"^(baseline/[a-z0-9_]+|topaz/[a-z0-9-]+)$")
    """`baseline/NAME` scores a classical filter, such as `baseline/wiener`; `topaz/NAME` a network of Topaz-Denoise
    (`unet`, `unet-small`, `fcnn`); null the network of model_dir, or the images of `--predictions`."""
    slow_patches: int = Field(8, ge=0)
    """On how many patches, spread evenly over the split, filters that take seconds a patch are scored; 0 leaves them
    out."""
    seed: int = Field(42, ge=0)
    """Seed of the bootstrap's draws and of the noise of the hallucination probe."""

    batch_size: int = Field(4, ge=1)
    """Samples scored at a time; scores depend on it by rounding at most."""
    device: Device = "auto"
    """`auto` takes the first GPU, else the processor."""
    read_ahead_mib: int = Field(128, ge=1, le=65536)
    """Memory for the batch in use and for those read before they are needed, in MiB; it is two batches at least."""
    figures: bool = True
    """Whether report.html, figures/ and tables/ are made at once; `cryodenoise report` makes them at any time."""
    price_per_hour: float | None = Field(None, ge=0)
    """What the machine costs an hour, in any currency; the report then tells what scoring cost."""
