"""The microscope in the weak-phase approximation: how a projected potential becomes contrast.

Phases as in Rohou & Grigorieff, J. Struct. Biol. 192, 216 (2015): underfocus is positive. Their CTF is −sin of the
phase, the one here is +sin, so the contrast of a weak phase φ is −2 · CTF · φ in Fourier space, and protein in
underfocus is dark. Lengths in Å, frequencies in 1/Å.
"""

import math
from typing import NamedTuple

import numpy as np

from cryodenoise.config.simulation import OpticsParameters

_PLANCK_J_S = 6.62607015e-34
_ELECTRON_KG = 9.1093837015e-31
_CHARGE_C = 1.602176634e-19
_LIGHT_M_PER_S = 299792458.0
_ANGSTROM_PER_M = 1e10


class Focus(NamedTuple):
    """The focus of one micrograph.

    Attributes:
        u_angstrom: Underfocus along the axis of the larger one.
        v_angstrom: Underfocus across it.
        angle_rad: Angle of that axis to the rows, from x to y.
    """

    u_angstrom: float
    v_angstrom: float
    angle_rad: float


def wavelength_angstrom(voltage_kv: float) -> float:
    """Relativistic wavelength of electrons, in Å: Reimer & Kohl, Transmission Electron Microscopy (2008), eq. 2.5."""
    energy_j = _CHARGE_C * voltage_kv * 1e3
    momentum = math.sqrt(2 * _ELECTRON_KG * energy_j * (1 + energy_j / (2 * _ELECTRON_KG * _LIGHT_M_PER_S**2)))
    return _PLANCK_J_S / momentum * _ANGSTROM_PER_M


def speed_squared(voltage_kv: float) -> float:
    """Square of the electrons' speed over that of light."""
    return 1 - 1 / (1 + _CHARGE_C * voltage_kv * 1e3 / (_ELECTRON_KG * _LIGHT_M_PER_S**2)) ** 2


def interaction(voltage_kv: float) -> float:
    """Phase that a projected potential of 1 V·Å gives, in rad: σ of Kirkland, Advanced Computing (2010), eq. 5.6."""
    energy_j, rest_j = _CHARGE_C * voltage_kv * 1e3, _ELECTRON_KG * _LIGHT_M_PER_S**2
    relativistic = (rest_j + energy_j) / (2 * rest_j + energy_j)
    return 2 * math.pi / (wavelength_angstrom(voltage_kv) * voltage_kv * 1e3) * relativistic


def transfer(optics: OpticsParameters, focus: Focus, qy: np.ndarray, qx: np.ndarray) -> np.ndarray:
    """The contrast transfer function: sin(χ + arcsin A), with χ = π λ Δf q² − π/2 Cs λ³ q⁴.

    Args:
        optics: Voltage, spherical aberration and amplitude contrast A.
        focus: Underfocus and astigmatism, which make Δf depend on the direction.
        qy: Vertical frequency in 1/Å, of a shape that broadcasts against the other's.
        qx: Horizontal frequency.

    Returns:
        float64 in [−1, 1], of the common shape. It is A at q = 0.
    """
    wavelength, cs_angstrom = wavelength_angstrom(optics.voltage_kv), optics.cs_mm * 1e7
    mean, half = (focus.u_angstrom + focus.v_angstrom) / 2, (focus.u_angstrom - focus.v_angstrom) / 2
    # Δf q² is a quadratic form of (x, y): no angle of a frequency is needed.
    along, skew = half * math.cos(2 * focus.angle_rad), half * math.sin(2 * focus.angle_rad)
    square = qx * qx + qy * qy
    defocus_term = (mean + along) * (qx * qx) + (mean - along) * (qy * qy) + 2 * skew * (qx * qy)
    phase = math.pi * wavelength * (defocus_term - cs_angstrom * wavelength**2 / 2 * square * square)
    return np.asarray(np.sin(phase + math.asin(optics.amplitude_contrast)))


def zeros(optics: OpticsParameters, defocus_angstrom: float, highest: float) -> np.ndarray:
    """Frequencies above 0 and up to `highest`, in 1/Å, at which the transfer function without astigmatism vanishes."""
    frequency = np.linspace(0, highest, 1 << 16)[1:]
    values = transfer(optics, Focus(defocus_angstrom, defocus_angstrom, 0.0), np.zeros(1), frequency)
    before = np.flatnonzero(np.diff(np.sign(values)) != 0)
    slope = values[before + 1] - values[before]
    return np.asarray(frequency[before] - values[before] / slope * frequency[0])


def envelope(b_factor_a2: float, square: np.ndarray) -> np.ndarray:
    """exp(−B q² / 4): what partial coherence, and all else that blurs, leaves of an amplitude at q² = `square`."""
    return np.asarray(np.exp(-b_factor_a2 / 4 * square))


def delocalisation_angstrom(optics: OpticsParameters, defocus_angstrom: float, frequency: float) -> float:
    """How far from its place detail up to a frequency is imaged: max |λ Δf q − Cs λ³ q³| over q ≤ `frequency`.

    That is the derivative of χ over 2π: Zandbergen & Van Dyck, Microsc. Res. Tech. 49, 301 (2000).
    """
    wavelength = wavelength_angstrom(optics.voltage_kv)
    linear, cubic = wavelength * defocus_angstrom, optics.cs_mm * 1e7 * wavelength**3
    turning = math.sqrt(linear / (3 * cubic)) if cubic else math.inf
    candidates = [frequency, *([turning] if turning < frequency else [])]
    return max(abs(linear * q - cubic * q**3) for q in candidates)
