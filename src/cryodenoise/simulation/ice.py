"""The ice: its thickness, what it takes from the beam, its grain, crystals on it and the carbon film beside it."""

import math

import numpy as np

from cryodenoise.simulation.optics import speed_squared
from cryodenoise.simulation.projection import WATER_VOLUME_A3, water_v_a3

MEAN_FREE_PATH_NM = 300.0
"""Thickness of ice that leaves 1/e of the electrons in the image at 300 kV, the others being scattered outside the
aperture: Leginon's value where none was measured. Rice et al., J. Struct. Biol. 204, 38 (2018), tell how it is."""
_DISPLACEMENT_A2_PER_DOSE = 1.1
"""Mean square displacement of a water molecule for each e⁻/Å²: McMullan, Vinothkumar & Henderson, Ultramicroscopy 158,
26 (2015)."""
CARBON_TRANSMISSION = 0.9
"""Share of the electrons that a carbon film of some 20 nm leaves."""
CARBON_GRAIN = 7.0
"""Power of the carbon's grain over that of 30 nm of ice."""
_REFERENCE_NM = 30.0
_HOLE_RADIUS_ANGSTROM = 6000.0  # of the usual holey films
_EDGE_ANGSTROM = 25.0
_CRYSTAL_RADIUS_ANGSTROM = (60.0, 250.0)
CRYSTAL_AREA_A2 = 58_000.0
"""Area that a crystal covers in the mean."""


def thickness_nm(
    mean_nm: float, gradient: float, angle_rad: float, y: np.ndarray, x: np.ndarray
) -> np.ndarray:  # fmt: skip
    """A wedge: the thickness at places within the micrograph.

    Args:
        mean_nm: Thickness in the middle.
        gradient: Change from one side to the other, of the mean.
        angle_rad: Direction in which it grows, from x to y.
        y: Vertical places in heights of the micrograph, 0 in the middle; broadcasts against the other.
        x: Horizontal places in its widths.
    """
    return np.asarray(mean_nm * np.maximum(1 + gradient * (math.cos(angle_rad) * x + math.sin(angle_rad) * y), 0))


def transmission(thickness: np.ndarray, voltage_kv: float) -> np.ndarray:
    """Share of the electrons that ice of a thickness in nm leaves in the image (Beer and Lambert).

    Cross sections, and with them the mean free path, go with the square of the electrons' speed.
    """
    return np.asarray(np.exp(-thickness / MEAN_FREE_PATH_NM * speed_squared(300.0) / speed_squared(voltage_kv)))


def grain_amplitude(
    interaction: float, structure_factor: float, dose_e_per_a2: float, square: np.ndarray
) -> np.ndarray:
    """Square root of the power spectrum of the phase that the density fluctuations of 30 nm of ice give, in rad·Å.

    Molecules at random places would give n · (σ ∫V)² at all frequencies, n being their number per area; those of a
    liquid fluctuate less at low frequencies, by the structure factor. As the beam moves them (McMullan et al., cited
    above), only 2 (exp(−u) − 1 + u) / u², u = 2 π² q² · MSD, is left of the power in a sum over the exposure, MSD being
    the mean square displacement along one axis in all of it.

    Args:
        interaction: σ in rad / (V·Å).
        structure_factor: That of the density fluctuations.
        dose_e_per_a2: Of the whole exposure.
        square: q² in 1/Å².
    """
    molecules_per_a2 = _REFERENCE_NM * 10 / WATER_VOLUME_A3
    power = structure_factor * molecules_per_a2 * (interaction * water_v_a3()) ** 2
    u = 2 * math.pi**2 * _DISPLACEMENT_A2_PER_DOSE / 3 * dose_e_per_a2 * square
    series = u < 1e-3  # where the difference would lose its digits
    safe = np.where(series, 1.0, u)
    left = np.where(series, 1 - u / 3, 2 * (np.exp(-safe) - 1 + safe) / safe**2)
    return np.asarray(np.sqrt(power * left))


def grain_strength(thickness: np.ndarray, carbon: np.ndarray | None) -> np.ndarray:
    """Amplitude of the grain at each place over that of 30 nm of ice: powers of independent layers add up.

    Args:
        thickness: Of the ice, in nm.
        carbon: Share of carbon at each place, 0 to 1; None for none.
    """
    power = thickness / _REFERENCE_NM
    return np.sqrt(power if carbon is None else power + CARBON_GRAIN * carbon)


def carbon_film(
    fraction: float, angle_rad: float, pixel_size_angstrom: float, y: np.ndarray, x: np.ndarray, side_px: float
) -> np.ndarray:  # fmt: skip
    """Where the film is that the hole of the micrograph ends at, as a share from 0 to 1 with a soft edge.

    Args:
        fraction: How far the film reaches in, of the side; the hole's edge is a circle of 1.2 µm across.
        angle_rad: Side from which it does, from x to y.
        pixel_size_angstrom: Pixel size.
        y: Vertical places in pixels, 0 in the middle; of a shape that broadcasts against the other's.
        x: Horizontal places.
        side_px: Shorter side of the micrograph.
    """
    radius = _HOLE_RADIUS_ANGSTROM / pixel_size_angstrom
    away = radius - (0.5 - fraction) * side_px  # of the hole's centre from the micrograph's, opposite to the film
    distance = np.hypot(y + away * math.sin(angle_rad), x + away * math.cos(angle_rad))
    inside = (radius - distance) * pixel_size_angstrom / _EDGE_ANGSTROM * 4
    return np.asarray(1 / (1 + np.exp(np.minimum(inside, 700))))  # exp(710) is too large for a float64


def add_crystals(
    rng: np.random.Generator, count: int, pixel_size_angstrom: float, potential: np.ndarray
) -> None:  # fmt: skip
    """Add the projected potential of ice crystals at random places: flat drops, as thick as half their width.

    Args:
        rng: The source of the draws.
        count: How many, on the whole canvas.
        pixel_size_angstrom: Pixel size.
        potential: The canvas in V·Å, float64 of shape (h, w), added to in place.
    """
    mean_inner_v = water_v_a3() / WATER_VOLUME_A3
    height, width = potential.shape
    for draws in rng.random((count, 4)):
        low, high = _CRYSTAL_RADIUS_ANGSTROM
        radius = low + (high - low) * draws[2] ** 2  # small ones are more frequent
        centre_y, centre_x = draws[0] * height, draws[1] * width
        reach = math.ceil(2 * radius / pixel_size_angstrom)  # exp(-16) is left there
        top, left = max(int(centre_y) - reach, 0), max(int(centre_x) - reach, 0)
        window = potential[top : int(centre_y) + reach + 1, left : int(centre_x) + reach + 1]
        y, x = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        away = np.hypot(y - centre_y, (x - centre_x) * (1 + 0.3 * draws[3])) * pixel_size_angstrom / radius
        window += mean_inner_v * radius * np.exp(-(away**4))
