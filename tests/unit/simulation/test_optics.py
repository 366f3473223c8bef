import math

import numpy as np
import pytest

from cryodenoise.config.simulation import OpticsParameters
from cryodenoise.simulation import optics
from cryodenoise.simulation.optics import Focus

TITAN = OpticsParameters()


@pytest.mark.parametrize(("voltage_kv", "wavelength"), [(100, 0.037014), (200, 0.025079), (300, 0.019687)])
def test_the_wavelength_is_the_tabulated_one(voltage_kv: float, wavelength: float) -> None:
    assert optics.wavelength_angstrom(voltage_kv) == pytest.approx(wavelength, abs=6e-7)


@pytest.mark.parametrize(("voltage_kv", "speed"), [(100, 0.54822), (200, 0.69531), (300, 0.77653)])
def test_the_speed_is_the_tabulated_one(voltage_kv: float, speed: float) -> None:
    assert math.sqrt(optics.speed_squared(voltage_kv)) == pytest.approx(speed, abs=6e-6)


@pytest.mark.parametrize(("voltage_kv", "sigma"), [(100, 0.9244e-3), (200, 0.7288e-3), (300, 0.6526e-3)])
def test_the_interaction_is_the_tabulated_one(voltage_kv: float, sigma: float) -> None:
    assert optics.interaction(voltage_kv) == pytest.approx(sigma, abs=6e-8)


def test_the_interaction_is_the_relativistic_mass_times_the_wavelength() -> None:
    """σ = 2π m e λ / h², m being the mass in motion: another form of the same."""
    h, mass, charge, light = 6.62607015e-34, 9.1093837015e-31, 1.602176634e-19, 299792458.0
    moving = mass + charge * 300e3 / light**2
    expected = 2 * math.pi * moving * charge * optics.wavelength_angstrom(300) * 1e-10 / h**2
    assert optics.interaction(300) == pytest.approx(expected * 1e-10, rel=1e-12)


def at(focus: Focus, qx: float, qy: float, settings: OpticsParameters = TITAN) -> float:
    return float(optics.transfer(settings, focus, np.array([[qy]]), np.array([[qx]]))[0, 0])


def test_without_frequency_the_transfer_is_the_amplitude_contrast() -> None:
    assert at(Focus(17000, 16000, 0.3), 0, 0) == pytest.approx(0.1, abs=1e-15)


def test_a_weak_phase_in_underfocus_is_dark() -> None:
    """Transfer is positive up to the first zero, and the contrast is −2 · CTF · φ."""
    inside = [at(Focus(15000, 15000, 0), q, 0) for q in np.linspace(0, 0.055, 50)]
    assert min(inside) > 0
    assert at(Focus(-15000, -15000, 0), 0.04, 0) < 0


@pytest.mark.parametrize("q", [0.01, 0.05, 0.1, 0.2, 0.3])
def test_the_transfer_is_that_of_a_weak_phase_object_through_the_lens(q: float) -> None:
    """By brute force: a wave with a weak grating of phase, aberrated in Fourier space, and its intensity."""
    weak, amplitude, wavelength = 1e-5, 0.1, optics.wavelength_angstrom(300)
    phase, loss = weak * math.sqrt(1 - amplitude**2), weak * amplitude
    places = np.arange(64) / 64
    wave = np.fft.fft(np.exp((1j * phase - loss) * np.cos(2 * np.pi * places)))
    aberration = math.pi * (0.5 * 2.7e7 * wavelength**3 * q**4 - wavelength * 15000 * q**2)
    wave[[1, -1]] *= np.exp(-1j * aberration)
    contrast = np.fft.fft(np.abs(np.fft.ifft(wave)) ** 2)[1].real / (64 / 2) / weak
    assert contrast == pytest.approx(-2 * at(Focus(15000, 15000, 0), q, 0), abs=1e-4)


def test_astigmatism_gives_each_axis_its_defocus() -> None:
    angle = 0.7
    focus, along = Focus(18000, 15000, angle), (math.cos(angle), math.sin(angle))
    for q in (0.03, 0.1, 0.2):
        u, v = (at(Focus(defocus, defocus, 0), q, 0) for defocus in (18000, 15000))
        middle = at(Focus(16500, 16500, 0), q, 0)
        assert at(focus, q * along[0], q * along[1]) == pytest.approx(u, abs=1e-12)
        assert at(focus, -q * along[1], q * along[0]) == pytest.approx(v, abs=1e-12)
        diagonal = angle + math.pi / 4
        assert at(focus, q * math.cos(diagonal), q * math.sin(diagonal)) == pytest.approx(middle, abs=1e-12)


def test_the_envelope_is_gaussian() -> None:
    assert optics.envelope(60.0, np.array([0.0, 0.04])).tolist() == [1.0, pytest.approx(math.exp(-60 / 4 * 0.04))]


@pytest.mark.parametrize(("defocus", "frequency", "cs_mm"), [(15000, 1 / 6, 2.7), (500, 0.5, 2.7), (0, 0.3, 2.7),
                                                             (20000, 0.3, 0.0), (0, 0.3, 0.0)])  # fmt: skip
def test_delocalisation_is_the_steepest_slope_of_the_phase(defocus: float, frequency: float, cs_mm: float) -> None:
    settings = OpticsParameters(cs_mm=cs_mm)
    wavelength = optics.wavelength_angstrom(300)
    q = np.linspace(0, frequency, 20_001)
    phase = math.pi * wavelength * defocus * q**2 - math.pi / 2 * cs_mm * 1e7 * wavelength**3 * q**4
    slope = np.abs(np.gradient(phase, q)).max() / (2 * math.pi)
    assert optics.delocalisation_angstrom(settings, defocus, frequency) == pytest.approx(slope, rel=1e-3, abs=1e-9)
