"""The simulated exposure: section `synthetic:` of the run file of `download`.

The defaults are those of EMPIAR-10025 (https://www.ebi.ac.uk/empiar/EMPIAR-10025/), as far as it tells them.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Strict, model_validator

from cryodenoise.config.schema import Parameters

Range = Annotated[tuple[float, float], Strict(strict=False)]  # beneath a "before" validator, lists are no tuples
"""Lowest and highest; each micrograph draws its own value, uniformly."""


class SpecimenParameters(Parameters):
    """What is frozen into the ice."""

    species: str = "t20s"
    """Kind of the particles: `t20s` (a D7 barrel of 11.3 × 14.8 nm) or `apoferritin` (an octahedral shell of 12 nm)."""
    particles: int = Field(75, ge=0, le=100_000)
    """Particles whose centres lie in a micrograph; 0 leaves pure ice."""
    second_species: str = "apoferritin"
    """Kind of the particles of a second sort."""
    second_particles: int = Field(0, ge=0, le=100_000)
    """Particles of the second sort."""


class IceParameters(Parameters):
    """What the particles lie in."""

    thickness_nm: float = Field(30.0, ge=0, le=500)
    """Mean thickness of the ice."""
    gradient: float = Field(0.3, ge=0, le=1)
    """Change of the thickness across a micrograph, of the mean; its direction is drawn."""
    structure_factor: float = Field(0.06, ge=0, le=1)
    """Strength of the ice's own grain: density fluctuations over those of molecules placed at random; 0 is smooth."""
    contamination: int = Field(0, ge=0, le=1000)
    """Ice crystals on a micrograph, in the mean."""
    carbon_fraction: float = Field(0.0, ge=0, le=0.9)
    """Share of a micrograph's width that the carbon film reaches in from a side; 0 is none."""


class OpticsParameters(Parameters):
    """The microscope."""

    voltage_kv: float = Field(300.0, ge=60, le=1000)
    """Acceleration voltage."""
    cs_mm: float = Field(2.7, ge=0, le=10)
    """Spherical aberration."""
    amplitude_contrast: float = Field(0.1, ge=0, lt=1)
    """Share of amplitude contrast."""
    defocus_um: Range = (1.4, 2.0)
    """Mean underfocus of the two axes, drawn between these."""
    astigmatism_nm: Range = (9.0, 28.0)
    """Difference of the defocus along the two axes, drawn between these; so is its direction."""
    b_factor_a2: float = Field(60.0, ge=0, le=2000)
    """Envelope exp(−B q² / 4) of the contrast transfer, in Å²."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name in ("defocus_um", "astigmatism_nm"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} is [{low:g}, {high:g}]: give the lowest value first, neither below 0")
        if self.astigmatism_nm[1] > self.defocus_um[0] * 2000:
            raise ValueError(
                f"astigmatism_nm up to {self.astigmatism_nm[1]:g} and defocus_um from {self.defocus_um[0]:g} leave an "
                "axis without underfocus: lower the one (to [0, 0]) or raise the other"
            )
        return self


class DetectorParameters(Parameters):
    """What counts the electrons."""

    dose_e_per_a2: float = Field(53.0, gt=0, le=1000)
    """Electrons that hit the specimen, of the whole exposure."""
    frames: int = Field(38, ge=1, le=1000)
    """Frames that the dose is split over, evenly."""
    quantum_efficiency: float = Field(0.78, gt=0, le=1)
    """Share of the electrons that are counted; with 30 nm of ice, 0.78 gives the mean of 16.1 that a header shows."""
    mtf_at_nyquist: float = Field(0.5, gt=0, le=1)
    """Modulation transfer at the highest frequency, of a Gaussian one; 1 is a perfect detector."""
    gain_spread: float = Field(0.0, ge=0, le=0.3)
    """Standard deviation of the pixels' sensitivity; above 0 the counts are not corrected, and gain.mrc does that."""
    motion: Literal["none", "residual"] = "none"
    """`residual` leaves a drift between the frames; `none` says that it was corrected."""
    drift_angstrom: float = Field(4.0, gt=0, le=1000)
    """Length of that drift, from the first frame to the last."""


class SyntheticParameters(Parameters):
    """Simulated micrographs of which the truth is known."""

    preset: Literal["smoke", "laptop", "t20s-like"] | None = None
    """Values for all keys that are not given: see PRESETS in config/simulation.py and docs/SIMULATION.md."""
    micrographs: int = Field(ge=1, le=10_000)
    """How many micrographs to make."""
    height_px: int = Field(ge=32, le=16_384)
    """Rows of a micrograph."""
    width_px: int = Field(ge=32, le=16_384)
    """Columns of a micrograph."""
    pixel_size_angstrom: float = Field(0.6575, ge=0.05, le=20)
    """Pixel size, in Å."""
    seed: int = Field(42, ge=0)
    """Seed of the micrographs: each is a function of it and of its number. Other parameters under the same seed show
    the same specimen and the same grain of the ice; another set of micrographs wants another seed."""
    halves: bool = False
    """Whether the sums of the even and of the odd frames are written, too."""
    movies: bool = False
    """Whether the micrographs are written as their frames instead of the sum of them."""
    specimen: SpecimenParameters = SpecimenParameters()
    """What is frozen into the ice."""
    ice: IceParameters = IceParameters()
    """What it lies in."""
    optics: OpticsParameters = OpticsParameters()
    """The microscope."""
    detector: DetectorParameters = DetectorParameters()
    """What counts the electrons."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset") is None:
            return given
        known = [name for name in PRESETS if name == given["preset"]]
        return _over(PRESETS[known[0] if known else "smoke"], given)  # of a wrong name no key shall seem missing

    @model_validator(mode="after")
    def _even_frames(self) -> Self:
        if self.halves and self.detector.frames % 2:
            raise ValueError(
                f"halves: the dose of {self.detector.frames} frames has no equal halves: give an even number of "
                "detector.frames"
            )
        return self


PRESETS: dict[str, dict[str, Any]] = {
    # EMPIAR-10025 binned four times: 18 particles in 135 × 135 nm, as dense as there.
    "smoke": {
        "micrographs": 4, "height_px": 512, "width_px": 512, "pixel_size_angstrom": 2.63,
        "specimen": {"particles": 18},
    },
    # The same on 269 × 269 nm.
    "laptop": {
        "micrographs": 12, "height_px": 1024, "width_px": 1024, "pixel_size_angstrom": 2.63,
        "specimen": {"particles": 75},
    },
    # The field of view and the density of EMPIAR-10025 at the physical pixels of its detector, two of its files' pixels
    # wide (those are super-resolution): 539 × 539 nm.
    "t20s-like": {
        "micrographs": 20, "height_px": 4096, "width_px": 4096, "pixel_size_angstrom": 1.315,
        "specimen": {"particles": 300},
    },
}  # fmt: skip
"""Presets by name: what they give for the keys that have no default, or another one."""


def _over(preset: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """What is given, over what the preset says, section by section."""
    both = {**preset, **given}
    for key, value in preset.items():
        if isinstance(value, dict) and isinstance(given.get(key), dict):
            both[key] = {**value, **given[key]}
    return both
