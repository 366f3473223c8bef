"""What is known of a micrograph, and of what belongs to it, before any pixel is read."""

from dataclasses import dataclass
from pathlib import Path

from cryodenoise import micrographs
from cryodenoise.config.exposure import ExposureRecord, Particle
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.candidate import PARTICLES, Candidate


@dataclass(frozen=True)
class Shape:
    """What a header says."""

    height_px: int
    width_px: int
    pixel_size_angstrom: float | None


def read_shape(candidate: Candidate, parameters: PreprocessParameters) -> Shape:
    """What the header of a micrograph says.

    Raises:
        UserError: If a file is unsound, the micrograph is smaller than a patch or has no two halves, or what belongs to
            it is of another shape.
    """
    header = micrographs.read_header(candidate.path, candidate.image)
    size = parameters.patches.size_px
    if min(header.height_px, header.width_px) < size:
        raise UserError(
            f"{candidate.source.place}: {header.height_px} × {header.width_px} pixels, smaller than a patch of "
            f"{size} × {size}: lower patches.size_px or move the file out of the folder"
        )
    if parameters.pairs.kind == "halves" and parameters.pairs.halves == "movies":
        micrographs.require_halves(candidate.path, header)
    shape = Shape(header.height_px, header.width_px, header.pixel_size_angstrom)
    for other in candidate.others:
        found = micrographs.read_header(other.path, other.image)
        _require_same_shape(candidate, shape, other.name, found.height_px, found.width_px)
    read_particles(candidate, shape)
    return shape


def read_particles(candidate: Candidate, shape: Shape) -> list[Particle] | None:
    """What raw/particles tells of a micrograph; None where it tells nothing.

    Raises:
        UserError: If the document is unsound, or tells of another micrograph.
    """
    path = candidate.particles_path
    if path is None:
        return None
    record = ExposureRecord.load_document(path)
    if micrographs.stem(Path(record.micrograph)) != micrographs.stem(candidate.path):
        raise UserError(
            f"{path}: tells of {record.micrograph!r}, expected {candidate.path.name!r}: remove or rename it"
        )
    _require_same_shape(candidate, shape, f"{PARTICLES}/{path.name}", record.height_px, record.width_px)
    return record.particles


def _require_same_shape(candidate: Candidate, shape: Shape, name: str, height_px: int, width_px: int) -> None:
    if (height_px, width_px) != (shape.height_px, shape.width_px):
        raise UserError(
            f"{candidate.source.place}: {shape.height_px} × {shape.width_px} pixels, but {name} has {height_px} × "
            f"{width_px}: what belongs together must be of one shape"
        )
