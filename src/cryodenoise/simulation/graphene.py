"""Images of graphene with defects, clean and as few electrons show them, by the recipe of em_graphene_sim.

Its clean images were simulated from atoms of molecular dynamics with MULTEM; for the noise of fast imaging they were
scaled by a beam profile that varies across the image, then came Poisson noise, then random dead pixels
(dev/mkdocs/docs/datasets/em_graphene_sim.md of github.com/stfc-sciml/sciml-bench). The noise here is that. The clean
images are simpler: a flat honeycomb with thermal displacements and unrelaxed defects, each atom a Gaussian convolved
with a Gaussian probe, the intensities added up; no multislice calculation, no lens aberrations, no depth, no
interference.
"""

from dataclasses import dataclass
from math import ceil, hypot, sqrt
from typing import Literal

import numpy as np

from cryodenoise import seeds
from cryodenoise.config.graphene import GrapheneSimulation

LATTICE_ANGSTROM = 2.46
"""Lattice constant of graphene; neighbouring atoms are LATTICE_ANGSTROM / √3 = 1.42 Å apart."""
_FIRST = np.array([1.0, 0.0]) * LATTICE_ANGSTROM
_SECOND = np.array([0.5, sqrt(3) / 2]) * LATTICE_ANGSTROM
_BOND = (_FIRST + _SECOND) / 3
"""From the atom of a cell's first sublattice to that of its second."""
_NEIGHBOURS = ((0, 0), (-1, 0), (0, -1))
"""In which cells, counted from an atom of the first sublattice, its three neighbours of the second lie."""
_MARGIN_ANGSTROM = 5.0
"""How far atoms reach beyond the image: their images and moved defects do."""
_REACH_SIGMAS = 5.0
_TURNS = 2 * np.pi / 6  # the lattice repeats every 60°

Part = Literal["train", "test"]


@dataclass(frozen=True)
class Flake:
    """The atoms of one image.

    Attributes:
        atoms: Their places (y, x) in pixels, shape (n, 2), float64; the centre of the first pixel is (0, 0).
        pixel_size_angstrom: Pixel size.
        vacancies: Missing atoms, in and around the image.
        rotated_bonds: Bonds turned by 90°.
    """

    atoms: np.ndarray
    pixel_size_angstrom: float
    vacancies: int
    rotated_bonds: int


def pair(section: GrapheneSimulation, part: Part, index: int) -> tuple[np.ndarray, np.ndarray]:
    """The noisy and the clean image of one number: a function of the parameters, the part and the number alone.

    Returns:
        Two float32 images of shape (side, side): counted electrons over those at 1, and intensities in [0, 1].
    """
    clean = rendered(section, flake(section, part, index))
    return noisy(section, clean, seeds.generator(section.seed, "graphene", part, index, "electrons")), clean


def flake(section: GrapheneSimulation, part: Part, index: int) -> Flake:
    """The atoms of one image: a honeycomb of random orientation and place, with defects."""
    rng = seeds.generator(section.seed, "graphene", part, index, "atoms")
    pixel_size = rng.uniform(*section.pixel_size_angstrom)
    angle, shift = rng.uniform(0, _TURNS), rng.uniform(size=2)
    reach = section.side_px * pixel_size / sqrt(2) + _MARGIN_ANGSTROM
    cells = ceil(reach / (LATTICE_ANGSTROM * sqrt(3) / 2)) + 1
    at = np.stack(np.meshgrid(*[np.arange(-cells, cells + 1)] * 2, indexing="ij"), axis=-1) + shift
    corners = at[..., :1] * _FIRST + at[..., 1:] * _SECOND
    places = np.stack([corners, corners + _BOND], axis=2)  # by cell (i, j) and sublattice
    area_nm2 = (2 * reach / 10) ** 2
    there, rotated = _with_defects(section, places, area_nm2, reach, rng)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    atoms = places[there] @ turned.T
    atoms += rng.normal(0, section.displacement_angstrom, atoms.shape)
    inside = np.abs(atoms).max(axis=1) < section.side_px * pixel_size / 2 + _MARGIN_ANGSTROM
    centre = (section.side_px - 1) / 2
    return Flake(atoms[inside] / pixel_size + centre, pixel_size, int((~there).sum()), rotated)


def _with_defects(
    section: GrapheneSimulation, places: np.ndarray, area_nm2: float, reach: float, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Move the atoms of turned bonds in `places`; which atoms are left, and how many bonds were turned.

    A defect that would touch an atom of another is left out.
    """
    there, touched = np.ones(places.shape[:3], bool), np.zeros(places.shape[:3], bool)
    square = np.argwhere(np.abs(places[:, :, 0]).max(axis=-1) < reach)  # cells whose neighbours are all in the array
    square = square[(square.min(axis=1) > 0) & (square.max(axis=1) < len(places) - 1)]
    kinds = {
        "vacancy": section.vacancies_per_nm2,
        "divacancy": section.divacancies_per_nm2,
        "rotated": section.rotated_bonds_per_nm2,
    }
    rotated = 0
    for kind, density in kinds.items():
        for _ in range(rng.poisson(density * area_nm2)):
            i, j = square[rng.integers(len(square))]
            di, dj = _NEIGHBOURS[rng.integers(len(_NEIGHBOURS))]
            first, second = (i, j, 0), (i + di, j + dj, 1)
            sublattice = rng.integers(2)
            atoms = [(first, second)[sublattice]] if kind == "vacancy" else [first, second]
            if any(touched[atom] for atom in atoms):
                continue
            for atom in atoms:
                touched[atom] = True
                there[atom] = kind == "rotated"
            if kind == "rotated":
                middle, half = (places[first] + places[second]) / 2, (places[second] - places[first]) / 2
                across = np.array([-half[1], half[0]])
                places[first], places[second] = middle - across, middle + across
                rotated += 1
    return there, rotated


def rendered(section: GrapheneSimulation, atoms: Flake) -> np.ndarray:
    """The clean image: a Gaussian an atom, convolved with the probe, added up, the brightest pixel 1.

    Returns:
        float32, shape (side, side), in [0, 1].
    """
    side = section.side_px
    sigma = hypot(section.atom_sigma_angstrom, section.probe_sigma_angstrom) / atoms.pixel_size_angstrom
    reach = ceil(_REACH_SIGMAS * sigma)
    image = np.zeros((side + 2 * reach, side + 2 * reach))
    around = np.arange(-reach, reach + 1)
    for y, x in atoms.atoms:
        row, column = round(y), round(x)
        if not (-reach <= row < side + reach and -reach <= column < side + reach):
            continue
        rows = np.exp(-0.5 * ((around + row - y) / sigma) ** 2)
        columns = np.exp(-0.5 * ((around + column - x) / sigma) ** 2)
        # The array reaches `reach` pixels beyond the image, so the window begins at (row, column) of it.
        above, before = max(-row, 0), max(-column, 0)
        below, after = min(len(image) - row, len(around)), min(len(image) - column, len(around))
        window = np.outer(rows[above:below], columns[before:after])
        image[row + above : row + below, column + before : column + after] += window
    whole = image[reach : reach + side, reach : reach + side]
    brightest = whole.max()
    return (whole / brightest if brightest > 0 else whole).astype(np.float32)


def profile(section: GrapheneSimulation, rng: np.random.Generator) -> np.ndarray:
    """The beam across an image: a Gaussian about a centre in the middle half, 1 where it is strongest.

    Returns:
        float64, shape (side, side), in (0, 1].
    """
    side = section.side_px
    sigma = rng.uniform(*section.beam_sigma) * side
    y, x = rng.uniform(0.25, 0.75, 2) * side
    along = np.arange(side)
    rows, columns = (np.exp(-0.5 * ((along - centre) / sigma) ** 2) for centre in (y, x))
    beam: np.ndarray = np.outer(rows, columns)
    return beam


def noisy(section: GrapheneSimulation, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson(n · profile · clean) / n with dead pixels at 0, n being `electrons_at_one`.

    Args:
        section: The parameters.
        clean: Intensities in [0, 1], float32 of shape (side, side).
        rng: Draws profile, electrons and dead pixels, in this order.

    Returns:
        float32, shape (side, side).
    """
    beam = profile(section, rng)
    counts: np.ndarray = rng.poisson(section.electrons_at_one * beam * clean)
    counts[rng.random(counts.shape) < section.dead_fraction] = 0
    return np.asarray(counts / section.electrons_at_one, dtype=np.float32)
