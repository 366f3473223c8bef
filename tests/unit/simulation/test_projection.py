import math

import numpy as np
import pytest

from cryodenoise.simulation import orientations, projection, species
from cryodenoise.simulation.transform import forward, frequencies, inverse


def rendered(points: np.ndarray, pixel: float, side: int = 64) -> np.ndarray:
    canvas = np.zeros((side, side))
    projection.add_points(canvas, points, 1.0)
    return inverse(forward(canvas) * projection.form_factor(pixel, *frequencies(canvas.shape)), side)


def summed(points: np.ndarray, pixel: float, side: int = 64) -> np.ndarray:
    """Gaussians of weight 1 at the pixels' centres, added up one by one on a periodic canvas."""
    width, total = projection.width_px(pixel), np.zeros((side, side))
    for y, x in points:
        down, across = (
            sum(np.exp(-((np.arange(side) - place + turn * side) ** 2) / (2 * width**2)) for turn in (-1, 0, 1))
            for place in (y, x)
        )
        total += np.outer(down, across) / (2 * math.pi * width**2)
    return total


@pytest.mark.parametrize(("pixel", "tolerance"), [(0.6575, 2e-4), (1.315, 4e-3), (2.63, 0.03), (8.0, 0.03)])
def test_points_become_the_sum_of_their_gaussians(pixel: float, tolerance: float) -> None:
    """But for the spline's aliases, in parts of a Gaussian's height: they grow as the Gaussians become narrow."""
    points = np.random.default_rng(0).uniform(0, 64, (40, 2))
    expected = summed(points, pixel)
    off = rendered(points, pixel) - expected
    assert np.abs(off).max() < tolerance / (2 * math.pi * projection.width_px(pixel) ** 2)
    assert off.std() < tolerance * expected.std()


def test_a_whole_particle_is_the_sum_of_its_pseudo_atoms() -> None:
    turn = orientations.matrices(np.array([[12.0, 47.0, 101.0]]))[0]
    points = species.t20s() @ turn[[1, 0]].T / 1.315 + (95.3, 96.1)
    expected = summed(points, 1.315, 192)
    assert np.abs(rendered(points, 1.315, 192) - expected).max() < 2e-3 * expected.max()


def test_a_particle_sums_up_to_its_residues() -> None:
    points = species.t20s()[:, [1, 0]] / 2.63 + 31.7
    assert rendered(points, 2.63).sum() == pytest.approx(len(points), rel=1e-12)


@pytest.mark.parametrize("shift", [(0.0, 0.25), (0.5, 0.0), (-0.3, 0.7), (3.0, -2.0)])
def test_a_shift_by_a_fraction_of_a_pixel_shifts_the_image(shift: tuple[float, float]) -> None:
    points = np.random.default_rng(1).uniform(20, 44, (30, 2))
    fy, fx = frequencies((64, 64))
    spectrum = forward(rendered(points, 1.315)) * np.exp(-2j * math.pi * (fy * shift[0] + fx * shift[1]))
    moved = rendered(points + shift, 1.315)
    assert np.abs(inverse(spectrum, 64) - moved).max() < 5e-3 * moved.max()


def test_the_centre_of_mass_is_where_the_point_is() -> None:
    image = rendered(np.array([[30.27, 21.64]]), 1.0)
    y, x = np.mgrid[:64, :64]
    assert (image * y).sum() == pytest.approx(30.27, abs=1e-4)
    assert (image * x).sum() == pytest.approx(21.64, abs=1e-4)


@pytest.mark.parametrize("place", [(0.0, 0.0), (-0.4, 5.0), (63.9, 63.9), (-70.2, 130.6), (64.0, 20.0)])
def test_the_canvas_is_periodic(place: tuple[float, float]) -> None:
    inside = tuple(np.mod(place, 64))
    assert np.allclose(rendered(np.array([place]), 2.0), rendered(np.array([inside]), 2.0), atol=1e-12)


def test_the_width_is_a_residues_but_no_less_than_the_pixels_can_carry() -> None:
    assert projection.width_px(0.5) == 4.0
    assert projection.width_px(2.5) == 0.8
    assert projection.width_px(20.0) == 0.8


def test_the_potentials_are_those_of_the_tables() -> None:
    """Volts of the mean inner potential, of ice and of protein as independent atoms: some 4.5 V and 8 V."""
    assert projection.water_v_a3() == pytest.approx(47.878 * (1.983 + 2 * 0.529))
    assert projection.water_v_a3() / projection.WATER_VOLUME_A3 == pytest.approx(4.52, abs=0.01)
    protein = projection.residue_v_a3() / species.RESIDUE_VOLUME_A3 + 4.52
    assert protein == pytest.approx(8.1, abs=0.1)


def test_the_constants_follow_from_nature_and_the_densities() -> None:
    h, mass, charge, avogadro = 6.62607015e-34, 9.1093837015e-31, 1.602176634e-19, 6.02214076e23
    assert h**2 / (2 * math.pi * mass * charge) * 1e20 == pytest.approx(projection.VOLTS_PER_SCATTERING, rel=1e-5)
    assert 18.015 / 0.93 / avogadro * 1e24 == pytest.approx(projection.WATER_VOLUME_A3, rel=2e-3)
    averagine_da = sum(
        projection._RESIDUE[atom] * weight
        for atom, weight in {"C": 12.011, "H": 1.008, "N": 14.007, "O": 15.999, "S": 32.06}.items()
    )
    assert averagine_da == pytest.approx(111.1, abs=0.1)
    assert averagine_da * 1.21 == pytest.approx(species.RESIDUE_VOLUME_A3, rel=5e-3)
