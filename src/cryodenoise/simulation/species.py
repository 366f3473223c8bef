"""The particles as pseudo-atoms: one a residue, placed within the known outline of a subunit, copied by the symmetry.

No coordinates of a structure are used: shape, symmetry and mass are a real particle's, the detail within a subunit is
drawn once and for all.
"""

import itertools
import math
from collections.abc import Callable
from functools import cache

import numpy as np

from cryodenoise import seeds

RESIDUE_VOLUME_A3 = 134.0
"""Volume of an average residue: 111 Da at 1.21 Å³/Da (Harpaz, Gerstein & Chothia, Structure 2, 641 (1994))."""
_NEAREST_ANGSTROM = 3.8
"""Distance between neighbouring Cα atoms; no two pseudo-atoms of a subunit are nearer."""
_MOST_TRIES = 200_000


@cache
def t20s() -> np.ndarray:
    """A T20S-like proteasome: D7, 7 α, 7 β, 7 β and 7 α subunits in four rings, 113 Å wide and 148 Å long.

    Outline after Löwe et al., Science 268, 533 (1995): three cavities on the axis, joined by narrow gates. 233 residues
    an α subunit, 203 a β.

    Returns:
        Coordinates of the pseudo-atoms in Å, (x, y, z) with the seven-fold axis along z and a two-fold one along x,
        shape (6104, 3).
    """
    rng = seeds.generator(0, "specimen", "t20s")
    alpha = _drawn(rng, 233, 56.5, 74.0, lambda points: _in_barrel(points, 37.0, 74.0, turn=0.35))
    beta = _drawn(rng, 203, 56.5, 74.0, lambda points: _in_barrel(points, 1.0, 36.0, turn=0.10))
    return _copies(np.concatenate([alpha, beta]), dihedral(7))


def _in_barrel(points: np.ndarray, low: float, high: float, turn: float) -> np.ndarray:
    """Whether points lie in the subunit of a ring from z = low to high, about the angle `turn`."""
    x, y, z = points.T
    radius = np.hypot(x, y)
    across = np.remainder(np.arctan2(y, x) - turn + math.pi, 2 * math.pi) - math.pi
    along = 2 * (z - low) / (high - low) - 1
    outer = 56.5 - 7.0 * (across / (math.pi / 7)) ** 2 - 4.5 * along**4  # each subunit bulges
    inner = np.interp(z, [0, 14, 22, 33, 42, 52, 62, 74], [26, 25, 11, 11, 22, 20, 6.5, 9])
    clear = math.pi / 7 - 1.0 / np.maximum(radius, 1.0)  # a cleft of 2 Å to the neighbours
    return np.asarray((np.abs(across) < clear) & (radius < outer) & (radius > inner) & (np.abs(along) < 1))


@cache
def apoferritin() -> np.ndarray:
    """An apoferritin-like shell: octahedral, 24 subunits of 174 residues, 122 Å outside and 78 Å inside.

    Size after Lawson et al., Nature 349, 541 (1991), whose H chain has 183 residues; the L chain has 174.

    Returns:
        Coordinates of the pseudo-atoms in Å, (x, y, z) with four-fold axes along all three, shape (4176, 3).
    """
    group = octahedral()
    centre = np.array([0.80, 0.52, 0.30])  # of a subunit, off all axes
    centres = np.einsum("nij,j->ni", group, centre)

    def inside(points: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(points, axis=1)
        nearest = np.argmax(points @ centres.T, axis=1)
        return np.asarray((radius > 39) & (radius < 61) & (nearest == 0))

    return _copies(_drawn(seeds.generator(0, "specimen", "apoferritin"), 174, 61.0, 61.0, inside), group)


SPECIES: dict[str, Callable[[], np.ndarray]] = {"t20s": t20s, "apoferritin": apoferritin}
"""Particles by name: functions that give pseudo-atoms, in Å about the centre."""


@cache
def radius_angstrom(name: str) -> float:
    """Radius of the smallest sphere about the centre that holds all pseudo-atoms of a species, rounded up to 0.1 Å."""
    return math.ceil(10 * float(np.linalg.norm(SPECIES[name](), axis=1).max())) / 10


def dihedral(fold: int) -> np.ndarray:
    """The rotations of Dn, n-fold about z and two-fold about x, shape (2n, 3, 3)."""
    turns = []
    for number, side in itertools.product(range(fold), (1, -1)):
        cos, sin = math.cos(2 * math.pi * number / fold), math.sin(2 * math.pi * number / fold)
        turns.append([[cos, -sin * side, 0], [sin, cos * side, 0], [0, 0, side]])
    return np.array(turns)


def octahedral() -> np.ndarray:
    """The 24 rotations of the cube, shape (24, 3, 3): all signed permutations of the axes that keep the handedness."""
    found = []
    for order, signs in itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)):
        matrix = np.zeros((3, 3))
        matrix[range(3), order] = signs
        if np.linalg.det(matrix) > 0:
            found.append(matrix)
    found.sort(key=lambda matrix: -float(np.trace(matrix)))  # the identity first
    return np.array(found)


def _copies(subunits: np.ndarray, group: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("nij,kj->nki", group, subunits).reshape(-1, 3))


def _drawn(
    rng: np.random.Generator, count: int, reach: float, height: float, inside: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """So many points within an outline, no two too near, drawn one after the other from the box about it."""
    box = np.array([reach, reach, height])
    candidates = rng.uniform(-box, box, (_MOST_TRIES, 3))
    chosen = np.empty((count, 3))
    found = 0
    for point in candidates[inside(candidates)]:
        if found == 0 or np.square(chosen[:found] - point).sum(axis=1).min() >= _NEAREST_ANGSTROM**2:
            chosen[found] = point
            found += 1
            if found == count:
                return chosen
    raise AssertionError(f"{found} of {count} residues fit into the outline")
