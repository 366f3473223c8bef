"""What optics and specimen make of each other: power of the grain, signs, sizes, Thon rings."""

import dataclasses
import math

import numpy as np
import pytest

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.simulation import contrast, exposure, ice, optics, projection
from cryodenoise.simulation.scene import Scene, draw_scene
from cryodenoise.simulation.species import SPECIES, radius_angstrom
from cryodenoise.simulation.transform import frequencies, inverse
from simulated import DEVIATIONS, ice_alone, parameters


def squares(scene: Scene, pixel: float) -> np.ndarray:
    fy, fx = frequencies(scene.canvas, pixel)
    return np.asarray(fy**2 + fx**2)


@pytest.mark.parametrize("thickness_nm", [30.0, 60.0])
@pytest.mark.parametrize("mtf", [1.0, 0.5])
def test_the_power_of_ice_is_its_formula_through_the_transfer(thickness_nm: float, mtf: float) -> None:
    """|contrast|² over its expectation is exponential with mean and spread 1, at each frequency independently."""
    detector, sheet = {"mtf_at_nyquist": mtf}, {"thickness_nm": thickness_nm}
    wanted = ice_alone(256, 1.5, ice=sheet, detector=detector, optics={"astigmatism_nm": (100.0, 200.0)})
    scene, pixel = draw_scene(wanted, 0), 1.5
    square, (fy, fx) = squares(scene, pixel), frequencies(scene.canvas, pixel)
    phase = ice.grain_amplitude(optics.interaction(300), 0.06, 53.0, square) ** 2 * thickness_nm / 30
    through = 2 * optics.transfer(wanted.optics, scene.focus, fy, fx) * np.exp(-60 / 4 * square)
    through *= mtf ** (4 * square * pixel**2)
    expected = phase * through**2 * scene.canvas[0] * scene.canvas[1] / pixel**2
    found = np.abs(contrast.contrast_spectrum(wanted, scene, 0)) ** 2
    ratio = (found / expected)[:, 1:-1]  # of the other columns, each frequency's mirror image is there too
    assert abs(ratio.mean() - 1) < DEVIATIONS / math.sqrt(ratio.size)
    assert abs((ratio > 1).mean() - math.exp(-1)) < DEVIATIONS * math.sqrt(0.24 / ratio.size)


def test_twice_the_thickness_is_twice_the_power() -> None:
    once, twice = (ice_alone(ice={"thickness_nm": thickness}) for thickness in (30.0, 60.0))
    scene = draw_scene(once, 0)
    first, second = (contrast.contrast_spectrum(each, scene, 0) for each in (once, twice))
    assert np.allclose(np.abs(second) ** 2, 2 * np.abs(first) ** 2, rtol=1e-9)


def test_ice_without_structure_is_flat() -> None:
    wanted = ice_alone(ice={"structure_factor": 0.0})
    assert not contrast.contrast_spectrum(wanted, draw_scene(wanted, 0), 0).any()


def test_grain_is_as_strong_as_the_layers_are_thick() -> None:
    wanted = ice_alone(ice={"gradient": 1.0, "thickness_nm": 90.0})
    scene = draw_scene(wanted, 0)
    even = ice_alone(ice={"thickness_nm": 90.0})
    ratio = contrast.grain_field(wanted, scene, 0) / contrast.grain_field(even, scene, 0)
    rows = np.arange(scene.canvas[0]) - scene.corner[0]
    thickness, carbon = contrast.layers(wanted, scene, rows, rows)
    assert carbon is None
    assert np.allclose(ratio**2, thickness / 90)
    y, x = ((np.arange(128) - 63.5) / 128 for _ in range(2))
    growth = 90 * (1 + math.cos(scene.wedge_rad) * x[None] + math.sin(scene.wedge_rad) * y[:, None])
    first, last = scene.corner[0], scene.corner[0] + 128
    assert np.allclose(thickness[first:last, first:last], growth)


def test_carbon_stops_electrons_and_adds_grain() -> None:
    wanted = ice_alone(ice={"carbon_fraction": 0.5})
    scene = draw_scene(wanted, 0)
    share, clear = contrast.transmission(wanted, scene), math.exp(-30 / ice.MEAN_FREE_PATH_NM)
    assert share.max() == pytest.approx(clear, rel=1e-3)
    assert share.min() == pytest.approx(clear * ice.CARBON_TRANSMISSION, rel=1e-3)
    covered = (share < clear * 0.95).mean()
    assert covered == pytest.approx(0.5, abs=0.03)
    field = contrast.grain_field(wanted, scene, 0)[scene.corner[0] :, scene.corner[1] :][:128, :128]
    dark, light = field[share < clear * 0.901], field[share > clear * 0.999]
    assert abs(light.var() - 1) < DEVIATIONS * math.sqrt(2 / light.size)
    assert abs(dark.var() / (1 + ice.CARBON_GRAIN) - 1) < DEVIATIONS * math.sqrt(2 / dark.size) + 0.01


def one_particle(**keys: object) -> tuple[SyntheticParameters, Scene]:
    wanted = parameters(128, 4.0, specimen={"particles": 1}, ice={"structure_factor": 0.0, "gradient": 0.0}, **keys)
    scene = draw_scene(wanted, 0)
    middle = scene.particles[0].model_copy(update={"x_px": 60.3, "y_px": 70.8})
    return wanted, dataclasses.replace(scene, particles=[middle])


def test_the_potential_of_a_particle_sums_up_to_that_of_its_residues() -> None:
    wanted, scene = one_particle()
    total = contrast.potential(wanted, scene, 0)[0, 0].real * 4.0**2
    assert total == pytest.approx(len(SPECIES["t20s"]()) * projection.residue_v_a3(), rel=1e-12)


def test_a_particle_is_seen_where_and_as_its_record_says() -> None:
    """Its pseudo-atoms, turned by RELION's matrix, as a direct sum of Gaussians."""
    wanted, scene = one_particle()
    particle = scene.particles[0]
    rot, tilt, psi = np.radians([particle.rot_deg, particle.tilt_deg, particle.psi_deg])

    def about(angle: float, first: int, second: int) -> np.ndarray:
        turn = np.eye(3)
        turn[[first, second], [first, second]] = math.cos(angle)
        turn[first, second], turn[second, first] = math.sin(angle), -math.sin(angle)
        return turn

    matrix = about(psi, 0, 1) @ about(tilt, 2, 0) @ about(rot, 0, 1)
    x, y, _ = matrix @ SPECIES["t20s"]().T / 4.0
    width = projection.width_px(4.0)
    down, across = (
        np.exp(-((np.arange(128)[:, None] - place) ** 2) / (2 * width**2))
        for place in (y + particle.y_px, x + particle.x_px)
    )
    expected = down @ across.T * projection.residue_v_a3() / 16 / (2 * math.pi * width**2)
    found = inverse(contrast.potential(wanted, scene, 0), scene.canvas[1])
    found = found[scene.corner[0] :, scene.corner[1] :][:128, :128]
    assert np.abs(found - expected).max() < 0.02 * expected.max()


def test_a_particle_moved_by_pixels_moves_the_image() -> None:
    wanted, scene = one_particle()
    particle = scene.particles[0]
    moved = dataclasses.replace(scene, particles=[particle.model_copy(update={"x_px": 63.3, "y_px": 68.8})])
    images = [inverse(contrast.contrast_spectrum(wanted, each, 0), scene.canvas[1]) for each in (scene, moved)]
    assert np.allclose(np.roll(images[0], (-2, 3), axis=(0, 1)), images[1], atol=1e-12)


def test_a_particle_in_underfocus_is_dark() -> None:
    wanted, scene = one_particle()
    image = next(exposure.intensities(wanted, scene, 0))
    y, x = np.mgrid[:128, :128]
    away = np.hypot(y - 70.8, x - 60.3) * 4.0
    beside = image[(away > radius_angstrom("t20s") + 30) & (away < 240)].mean()
    assert image[away < 50].mean() < 0.99 * beside


def test_the_contrast_is_linear_in_the_interaction_and_the_transfer() -> None:
    wanted, scene = one_particle()
    spectrum = contrast.contrast_spectrum(wanted, scene, 0)
    mean = float(spectrum[0, 0].real)
    assert mean == pytest.approx(-2 * 0.1 * 0.65262e-3 * contrast.potential(wanted, scene, 0)[0, 0].real, rel=1e-4)


@pytest.mark.parametrize("contamination", [0, 3])
def test_crystals_are_dark_too(contamination: int) -> None:
    wanted = ice_alone(ice={"structure_factor": 0.0, "contamination": contamination})
    scene = draw_scene(wanted, 0)
    assert (contrast.contrast_spectrum(wanted, scene, 0)[0, 0].real < 0) == (contamination > 0)
