"""What a micrograph shows, drawn from (seed, number): focus, ice, and where each particle lies and how it is turned."""

import math
from dataclasses import dataclass

import numpy as np

from cryodenoise import seeds
from cryodenoise.config.exposure import Particle
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.simulation import orientations
from cryodenoise.simulation.detector import drift
from cryodenoise.simulation.limits import spread_angstrom
from cryodenoise.simulation.optics import Focus
from cryodenoise.simulation.placement import place
from cryodenoise.simulation.species import radius_angstrom
from cryodenoise.simulation.transform import good_length


@dataclass(frozen=True)
class Scene:
    """One micrograph before the electrons come.

    Attributes:
        focus: Underfocus and astigmatism.
        wedge_rad: Direction in which the ice grows thicker, from x to y.
        film_rad: Side from which the carbon film reaches in.
        drift_angstrom: (y, x) of the specimen in each frame, shape (frames, 2); zeros without motion.
        particles: All of which something lies in the micrograph.
        canvas: Rows and columns of the area that is simulated: the micrograph with a margin, since detail beyond its
            border is imaged into it.
        corner: Row and column of the canvas where the micrograph starts.
    """

    focus: Focus
    wedge_rad: float
    film_rad: float
    drift_angstrom: np.ndarray
    particles: list[Particle]
    canvas: tuple[int, int]
    corner: tuple[int, int]


def draw_scene(parameters: SyntheticParameters, index: int) -> Scene:
    """Draw what a micrograph shows.

    Raises:
        UserError: If the particles find no room.
    """
    rng = seeds.generator(parameters.seed, "simulation", "scene", index)
    optics, camera = parameters.optics, parameters.detector
    defocus_um, astigmatism_nm = rng.uniform(*optics.defocus_um), rng.uniform(*optics.astigmatism_nm)
    angles_rad = np.radians(np.round(rng.uniform(0, 360, 4), 4))
    mean, half = round(defocus_um * 1e4, 1), round(astigmatism_nm * 5, 1)
    moving = camera.motion == "residual"
    way = drift(camera.drift_angstrom if moving else 0.0, camera.frames, angles_rad[3])
    particles = _particles(parameters, seeds.generator(parameters.seed, "simulation", "particles", index))
    reach = max((particle.radius_angstrom for particle in particles), default=0.0) + spread_angstrom(parameters)
    margin = math.ceil((reach + float(np.abs(way).max())) / parameters.pixel_size_angstrom) + 8
    height, width = (good_length(side + 2 * margin) for side in (parameters.height_px, parameters.width_px))
    return Scene(
        focus=Focus(mean + half, mean - half, float(angles_rad[0]) % math.pi),
        wedge_rad=float(angles_rad[1]),
        film_rad=float(angles_rad[2]),
        drift_angstrom=way,
        particles=particles,
        canvas=(height, width),
        corner=(margin, margin),
    )


def _particles(parameters: SyntheticParameters, rng: np.random.Generator) -> list[Particle]:
    """Particles of both sorts whose centres lie in the micrograph, then as many around it as make the same density.

    Centres are uniform over the micrograph, but for those that would touch another particle.
    """
    specimen, pixel = parameters.specimen, parameters.pixel_size_angstrom
    names = [specimen.species] * specimen.particles + [specimen.second_species] * specimen.second_particles
    if not names:
        return []
    height, width = (side * pixel for side in (parameters.height_px, parameters.width_px))
    reach = max(map(radius_angstrom, names))
    around = (height + 2 * reach) * (width + 2 * reach) / (height * width) - 1
    outside = [specimen.species] * round(specimen.particles * around)
    outside += [specimen.second_species] * round(specimen.second_particles * around)
    radii, radii_outside = (np.array([radius_angstrom(name) for name in group]) for group in (names, outside))
    # The centre of the first pixel is the origin, so the micrograph begins half a pixel before it.
    top, bottom, right = -pixel / 2, height - pixel / 2, width - pixel / 2
    inner = (top, top, bottom, right)
    centres = place(rng, radii, inner)
    outer = (top - reach, top - reach, bottom + reach, right + reach)
    beyond = place(rng, radii_outside, outer, hole=inner, taken=(centres, radii))
    places = np.round(np.vstack([centres, beyond]) / pixel, 3)
    turned = orientations.uniform_angles(rng, len(places))
    # Some of the small ones, and those beyond the corners, do not reach in.
    away = np.maximum(np.maximum(beyond - inner[2:], inner[:2] - beyond), 0)
    reaching = [True] * len(names) + (np.hypot(*away.T) < radii_outside).tolist()
    return [
        Particle(
            species=name,
            x_px=float(x),
            y_px=float(y),
            radius_angstrom=radius_angstrom(name),
            rot_deg=float(rot),
            tilt_deg=float(tilt),
            psi_deg=float(psi),
        )
        for name, (y, x), (rot, tilt, psi), reaches in zip(names + outside, places, turned, reaching, strict=True)
        if reaches
    ]
