import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.signal.spectrum import power_spectrum, radial, radial_power_spectrum


@pytest.mark.parametrize("deviation", [0.05, 3.0])
@pytest.mark.parametrize("shape", [(256, 256), (192, 320)])
def test_the_spectrum_of_white_noise_is_flat_at_its_variance(deviation: float, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    spectra = [radial_power_spectrum(rng.normal(7.0, deviation, shape))[1] for _ in range(20)]
    power = np.mean(spectra, axis=0)[2:]  # the mean is taken away, and the window spreads that over the first rings
    assert power.mean() == pytest.approx(deviation**2, rel=0.01)
    assert np.abs(power / deviation**2 - 1).max() < 0.25
    low, high = np.array_split(power, 2)
    assert low.mean() == pytest.approx(high.mean(), rel=0.03)


@pytest.mark.parametrize("cycles", [8, 20, 51])
def test_a_wave_has_its_power_at_its_frequency(cycles: int) -> None:
    x = np.arange(128)
    frequency, power = radial_power_spectrum(np.cos(2 * np.pi * cycles * x / 128)[None, :] + np.zeros((128, 1)))
    assert frequency[np.argmax(power)] == pytest.approx(cycles / 128, abs=0.5 / 128)
    assert power[np.abs(frequency - cycles / 128) > 4 / 128].max() < 1e-4 * power.max()


def test_frequencies_run_up_to_that_of_nyquist_in_steps_of_one_wave() -> None:
    frequency, power = radial_power_spectrum(np.eye(64))
    assert len(frequency) == len(power) == 32
    assert np.abs(frequency - np.arange(1, 33) / 64).max() < 0.5 / 64


@given(st.floats(0.1, 10), st.floats(-100, 100))
def test_power_grows_with_the_square_and_does_not_see_the_mean(factor: float, offset: float) -> None:
    image = np.random.default_rng(0).normal(size=(16, 16))
    expected = radial_power_spectrum(image)[1] * factor**2
    assert np.allclose(radial_power_spectrum(factor * image + offset)[1], expected, rtol=1e-6, atol=1e-9)


def test_windows_that_overlap_give_the_spectrum_of_white_noise_with_less_scatter() -> None:
    image = np.random.default_rng(0).normal(5.0, 2.0, (256, 320))
    power = power_spectrum(image, 32)
    assert power.shape == (32, 32)
    inner = power[2:-2, 2:-2]
    assert inner.mean() == pytest.approx(4.0, rel=0.03)
    assert inner.std() < 4.0 / 5  # of one window it is the mean itself


def test_one_window_as_large_as_the_image_is_the_spectrum_of_the_image() -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    for windowed, whole in zip(radial(power_spectrum(image, 64)), radial_power_spectrum(image), strict=True):
        assert np.array_equal(windowed, whole)
