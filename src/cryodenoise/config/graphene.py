"""Pairs of noisy and clean images of graphene: section `graphene:` of the run file of `download`."""

from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from cryodenoise.config.schema import Parameters
from cryodenoise.config.sources import Url

PUBLISHED = "https://s3.echo.stfc.ac.uk/sciml-datasets/ms/em_graphene_sim/"
Range = Annotated[tuple[float, float], Strict(strict=False)]
"""Lowest and highest; each image draws its own value, uniformly."""


class GrapheneSimulation(Parameters):
    """A small set of the published layout, made here; docs/SYSTEMS.md tells what is simpler than the published one."""

    train_images: int = Field(48, ge=1, le=100_000)
    """Pairs in train/."""
    test_images: int = Field(16, ge=1, le=100_000)
    """Pairs in test/."""
    seed: int = Field(42, ge=0)
    """Seed of the images: each is a function of it, of its part (train or test) and of its number."""
    side_px: int = Field(256, ge=16, le=4096)
    """Rows and columns of an image."""
    pixel_size_angstrom: Range = (0.10, 0.16)
    """Pixel size, drawn between these; coarser ones than 0.5 Å leave nothing of the lattice."""
    vacancies_per_nm2: float = Field(0.10, ge=0, le=1)
    """Single atoms that are missing, in the mean."""
    divacancies_per_nm2: float = Field(0.03, ge=0, le=1)
    """Pairs of neighbouring atoms that are missing, in the mean."""
    rotated_bonds_per_nm2: float = Field(0.05, ge=0, le=1)
    """Bonds turned by 90° (Stone-Wales), in the mean."""
    displacement_angstrom: float = Field(0.06, ge=0, le=0.5)
    """Standard deviation of an atom's thermal displacement along each axis."""
    atom_sigma_angstrom: float = Field(0.25, gt=0, le=2)
    """Standard deviation of an atom's Gaussian image."""
    probe_sigma_angstrom: float = Field(0.35, ge=0, le=2)
    """Standard deviation of the Gaussian probe that it is convolved with."""
    electrons_at_one: float = Field(20.0, gt=0, le=1e6)
    """Electrons counted in a pixel where the clean image and the beam profile are 1."""
    beam_sigma: Range = (0.4, 1.0)
    """Standard deviation of the Gaussian beam profile, of the image's side, drawn between these; so is its centre."""
    dead_fraction: float = Field(0.002, ge=0, lt=1)
    """Share of pixels that count nothing, in the mean; each image draws its own."""

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name, lowest, highest in (("pixel_size_angstrom", 0.02, 0.5), ("beam_sigma", 0.1, 10)):
            low, high = getattr(self, name)
            if not lowest <= low <= high <= highest:
                raise ValueError(
                    f"{name} is [{low:g}, {high:g}]: give lowest and highest, between {lowest:g} and {highest:g}"
                )
        return self


class GrapheneParameters(Parameters):
    """Files train/ and test/graphene_img_noise.h5 and graphene_img_clean.h5."""

    address: Url = PUBLISHED
    """Folder that holds train/ and test/ with the published files."""
    simulated: GrapheneSimulation | None = None
    """Makes a set in the same layout in place of fetching one."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.simulated is not None and "address" in self.model_fields_set:
            raise ValueError("give either address or simulated")
        return self
