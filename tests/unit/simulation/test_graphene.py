"""Simulated graphene: its lattice, its defects, its electrons."""

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import maximum_filter
from scipy.spatial import cKDTree

from cryodenoise import seeds
from cryodenoise.config.graphene import GrapheneSimulation
from cryodenoise.simulation import graphene

BOND_ANGSTROM = 1.42
PERFECT: dict[str, Any] = {
    "vacancies_per_nm2": 0.0, "divacancies_per_nm2": 0.0, "rotated_bonds_per_nm2": 0.0, "displacement_angstrom": 0.0,
}  # fmt: skip
DEVIATIONS = 5.0


def section(**keys: Any) -> GrapheneSimulation:
    return GrapheneSimulation.model_validate({**PERFECT, **keys})


def inside(flake: graphene.Flake, side_px: int, margin_px: float = 0.0) -> np.ndarray:
    within = (flake.atoms > margin_px) & (flake.atoms < side_px - 1 - margin_px)
    found: np.ndarray = flake.atoms[within.all(axis=1)]
    return found


@pytest.mark.parametrize("index", range(4))
def test_every_atom_has_three_neighbours_at_the_bond_length(index: int) -> None:
    parameters = section()
    flake = graphene.flake(parameters, "train", index)
    bond = BOND_ANGSTROM / flake.pixel_size_angstrom
    distances, _ = cKDTree(flake.atoms).query(inside(flake, 256), k=5)
    np.testing.assert_allclose(distances[:, 1:4], bond, rtol=1e-3)  # 2.46 / √3 = 1.4203
    np.testing.assert_allclose(distances[:, 4], graphene.LATTICE_ANGSTROM / flake.pixel_size_angstrom, rtol=1e-9)


def test_peaks_of_the_image_are_a_bond_length_apart() -> None:
    parameters = section(probe_sigma_angstrom=0.1, pixel_size_angstrom=[0.08, 0.08])
    clean = graphene.rendered(parameters, graphene.flake(parameters, "test", 3))
    peaks = np.argwhere((clean == maximum_filter(clean, 7)) & (clean > 0.5))
    well_inside = peaks[(np.abs(peaks - 127.5) < 100).all(axis=1)]
    exact = np.array([_centroid(clean, y, x) for y, x in well_inside])
    distances, _ = cKDTree(exact).query(exact, k=2)
    assert np.median(distances[:, 1]) * 0.08 == pytest.approx(BOND_ANGSTROM, rel=0.01)


def _centroid(image: np.ndarray, y: int, x: int) -> tuple[float, float]:
    """Where the peak is, by parabolas through the logarithms of three pixels: exact for a Gaussian."""
    found = []
    for line, at in ((image[y - 1 : y + 2, x], y), (image[y, x - 1 : x + 2], x)):
        low, middle, high = np.log(line.astype("f8"))
        found.append(at + 0.5 * (low - high) / (low - 2 * middle + high))
    return found[0], found[1]


def test_as_many_atoms_as_graphene_has() -> None:
    density_per_a2 = 4 / (np.sqrt(3) * graphene.LATTICE_ANGSTROM**2)
    counts, areas = 0, 0.0
    for index in range(6):
        flake = graphene.flake(section(), "train", index)
        counts += len(inside(flake, 256))
        areas += (255 * flake.pixel_size_angstrom) ** 2
    assert counts / areas == pytest.approx(density_per_a2, rel=0.02)


def test_the_image_is_the_sum_of_its_atoms() -> None:
    parameters = section(side_px=32, displacement_angstrom=0.1, vacancies_per_nm2=0.5)
    flake = graphene.flake(parameters, "train", 0)
    sigma = np.hypot(parameters.atom_sigma_angstrom, parameters.probe_sigma_angstrom) / flake.pixel_size_angstrom
    y, x = np.mgrid[:32, :32]
    squares = (y[..., None] - flake.atoms[:, 0]) ** 2 + (x[..., None] - flake.atoms[:, 1]) ** 2
    direct = np.exp(-0.5 * squares / sigma**2).sum(axis=-1)
    np.testing.assert_allclose(graphene.rendered(parameters, flake), direct / direct.max(), atol=2e-5)


def test_vacancies_are_as_many_as_asked_for_in_the_mean() -> None:
    parameters, perfect = section(vacancies_per_nm2=0.3), section()
    missing, areas = 0, 0.0
    for index in range(30):
        flake, whole = (graphene.flake(each, "train", index) for each in (parameters, perfect))
        missing += len(inside(whole, 256)) - len(inside(flake, 256))
        areas += (255 * flake.pixel_size_angstrom / 10) ** 2
    expected = 0.3 * areas
    assert abs(missing - expected) < DEVIATIONS * np.sqrt(expected)


def test_missing_pairs_were_neighbours() -> None:
    parameters, perfect = section(divacancies_per_nm2=0.2), section()
    flake, whole = (graphene.flake(each, "test", 1) for each in (parameters, perfect))
    distances, _ = cKDTree(flake.atoms).query(inside(whole, 256, 30))
    missing = inside(whole, 256, 30)[distances > 1e-6]
    assert len(missing) >= 2
    apart, _ = cKDTree(missing).query(missing, k=2)
    bond = BOND_ANGSTROM / whole.pixel_size_angstrom
    assert np.median(apart[:, 1]) == pytest.approx(bond, rel=1e-3)


def test_a_turned_bond_keeps_its_middle_and_its_length() -> None:
    parameters, perfect = section(rotated_bonds_per_nm2=0.2), section()
    flake, whole = (graphene.flake(each, "test", 1) for each in (parameters, perfect))
    assert flake.rotated_bonds > 0
    assert len(flake.atoms) == pytest.approx(len(whole.atoms), abs=4)  # but for those moved across the edge
    moved = [
        here[cKDTree(there.atoms).query(here)[0] > 1e-6]
        for here, there in ((inside(flake, 256, 40), whole), (inside(whole, 256, 40), flake))
    ]
    bond = BOND_ANGSTROM / whole.pixel_size_angstrom
    after, before = (_middles(atoms, bond) for atoms in moved)
    assert len(after) >= 1
    distances, _ = cKDTree(before).query(after)
    assert np.median(distances) == pytest.approx(0, abs=1e-6)


def _middles(atoms: np.ndarray, bond: float) -> np.ndarray:
    pairs = cKDTree(atoms).query_pairs(bond * 1.001, output_type="ndarray")
    found: np.ndarray = atoms[pairs].mean(axis=1)
    return found


def test_displacements_have_their_deviation() -> None:
    flake, perfect = (graphene.flake(section(displacement_angstrom=d), "train", 0) for d in (0.1, 0.0))
    distances, _ = cKDTree(perfect.atoms).query(inside(flake, 256))
    squares = (distances * flake.pixel_size_angstrom) ** 2 / 2
    assert squares.mean() == pytest.approx(0.1**2, rel=DEVIATIONS / np.sqrt(len(squares)))


def test_electrons_have_mean_and_variance_of_poisson() -> None:
    parameters = section(electrons_at_one=8.0, dead_fraction=0.0)
    clean = np.full((256, 256), 0.5, np.float32)
    noisy = graphene.noisy(parameters, clean, seeds.generator(1, "electrons"))
    expected = 8.0 * 0.5 * graphene.profile(parameters, seeds.generator(1, "electrons"))
    counts = noisy.astype("f8") * 8.0
    np.testing.assert_array_equal(counts, np.round(counts))
    scores = (counts - expected) / np.sqrt(expected)
    pixels = scores.size
    assert abs(scores.mean()) < DEVIATIONS / np.sqrt(pixels)
    spread = np.sqrt((2 + (1 / expected).mean()) / pixels)  # of the variance of a Poisson count
    assert abs(scores.var() - 1) < DEVIATIONS * spread


def test_dead_pixels_are_as_many_as_asked_for() -> None:
    parameters = section(electrons_at_one=1e4, dead_fraction=0.01)
    noisy = graphene.noisy(parameters, np.ones((256, 256), np.float32), seeds.generator(2, "electrons"))
    expected = 0.01 * noisy.size
    assert abs((noisy == 0).sum() - expected) < DEVIATIONS * np.sqrt(expected)


def test_the_beam_is_brightest_in_the_middle_half_and_varies() -> None:
    beam = graphene.profile(section(), seeds.generator(3, "electrons"))
    y, x = np.unravel_index(beam.argmax(), beam.shape)
    assert 64 <= y <= 192
    assert 64 <= x <= 192
    assert 0 < beam.min() < 0.9
    assert beam.max() <= 1


def test_an_image_depends_on_seed_part_and_number_alone() -> None:
    parameters = GrapheneSimulation(side_px=32)
    noisy, clean = graphene.pair(parameters, "train", 5)
    again = graphene.pair(parameters.model_copy(update={"train_images": 7}), "train", 5)
    assert (noisy.tobytes(), clean.tobytes()) == (again[0].tobytes(), again[1].tobytes())
    assert noisy.dtype == clean.dtype == np.float32
    assert clean.min() >= 0
    assert clean.max() == 1
    others = [
        graphene.pair(parameters, "test", 5), graphene.pair(parameters, "train", 6),
        graphene.pair(parameters.model_copy(update={"seed": 43}), "train", 5),
    ]  # fmt: skip
    assert all((other[1] != clean).any() for other in others)
