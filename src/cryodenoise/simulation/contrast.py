"""Specimen and ice through the optics: the contrast of a scene in Fourier space."""

from itertools import groupby

import numpy as np

from cryodenoise import seeds
from cryodenoise.config.exposure import Particle
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.simulation import ice, optics, orientations, projection
from cryodenoise.simulation.detector import modulation_transfer
from cryodenoise.simulation.scene import Scene
from cryodenoise.simulation.species import SPECIES
from cryodenoise.simulation.transform import forward, frequencies, in_bands


def potential(parameters: SyntheticParameters, scene: Scene, index: int) -> np.ndarray:
    """The spectrum of the projected potential of particles and crystals over the ice's, in V·Å, on the canvas.

    Returns:
        complex128, of the shape that `transform.forward` gives.
    """
    pixel = parameters.pixel_size_angstrom
    canvas = np.zeros(scene.canvas)
    weight = projection.residue_v_a3() / pixel**2
    for name, group in groupby(scene.particles, lambda particle: particle.species):
        for points in _points(name, list(group), scene.corner, pixel):
            projection.add_points(canvas, points, weight)
    spectrum = forward(canvas)
    fy, fx = frequencies(scene.canvas)

    def shape(band: slice) -> None:
        spectrum[band] *= projection.form_factor(pixel, fy[band], fx)

    in_bands(shape, len(spectrum))
    if parameters.ice.contamination:
        canvas[...] = 0
        share = scene.canvas[0] * scene.canvas[1] / (parameters.height_px * parameters.width_px)
        rng = seeds.generator(parameters.seed, "simulation", "crystals", index)
        ice.add_crystals(rng, round(parameters.ice.contamination * share), pixel, canvas)
        spectrum += forward(canvas)
    return spectrum


def _points(name: str, particles: list[Particle], corner: tuple[int, int], pixel: float) -> list[np.ndarray]:
    """Where the pseudo-atoms of each particle are seen: (y, x) in pixels of the canvas, each of shape (n, 2)."""
    atoms = SPECIES[name]()
    turns = orientations.matrices(np.array([[each.rot_deg, each.tilt_deg, each.psi_deg] for each in particles]))
    return [
        (atoms @ turn[[1, 0]].T) / pixel + (each.y_px + corner[0], each.x_px + corner[1])
        for each, turn in zip(particles, turns, strict=True)
    ]


def contrast_spectrum(parameters: SyntheticParameters, scene: Scene, index: int) -> np.ndarray:
    """The spectrum of the image's contrast: intensity over that of the bare ice, less 1, on the canvas.

    −2 · CTF · envelope · MTF · σ · (potential of the specimen + grain of the ice), in the weak-phase approximation.

    Returns:
        complex128, of the shape that `transform.forward` gives.
    """
    pixel, settings = parameters.pixel_size_angstrom, parameters.optics
    sigma = optics.interaction(settings.voltage_kv)
    spectrum = potential(parameters, scene, index)
    grain = forward(grain_field(parameters, scene, index)) if parameters.ice.structure_factor else None
    fy, fx = frequencies(scene.canvas)
    dose, at_nyquist = parameters.detector.dose_e_per_a2, parameters.detector.mtf_at_nyquist

    def image(band: slice) -> None:
        square = (fy[band] ** 2 + fx**2) / pixel**2
        through = -2 * optics.transfer(settings, scene.focus, fy[band] / pixel, fx / pixel)
        through *= optics.envelope(settings.b_factor_a2, square) * modulation_transfer(at_nyquist, square * pixel**2)
        phase = sigma * spectrum[band]
        if grain is not None:
            amplitude = ice.grain_amplitude(sigma, parameters.ice.structure_factor, dose, square)
            phase += grain[band] * (amplitude / pixel)
        np.multiply(phase, through, out=spectrum[band])

    in_bands(image, len(spectrum), 32)
    return spectrum


def grain_field(parameters: SyntheticParameters, scene: Scene, index: int) -> np.ndarray:
    """White noise on the canvas, as strong at each place as the grain of the layers there: float64."""
    rng = seeds.generator(parameters.seed, "simulation", "grain", index)
    field = rng.standard_normal(scene.canvas)

    def weigh(band: slice) -> None:
        rows = np.arange(band.start, band.stop) - scene.corner[0]
        columns = np.arange(scene.canvas[1]) - scene.corner[1]
        field[band] *= ice.grain_strength(*layers(parameters, scene, rows, columns))

    in_bands(weigh, len(field))
    return field


def layers(
    parameters: SyntheticParameters, scene: Scene, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """What the beam goes through at some rows and columns of the micrograph, beyond its border if need be.

    Returns:
        Thickness of the ice in nm, and share of carbon (None for no film), float64 of shape (rows, columns).
    """
    height, width, settings = parameters.height_px, parameters.width_px, parameters.ice
    y, x = (rows - (height - 1) / 2)[:, None], (columns - (width - 1) / 2)[None, :]
    thickness = ice.thickness_nm(settings.thickness_nm, settings.gradient, scene.wedge_rad, y / height, x / width)
    if not settings.carbon_fraction:
        return thickness, None
    side, pixel = min(height, width), parameters.pixel_size_angstrom
    return thickness, ice.carbon_film(settings.carbon_fraction, scene.film_rad, pixel, y, x, side)


def transmission(parameters: SyntheticParameters, scene: Scene) -> np.ndarray:
    """Share of the electrons that reach each pixel where there is no contrast: float64 of shape (h, w)."""
    share = np.empty((parameters.height_px, parameters.width_px))

    def fill(band: slice) -> None:
        rows, columns = np.arange(band.start, band.stop), np.arange(parameters.width_px)
        thickness, carbon = layers(parameters, scene, rows, columns)
        share[band] = ice.transmission(thickness, parameters.optics.voltage_kv)
        if carbon is not None:
            share[band] *= 1 - (1 - ice.CARBON_TRANSMISSION) * carbon

    in_bands(fill, len(share))
    return share
