"""The zeros of the power spectrum of pure ice lie at the zeros of the contrast transfer function."""

import math

import numpy as np
import pytest

from cryodenoise.simulation.exposure import expose
from cryodenoise.simulation.scene import draw_scene
from simulated import ice_alone

SIDE, PIXEL = 512, 1.5
WAVELENGTH, CS, AMPLITUDE = 0.0196875, 2.7e7, 0.1


def zeros(defocus_angstrom: float) -> np.ndarray:
    """Where sin(π λ Δf q² − π/2 Cs λ³ q⁴ + arcsin A) vanishes before it turns, in Fourier bins of the micrograph."""
    order = np.arange(1, 60)
    half = CS * WAVELENGTH**2 / 2
    needed = (order * math.pi - math.asin(AMPLITUDE)) / (math.pi * WAVELENGTH)  # Δf q² − half q⁴ is this
    inside = defocus_angstrom**2 - 4 * half * needed
    square = (defocus_angstrom - np.sqrt(inside[inside > 0])) / (2 * half)
    found: np.ndarray = np.sqrt(square) * SIDE * PIXEL
    return found


def powers(defocus_um: float, astigmatism_nm: float, exposures: int) -> list[tuple[np.ndarray, float]]:
    """The power spectrum of each truth, windowed, and the direction of its larger defocus."""
    focus = {"defocus_um": (defocus_um, defocus_um), "astigmatism_nm": (astigmatism_nm, astigmatism_nm)}
    wanted = ice_alone(SIDE, PIXEL, optics={**focus, "b_factor_a2": 0.0}, ice={"structure_factor": 1.0})
    window = np.hanning(SIDE)
    found = []
    for index in range(exposures):
        truth = expose(wanted, index).truth.astype(np.float64)
        spectrum = np.fft.fftshift(np.fft.fft2((truth - truth.mean()) * np.outer(window, window)))
        found.append((np.abs(spectrum) ** 2, draw_scene(wanted, index).focus.angle_rad))
    return found


def radial(spectra: list[tuple[np.ndarray, float]], towards: float | None = None, within: float = 0.15) -> np.ndarray:
    """Mean power in each Fourier bin; of a sector about a direction from that of the larger defocus, if given."""
    y, x = np.mgrid[-SIDE // 2 : SIDE // 2, -SIDE // 2 : SIDE // 2]
    bins = np.rint(np.hypot(y, x)).astype(int).ravel()
    total, count = np.zeros(bins.max() + 1), np.zeros(bins.max() + 1)
    for power, angle in spectra:
        chosen = np.ones(bins.size, bool)
        if towards is not None:
            turn = np.arctan2(y, x).ravel() - angle - towards
            chosen = np.abs(np.remainder(turn + np.pi / 2, np.pi) - np.pi / 2) < within
        total += np.bincount(bins[chosen], power.ravel()[chosen], bins.max() + 1)
        count += np.bincount(bins[chosen], minlength=bins.max() + 1)
    mean: np.ndarray = total / np.maximum(count, 1)
    return mean


def lowest_near(profile: np.ndarray, expected: np.ndarray, rings: int) -> list[int]:
    """The bin of the least power within half a ring of each zero."""
    found = []
    for number in range(rings):
        reach = (expected[number + 1] - expected[number]) / 2
        low, high = math.ceil(expected[number] - reach), math.floor(expected[number] + reach)
        found.append(low + int(np.argmin(profile[low : high + 1])))
    return found


def test_thon_rings_vanish_where_the_transfer_does() -> None:
    expected = zeros(15000)
    profile = radial(powers(1.5, 0.0, 2))
    rings = 12
    assert expected[rings] - expected[rings - 1] > 4  # so that a bin tells one ring from the next
    found = lowest_near(profile, expected, rings)
    assert np.abs(found - expected[:rings]).max() <= 1
    between = np.rint((expected[: rings - 1] + expected[1:rings]) / 2).astype(int)
    assert (profile[between] > 5 * profile[found[:-1]]).all()


@pytest.mark.parametrize(("towards", "defocus"), [(0.0, 17000), (np.pi / 2, 13000)])
def test_with_astigmatism_each_axis_has_the_zeros_of_its_own_defocus(towards: float, defocus: float) -> None:
    spectra = powers(1.5, 400.0, 4)
    expected, rings = zeros(defocus), 6
    found = lowest_near(radial(spectra, towards), expected, rings)
    assert np.abs(found - expected[:rings]).max() <= 1
    other = zeros(30000 - defocus)[:rings]
    assert np.abs(other - expected[:rings]).min() > 2  # the two axes can be told apart
