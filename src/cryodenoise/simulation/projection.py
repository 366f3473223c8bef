"""The projected potential of particles: pseudo-atoms, spread over pixels by a spline that is undone in Fourier space.

A sum of points is turned into pixels by a cubic B-spline; dividing its spectrum by the spline's leaves the points' own,
but for aliases, which the width of the pseudo-atoms suppresses (Essmann et al., J. Chem. Phys. 103, 8577 (1995), does
so for charges).
"""

import math

import numpy as np
from numba import njit

from cryodenoise.signal.compiled import KEEP
from cryodenoise.simulation.species import RESIDUE_VOLUME_A3

VOLTS_PER_SCATTERING = 47.878
"""h² / (2π m e) in V·Å²: turns a forward scattering amplitude in Å into a volume integral of the potential."""
_SCATTERING_ANGSTROM = {"C": 2.509, "N": 2.211, "O": 1.983, "H": 0.529, "S": 5.161}
"""Electron scattering amplitudes at angle 0: Doyle & Turner, Acta Cryst. A24, 390 (1968), as in table 4.3.1.1 of the
International Tables for Crystallography C, which adds hydrogen's."""
_RESIDUE = {"C": 4.94, "N": 1.36, "O": 1.48, "H": 7.76, "S": 0.04}
"""Atoms of an average residue: the averagine of Senko, Beu & McLafferty, J. Am. Soc. Mass Spectrom. 6, 229 (1995)."""
WATER_VOLUME_A3 = 32.2
"""Volume of a molecule in vitreous ice of 0.93 g/cm³."""
SHARPEST_ANGSTROM = 2.0
SHARPEST_PX = 0.8
"""Standard deviation of a pseudo-atom: that of a residue's size, but no less than aliases are suppressed by."""


def water_v_a3() -> float:
    """Volume integral of the potential of a water molecule, in V·Å³."""
    return VOLTS_PER_SCATTERING * (_SCATTERING_ANGSTROM["O"] + 2 * _SCATTERING_ANGSTROM["H"])


def residue_v_a3() -> float:
    """Volume integral of the potential of a residue, less that of the ice in its place, in V·Å³."""
    alone = VOLTS_PER_SCATTERING * sum(_SCATTERING_ANGSTROM[atom] * count for atom, count in _RESIDUE.items())
    return alone - water_v_a3() * RESIDUE_VOLUME_A3 / WATER_VOLUME_A3


def width_px(pixel_size_angstrom: float) -> float:
    """Standard deviation of a pseudo-atom, in pixels."""
    return max(SHARPEST_ANGSTROM / pixel_size_angstrom, SHARPEST_PX)


@njit(cache=KEEP, nogil=True)
def add_points(canvas: np.ndarray, points: np.ndarray, weight: float) -> None:
    """Add points of a weight to a periodic canvas, each spread by a cubic B-spline over 4 × 4 pixels.

    Args:
        canvas: float64 of shape (h, w), added to in place.
        points: (y, x) in pixels, 0 at the centre of the first, float64 of shape (n, 2).
        weight: What the pixels of one point sum up to.
    """
    height, width = canvas.shape
    across = np.empty(4)
    down = np.empty(4)
    for number in range(len(points)):
        y, x = points[number, 0], points[number, 1]
        top, left = math.floor(y), math.floor(x)
        _spline(y - top, down)
        _spline(x - left, across)
        for i in range(4):
            row = (int(top) - 1 + i) % height
            for j in range(4):
                canvas[row, (int(left) - 1 + j) % width] += weight * down[i] * across[j]


@njit(cache=KEEP, nogil=True)
def _spline(fraction: float, weights: np.ndarray) -> None:
    """The cubic B-spline at the four pixels about a point; they sum up to 1."""
    rest = 1 - fraction
    weights[0] = rest**3 / 6
    weights[1] = 2 / 3 - fraction**2 * (1 + rest) / 2
    weights[2] = 2 / 3 - rest**2 * (1 + fraction) / 2
    weights[3] = fraction**3 / 6


def form_factor(pixel_size_angstrom: float, fy: np.ndarray, fx: np.ndarray) -> np.ndarray:
    """What turns the spectrum of spread points into that of pseudo-atoms: a Gaussian over the spline's spectrum.

    Args:
        pixel_size_angstrom: Sets the width of the Gaussian in pixels.
        fy: Vertical frequency in cycles per pixel, at most 0.5, of a shape that broadcasts against the other's.
        fx: Horizontal frequency.
    """
    exponent = -2 * (math.pi * width_px(pixel_size_angstrom)) ** 2
    return np.asarray(_along(exponent, fy) * _along(exponent, fx))


def _along(exponent: float, frequency: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(exponent * frequency * frequency) / np.sinc(frequency) ** 4)
