"""Spectra of patches: an independent implementation, known curves, and how a frequency is read off them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.metrics.spectral import THRESHOLDS, ShellSums, crossing, spectra
from cryodenoise.signal.spectrum import radial_power_spectrum
from each_device import DEVICES

CPU = torch.device("cpu")
SHAPES = [(16, 16), (33, 47), (48, 31), (21, 64), (65, 65), (4, 5)]


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """As `devices.choose` sets it: what a device cannot repeat raises."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def pair(seed: int, samples: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    truth = rng.random((samples, 1, height, width)) + 3
    return torch.from_numpy(truth + 0.2 * rng.normal(size=truth.shape)).float(), torch.from_numpy(truth).float()


def sums_of(first: torch.Tensor, second: torch.Tensor, batch_size: int = 64) -> ShellSums:
    sums = ShellSums((first.shape[2], first.shape[3]), first.device)
    for start in range(0, len(first), batch_size):
        sums.add(*(spectra(images[start : start + batch_size]) for images in (first, second)))
    return sums


def full_spectra(images: torch.Tensor) -> np.ndarray:
    """Whole transforms in numpy, with a window and a normalisation of its own."""
    values = images.cpu().numpy().astype("f8")[:, 0]
    height, width = values.shape[1:]
    rows, columns = (np.sin(np.pi * np.arange(1, side + 1) / (side + 1)) ** 2 for side in (height, width))
    window = rows[:, None] * columns[None, :]
    values = (values - values.mean(axis=(1, 2), keepdims=True)) * window
    return np.asarray(np.fft.fft2(values) / np.sqrt((window**2).sum()))


def ring_masks(height: int, width: int) -> list[np.ndarray]:
    y, x = np.meshgrid(np.fft.fftfreq(height), np.fft.fftfreq(width), indexing="ij")
    shorter = min(height, width)
    return [np.rint(np.hypot(y, x) * shorter) == ring for ring in range(1, shorter // 2 + 1)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_curves_are_those_of_whole_transforms_in_numpy(shape: tuple[int, int], batch_size: int, device: str) -> None:
    first, second = (images.to(device) for images in pair(1, 5, *shape))
    one, other = full_spectra(first), full_spectra(second)
    found = sums_of(first, second, batch_size)
    masks = ring_masks(*shape)
    powers = [[(np.abs(values[:, mask]) ** 2).sum() for mask in masks] for values in (one, other, one - other)]
    cross = [(one[:, mask] * other[:, mask].conj()).sum().real for mask in masks]
    assert found.frc() == pytest.approx(cross / np.sqrt(np.multiply(powers[0], powers[1])), rel=1e-9)
    assert found.ssnr() == pytest.approx(np.divide(powers[1], powers[2]), rel=1e-9)
    counts = [5 * mask.sum() for mask in masks]
    assert found.power_of_first() == pytest.approx(np.divide(powers[0], counts), rel=1e-9)
    assert found.power_of_second() == pytest.approx(np.divide(powers[1], counts), rel=1e-9)
    assert found.power_of_difference() == pytest.approx(np.divide(powers[2], counts), rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
def test_power_is_the_mean_of_the_radial_power_spectra(shape: tuple[int, int]) -> None:
    first, second = pair(2, 3, *shape)
    found = sums_of(first, second)
    expected = [radial_power_spectrum(image) for image in first.double().numpy()[:, 0]]
    assert found.frequencies_per_px() == pytest.approx(expected[0][0], rel=1e-12)
    assert found.power_of_first() == pytest.approx(np.mean([power for _, power in expected], axis=0), rel=1e-9)
    difference = [radial_power_spectrum(image)[1] for image in (first.double() - second.double()).numpy()[:, 0]]
    assert found.power_of_difference() == pytest.approx(np.mean(difference, axis=0), rel=1e-9)


def test_the_transform_is_numpys_and_linear() -> None:
    first, second = (images.double() for images in pair(3, 2, 33, 48))
    assert np.abs(spectra(first).numpy() - full_spectra(first)[:, :, :25]).max() < 1e-12
    assert torch.allclose(spectra(3 * first - second), 3 * spectra(first) - spectra(second), rtol=0, atol=1e-12)


def independent_values(samples: int, height: int, width: int) -> np.ndarray:
    """How many independent real values each ring holds over all patches of white noise.

    Half of the spectrum mirrors the other, so each coefficient holds one; the window leaves (Σw²)² / (pixels · Σw⁴) of
    them, 0.26.
    """
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in (height, width)))
    left = (window**2).sum() ** 2 / (window.size * (window**4).sum())
    assert left == pytest.approx((18 / 35) ** 2, rel=0.05)
    return np.asarray(samples * left * np.array([mask.sum() for mask in ring_masks(height, width)]))


def test_white_noise_has_its_variance_at_every_frequency() -> None:
    noise = torch.from_numpy(np.random.default_rng(4).normal(7.0, 0.3, (100, 1, 64, 96)))
    deviations = np.array(sums_of(noise, noise).power_of_first()) / 0.3**2 - 1
    deviations /= np.sqrt(2 / independent_values(100, 64, 96))  # of a mean of squares
    assert np.abs(deviations[2:]).max() < 4.5  # the mean is taken away, and with it some of the first rings' power
    assert 0.4 < np.square(deviations[2:]).mean() < 1.8


def coloured(rng: np.random.Generator, power: np.ndarray, samples: int) -> np.ndarray:
    """Periodic Gaussian images whose |transform|² has the expectation `power` times the number of pixels."""
    white = np.fft.fft2(rng.normal(size=(samples, *power.shape)))
    return np.asarray(np.fft.ifft2(white * np.sqrt(power)).real)


def expected_power(power: np.ndarray) -> list[float]:
    """On each ring, of an image of known spectrum and mean 0 under the window, which spreads every wave."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in power.shape))
    spread = np.abs(np.fft.fft2(window)) ** 2 / (window**2).sum() / power.size
    seen = np.fft.ifft2(np.fft.fft2(power) * np.fft.fft2(spread)).real
    return [float(seen[mask].sum()) for mask in ring_masks(*power.shape)]


@pytest.mark.parametrize("shape", [(96, 96), (64, 101)])
def test_frc_with_noise_of_known_spectrum_is_the_analytic_curve(shape: tuple[int, int]) -> None:
    """FRC = S / √(S (S + N)) of image and image plus independent white noise.

    Its error is (1 − FRC²) / √m, with m the independent values on a ring in all patches.
    """
    rng, samples, deviation = np.random.default_rng(5), 150, 0.7
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1])[None, :])
    power = 1 / (1 + (frequency / 0.15) ** 4)
    flat = np.full(shape, deviation**2)
    power[0, 0] = flat[0, 0] = 0.0  # both lose their means
    truth = coloured(rng, power, samples)
    noisy = truth + rng.normal(0, deviation, truth.shape)
    sums = sums_of(torch.from_numpy(noisy)[:, None], torch.from_numpy(truth)[:, None])
    signal, noise = np.array(expected_power(power)), np.array(expected_power(flat))
    curve = signal / np.sqrt(signal * (signal + noise))
    assert curve[0] > 0.7
    assert curve[-1] < 0.25
    error = (1 - curve**2) / np.sqrt(independent_values(samples, *shape))
    deviations = (np.array(sums.frc()) - curve) / error
    assert np.abs(deviations).max() < 4.5
    assert 0.5 < np.square(deviations).mean() < 1.7
    assert np.array(sums.ssnr(), float) == pytest.approx(signal / noise, rel=0.15)
    assert np.median(np.array(sums.ssnr(), float) / (signal / noise)) == pytest.approx(1, abs=0.02)


def test_an_image_correlates_fully_with_itself_and_has_no_error() -> None:
    first, _ = pair(6, 3, 32, 40)
    sums = sums_of(first, first)
    assert sums.frc() == pytest.approx([1.0] * 16, abs=1e-12)
    assert max(sums.frc()) <= 1
    assert sums.ssnr() == [None] * 16
    assert sums.power_of_difference() == [0.0] * 16
    assert sums_of(first, -first).frc() == pytest.approx([-1.0] * 16, abs=1e-12)


def test_a_truth_made_a_tenth_brighter_has_the_ratio_one_hundred() -> None:
    _, truth = pair(7, 2, 32, 32)
    sums = sums_of(1.1 * truth.double() + 5, truth.double())
    assert sums.ssnr() == pytest.approx([100.0] * 16, rel=1e-9)
    assert sums.frc() == pytest.approx([1.0] * 16, abs=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_constant_image_has_no_power_and_no_correlation(value: float) -> None:
    _, truth = pair(8, 2, 32, 32)
    constant = torch.full_like(truth.double(), value)
    assert not spectra(constant).any()
    assert sums_of(constant, truth).frc() == sums_of(truth, constant).frc() == [0.0] * 16
    assert sums_of(constant, truth).ssnr() == pytest.approx([1.0] * 16, rel=1e-12)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.uint8])
def test_any_type_is_computed_in_float64_and_left_as_it_was(kind: torch.dtype) -> None:
    images = torch.from_numpy(np.random.default_rng(9).integers(0, 256, (2, 1, 16, 16))).to(kind)
    before = images.clone()
    found = spectra(images)
    assert torch.equal(images, before)
    assert found.dtype == torch.complex128
    assert torch.equal(found, spectra(images.double()))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_curves_do_not_depend_on_the_batch_size_and_repeat_to_the_bit(batch_size: int) -> None:
    first, second = pair(10, 7, 40, 40)
    whole, cut = sums_of(first, second), sums_of(first, second, batch_size)
    assert cut.frc() == pytest.approx(whole.frc(), rel=1e-12)
    assert cut.ssnr() == pytest.approx(whole.ssnr(), rel=1e-12)
    assert cut.power_of_first() == pytest.approx(whole.power_of_first(), rel=1e-12)
    assert sums_of(first, second, batch_size).frc() == cut.frc()


def test_spectra_of_another_shape_are_refused() -> None:
    sums = ShellSums((32, 32), CPU)
    right, wide, few = (spectra(torch.rand(*shape)) for shape in ((2, 1, 32, 32), (2, 1, 32, 40), (1, 1, 32, 32)))
    for first, second in ((wide, wide), (right, wide), (right, few)):
        with pytest.raises(ValueError, match="expected"):
            sums.add(first, second)


def test_a_crossing_lies_between_rings() -> None:
    assert crossing([0.1, 0.2, 0.3], [1.0, 0.6, 0.2], 0.5) == pytest.approx(0.225)
    assert crossing([0.1, 0.2, 0.3], [1.0, 0.6, 0.2], 0.6) == pytest.approx(0.2)
    assert crossing([0.1, 0.2, 0.3, 0.4], [0.9, 0.1, 0.9, 0.1], 0.5) == pytest.approx(0.15)


def test_a_curve_that_stays_above_has_no_crossing_and_one_that_starts_below_has_its_first_frequency() -> None:
    assert crossing([0.1, 0.2], [1.0, 0.5], 0.5) is None
    assert crossing([0.1, 0.2], [0.4, 0.9], 0.5) == 0.1
    assert crossing([], [], 0.5) is None


@settings(deadline=None)
@given(st.sampled_from(THRESHOLDS), st.floats(0.02, 0.4), st.integers(8, 512))
def test_the_crossing_of_a_straight_line_is_exact(threshold: float, at: float, rings: int) -> None:
    frequencies = (np.arange(1, rings + 1) / (2 * rings)).tolist()
    curve = [threshold + 2 * (at - frequency) for frequency in frequencies]
    found = crossing(frequencies, curve, threshold)
    assert found == pytest.approx(max(at, frequencies[0]), rel=1e-9)
