"""The particles have the symmetry, size and mass of what they are named after."""

import math

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from cryodenoise.simulation import orientations, projection, species
from cryodenoise.simulation.transform import forward, frequencies, inverse

SIDE, PIXEL = 128, 1.5
CENTRE = (SIDE - 1) / 2


def projected(name: str, rot: float, tilt: float, psi: float) -> np.ndarray:
    """The projected potential of one particle in the middle of a canvas, under Euler angles in degrees."""
    turn = orientations.matrices(np.array([[rot, tilt, psi]]))[0]
    canvas = np.zeros((SIDE, SIDE))
    projection.add_points(canvas, (species.SPECIES[name]() @ turn[[1, 0]].T) / PIXEL + CENTRE, 1.0)
    return inverse(forward(canvas) * projection.form_factor(PIXEL, *frequencies(canvas.shape)), SIDE)


def turned(points: np.ndarray, axis: tuple[float, float, float], degrees: float) -> np.ndarray:
    """Rodrigues' formula."""
    n, angle = np.array(axis) / np.linalg.norm(axis), math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    return points * cos + np.cross(n, points) * sin + np.outer(points @ n, n) * (1 - cos)


def misfit(points: np.ndarray, axis: tuple[float, float, float], degrees: float) -> float:
    """Mean distance in Å of the turned points to the nearest of the others."""
    distances, _ = cKDTree(points).query(turned(points, axis, degrees))
    return float(distances.mean())


def harmonics(image: np.ndarray, highest: int = 24) -> np.ndarray:
    """Power in the angular harmonics 1 to `highest` about the middle of an image, over radii of 15 to 50 Å."""
    radius = np.arange(15, 50, 1.5)[:, None] / PIXEL
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)[None, :]
    rings = map_coordinates(image, [CENTRE + radius * np.sin(angle), CENTRE + radius * np.cos(angle)], order=5)
    power: np.ndarray = (np.abs(np.fft.rfft(rings, axis=1)) ** 2 * radius).sum(axis=0)[1 : highest + 1]
    return power


def share_of_fold(image: np.ndarray, fold: int) -> float:
    """Of the angular harmonics' power, how much is in multiples of an order."""
    power = harmonics(image)
    return float(power[fold - 1 :: fold].sum() / power.sum())


def test_seen_along_its_axis_the_t20s_has_seven_fold_symmetry_and_no_other() -> None:
    top = projected("t20s", 0, 0, 33)
    assert share_of_fold(top, 7) > 0.999
    for fold in (2, 3, 4, 5, 6, 8):
        assert share_of_fold(top, fold) < 0.2
    seventh, sixth = (projected("t20s", 0, 0, 33 + 360 / fold) for fold in (7, 6))
    assert np.allclose(seventh, top, atol=1e-9 * top.max())
    assert np.abs(sixth - top).max() > 0.2 * top.max()


@pytest.mark.parametrize("number", range(7))
def test_seen_along_a_two_fold_axis_the_t20s_looks_the_same_upside_down(number: int) -> None:
    side = projected("t20s", 180 / 7 * number, 90, 20)
    assert np.allclose(side[::-1, ::-1], side, atol=1e-9 * side.max())
    assert share_of_fold(side, 2) > 0.999


def test_between_two_fold_axes_the_t20s_does_not_look_the_same_upside_down() -> None:
    """A dihedral group of odd order has no two-fold axis across another."""
    side = projected("t20s", 90, 90, 20)
    assert np.abs(side[::-1, ::-1] - side).max() > 0.1 * side.max()
    assert share_of_fold(side, 2) < 0.999


@pytest.mark.parametrize(("angles", "fold"), [((0, 0), 4), ((0, 90), 4), ((45, math.degrees(math.acos(3**-0.5))), 3),
                                              ((0, 45), 2)])  # fmt: skip
def test_apoferritin_has_the_axes_of_a_cube(angles: tuple[float, float], fold: int) -> None:
    along = projected("apoferritin", *angles, 11)
    assert share_of_fold(along, fold) > 0.999
    assert share_of_fold(along, 5) < 0.3
    assert share_of_fold(along, fold + 1) < 0.5
    again = projected("apoferritin", *angles, 11 + 360 / fold)
    assert np.allclose(again, along, atol=1e-9 * along.max())


@pytest.mark.parametrize(
    ("name", "axis", "degrees"),
    [("t20s", (0, 0, 1), 360 / 7), ("t20s", (1, 0, 0), 180), ("apoferritin", (0, 0, 1), 90),
     ("apoferritin", (1, 1, 1), 120), ("apoferritin", (0, 1, 1), 180)],
)  # fmt: skip
def test_the_pseudo_atoms_have_the_symmetry(name: str, axis: tuple[float, float, float], degrees: float) -> None:
    assert misfit(species.SPECIES[name](), axis, degrees) < 1e-9


@pytest.mark.parametrize(
    ("name", "axis", "degrees"),
    [("t20s", (0, 0, 1), 60), ("t20s", (0, 0, 1), 180), ("t20s", (0, 1, 0), 180), ("apoferritin", (0, 0, 1), 45),
     ("apoferritin", (1, 1, 1), 60), ("apoferritin", (0.80, 0.52, 0.30), 180)],
)  # fmt: skip
def test_they_have_no_other(name: str, axis: tuple[float, float, float], degrees: float) -> None:
    assert misfit(species.SPECIES[name](), axis, degrees) > 0.5


@pytest.mark.parametrize("name", sorted(species.SPECIES))
def test_no_particle_is_its_own_mirror_image(name: str) -> None:
    points = species.SPECIES[name]()
    distances, _ = cKDTree(points).query(points * [1, 1, -1])
    assert distances.mean() > 0.5


def test_the_t20s_is_as_large_and_heavy_as_the_real_one() -> None:
    points = species.t20s()
    assert points.shape == (14 * 233 + 14 * 203, 3)
    assert 2 * np.hypot(points[:, 0], points[:, 1]).max() == pytest.approx(113, abs=1)
    assert np.ptp(points[:, 2]) == pytest.approx(148, abs=1)
    assert len(points) * 110.3 == pytest.approx(673e3, rel=0.01)  # Löwe et al. (1995): 673 kDa


def test_the_t20s_has_three_chambers_and_narrow_gates() -> None:
    points = species.t20s()
    radius, height = np.hypot(points[:, 0], points[:, 1]), np.abs(points[:, 2])
    narrowest = [
        radius[(height >= low) & (height < high)].min() for low, high in ((0, 14), (23, 32), (42, 52), (60, 66))
    ]
    assert narrowest[0] > 24
    assert 11 <= narrowest[1] < 16
    assert narrowest[2] > 19
    assert 6 < narrowest[3] < 12


def test_apoferritin_is_a_shell() -> None:
    radius = np.linalg.norm(species.apoferritin(), axis=1)
    assert len(radius) == 24 * 174
    assert (radius > 39).all()
    assert (radius < 61).all()


@pytest.mark.parametrize("name", sorted(species.SPECIES))
def test_the_radius_holds_all_pseudo_atoms_and_no_more(name: str) -> None:
    largest = np.linalg.norm(species.SPECIES[name](), axis=1).max()
    assert 0 <= species.radius_angstrom(name) - largest <= 0.1


@pytest.mark.parametrize(("name", "sizes"), [("t20s", [233, 203]), ("apoferritin", [174])])
def test_no_two_pseudo_atoms_of_a_subunit_are_nearer_than_neighbours_in_a_chain(name: str, sizes: list[int]) -> None:
    points = species.SPECIES[name]()
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        distances, _ = cKDTree(points[start : start + size]).query(points[start : start + size], k=2)
        assert distances[:, 1].min() >= 3.8


@pytest.mark.parametrize(("group", "order"), [(species.dihedral(7), 14), (species.octahedral(), 24)])
def test_the_groups_are_groups_of_rotations(group: np.ndarray, order: int) -> None:
    assert group.shape == (order, 3, 3)
    assert np.allclose(np.linalg.det(group), 1)
    products = np.einsum("aij,bjk->abik", group, group).reshape(-1, 1, 9)
    assert (np.abs(products - group.reshape(1, order, 9)).max(axis=2) < 1e-12).any(axis=1).all()
    assert len(np.unique(group.round(9).reshape(order, 9), axis=0)) == order
