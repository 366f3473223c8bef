"""What cannot be simulated, said before anything is."""

import math

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.errors import UserError, require_known
from cryodenoise.signal.noise_tables import HIGHEST_RATE
from cryodenoise.simulation.detector import HIGHEST_SENSITIVITY, drift
from cryodenoise.simulation.ice import CRYSTAL_AREA_A2
from cryodenoise.simulation.optics import delocalisation_angstrom
from cryodenoise.simulation.placement import MOST_COVERED
from cryodenoise.simulation.species import SPECIES, radius_angstrom

FINEST_ANGSTROM = 6.0
"""Detail finer than this is too weak in these specimens to be followed beyond the micrograph's border."""
FEWEST_ELECTRONS = 0.01
"""In a pixel of the whole exposure: with less, hardly a pixel of a micrograph would count one."""
BRIGHTEST = 2.0
"""No place of an image is brighter, over the incident beam: what the frames must have room for."""


def spread_angstrom(parameters: SyntheticParameters) -> float:
    """How far from its place the optics image what is resolved, at the strongest defocus of the run file."""
    frequency = min(0.5 / parameters.pixel_size_angstrom, 1 / FINEST_ANGSTROM)
    optics = parameters.optics
    return delocalisation_angstrom(optics, strongest_angstrom(parameters), frequency)


def strongest_angstrom(parameters: SyntheticParameters) -> float:
    """The highest underfocus that the run file allows along an axis, in Å."""
    return parameters.optics.defocus_um[1] * 1e4 + parameters.optics.astigmatism_nm[1] * 5


def require_possible(parameters: SyntheticParameters) -> None:
    """Refuse what the model cannot do.

    Raises:
        UserError: If a particle is unknown or larger than the image, if more particles or crystals than fit are asked
            for, if the specimen drifts or the defocus spreads detail farther than half of the image, if the halves
            would show the specimen at different places, or if a frame would count too many electrons, or all too few.
    """
    _require_room(parameters)
    _require_carried(parameters)
    in_all = electrons_per_pixel(parameters)
    if in_all < FEWEST_ELECTRONS:
        raise UserError(
            f"synthetic.detector: {in_all:.3g} electrons a pixel in all frames, at least {FEWEST_ELECTRONS} are "
            "needed: give a higher dose_e_per_a2 or a larger pixel_size_angstrom"
        )
    electrons = in_all / parameters.detector.frames
    most = HIGHEST_RATE / BRIGHTEST / (HIGHEST_SENSITIVITY if parameters.detector.gain_spread else 1)
    if electrons > most:
        raise UserError(
            f"synthetic.detector: {electrons:.4g} electrons a pixel and frame, at most {most:.4g} can be drawn: give "
            "more frames, a lower dose_e_per_a2 or a smaller pixel_size_angstrom"
        )


def electrons_per_pixel(parameters: SyntheticParameters) -> float:
    """Electrons that are counted in a pixel of the whole exposure where nothing is in the beam."""
    camera = parameters.detector
    return camera.dose_e_per_a2 * parameters.pixel_size_angstrom**2 * camera.quantum_efficiency


def _require_room(parameters: SyntheticParameters) -> None:
    specimen, pixel = parameters.specimen, parameters.pixel_size_angstrom
    height, width = (side * pixel for side in (parameters.height_px, parameters.width_px))
    covered = 0.0
    for key, name, count in (
        ("species", specimen.species, specimen.particles),
        ("second_species", specimen.second_species, specimen.second_particles),
    ):
        require_known(f"synthetic.specimen.{key}", name, SPECIES)
        radius = radius_angstrom(name)
        if count and 2 * radius > min(height, width):
            raise UserError(
                f"synthetic: a micrograph of {height:.0f} × {width:.0f} Å is smaller than a particle {name}, "
                f"{2 * radius:.0f} Å: give more pixels, a larger pixel_size_angstrom, or no particles"
            )
        covered += count * math.pi * radius**2
    if covered > MOST_COVERED * height * width:
        counts = specimen.particles + specimen.second_particles
        raise UserError(
            f"synthetic.specimen: {counts} particles would cover {covered / (height * width):.0%} of a micrograph of "
            f"{height:.0f} × {width:.0f} Å, at most {MOST_COVERED:.0%} can be covered without overlap: ask for at most "
            f"{int(counts * MOST_COVERED * height * width / covered)}"
        )
    crystals, most = parameters.ice.contamination, height * width / CRYSTAL_AREA_A2
    if crystals > most:
        raise UserError(
            f"synthetic.ice.contamination: {crystals} crystals would cover {crystals / most:.0%} of a micrograph of "
            f"{height:.0f} × {width:.0f} Å: ask for at most {int(most)}"
        )


def _require_carried(parameters: SyntheticParameters) -> None:
    side = min(parameters.height_px, parameters.width_px) * parameters.pixel_size_angstrom
    camera = parameters.detector
    if camera.motion == "residual" and camera.drift_angstrom > side / 2:
        raise UserError(
            f"synthetic.detector.drift_angstrom: {camera.drift_angstrom:g} Å is more than half of the micrograph's "
            f"{side:.0f} Å: lower it, or give more pixels"
        )
    if camera.motion == "residual" and parameters.halves:
        way = drift(camera.drift_angstrom, camera.frames, 0.0)[:, 1]
        apart = abs(float(way[0::2].mean() - way[1::2].mean()))
        if apart > parameters.pixel_size_angstrom / 2:
            raise UserError(
                f"synthetic.detector.drift_angstrom: with {camera.frames} frames the halves would show the specimen "
                f"{apart:.3g} Å apart, more than half a pixel: neither would be the other's expectation: give more "
                "frames or less drift"
            )
    spread = spread_angstrom(parameters)
    if spread > side / 2:
        raise UserError(
            f"synthetic.optics: an underfocus of {strongest_angstrom(parameters) / 1e4:.4g} µm (the highest of "
            f"defocus_um with half of astigmatism_nm) spreads detail over ±{spread:.3g} Å, more than half of the "
            f"micrograph's {side:.0f} Å, so its oscillations in Fourier space are finer than the sampling there: lower "
            "it, or give more pixels"
        )
