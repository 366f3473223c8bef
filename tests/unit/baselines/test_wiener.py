"""The spectral Wiener filter, on Gaussian random fields whose spectra are known."""

import numpy as np
import pytest
import torch

from cryodenoise.baselines import affine, gaussian, wiener
from cryodenoise.baselines.wiener import WienerFit
from cryodenoise.signal import spectrum
from noisy_pairs import Pair, field, frequencies, known, mean_squared_error, pair

SIDE_PX, WHOLE_PX = 96, 256
PATCHES = 60
OFFSET = 0.3
HANN_VARIANCE = 35 / 18
"""By how much a Hann window raises the variance of a mean over frequencies in a row, such as those of a ring."""


def signal_power(frequency: torch.Tensor) -> torch.Tensor:
    return 8 / (1 + (frequency / 0.07).square()).square()


def noise_power(frequency: torch.Tensor) -> torch.Tensor:
    return 1 + 2 * frequency


def noisy_fields(seed: int, patches: int) -> Pair:
    frequency = frequencies(WHOLE_PX)
    targets = field(seed, signal_power(frequency), patches, SIDE_PX)
    return targets + field(seed + 1, noise_power(frequency), patches, SIDE_PX) - OFFSET, targets


def solved(images: torch.Tensor, targets: torch.Tensor, batch_size: int = 100) -> WienerFit:
    fit = WienerFit()
    for start in range(0, len(images), batch_size):
        fit.add(images[start : start + batch_size], targets[start : start + batch_size])
    return fit


def test_it_comes_within_sampling_error_of_signal_over_signal_and_noise() -> None:
    curve = solved(*noisy_fields(1, PATCHES)).solve()
    signal, noise = signal_power(curve.inputs), noise_power(curve.inputs)
    ring = (frequencies(SIDE_PX) * SIDE_PX).round().long().flatten()
    independent = PATCHES * torch.bincount(ring)[1:] / 2 / HANN_VARIANCE  # a frequency and its negative are one
    error = (0.5 * signal * noise / independent).sqrt() / (signal + noise)
    deviation = ((curve.outputs - signal / (signal + noise)) / error)[2:-3]  # the window blurs the steep start
    assert deviation.abs().max() < 5
    assert 0.7 < deviation.square().mean().sqrt() < 1.3


def test_it_beats_blur_and_affine_map_and_comes_near_the_least_possible_error() -> None:
    training, images = noisy_fields(3, PATCHES), noisy_fields(5, PATCHES)
    learnt = known(training, training)
    of_wiener, of_blur, of_affine = (
        mean_squared_error(method.fit(learnt).denoise(images[0]), images[1]) for method in (wiener, gaussian, affine)
    )
    frequency = frequencies(WHOLE_PX)
    signal, noise = signal_power(frequency), noise_power(frequency)
    least = (signal * noise / (signal + noise)).mean().item()
    assert of_wiener == pytest.approx(least, rel=0.05)
    assert of_wiener < 0.96 * of_blur
    assert of_wiener < 0.7 * of_affine


def test_the_factors_are_those_of_a_few_lines_of_numpy() -> None:
    images, targets = pair(7, 4, 40, 56)
    window = np.outer(np.hanning(42)[1:-1], np.hanning(58)[1:-1])
    x, y = (
        [np.fft.fft2((image - image.mean()) * window) for image in value[:, 0].double().numpy()]
        for value in (images, targets)
    )
    at, power = spectrum.radial(np.asarray(sum(abs(a) ** 2 for a in x)))
    _, cross = spectrum.radial(np.asarray(sum((a.conj() * b).real for a, b in zip(x, y, strict=True))))
    curve = solved(images, targets).solve()
    assert curve.inputs[: len(at)].tolist() == pytest.approx(at.tolist(), rel=1e-12)
    assert curve.outputs[: len(at)].tolist() == pytest.approx((cross / power).tolist(), rel=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_the_factors_do_not_depend_on_the_batch_size(batch_size: int) -> None:
    images, targets = pair(8, 5)
    assert torch.equal(solved(images, targets, batch_size).solve().outputs, solved(images, targets).solve().outputs)


def test_a_patch_keeps_its_mean_plus_the_mean_difference() -> None:
    images, targets = pair(9, 6)
    fitted = wiener.fit(known((images, targets)))
    difference = (targets.double() - images).mean().item()
    assert fitted.parameters["difference_of_means"] == pytest.approx(difference, rel=1e-9)
    bright = images.double() + 5
    expected = bright.mean((1, 2, 3)) + difference
    assert torch.allclose(fitted.denoise(bright).mean((1, 2, 3)), expected, atol=1e-9)


def test_without_noise_it_changes_nothing() -> None:
    _, targets = pair(10)
    fitted = wiener.fit(known((targets, targets)))
    assert torch.allclose(fitted.denoise(targets), targets, atol=1e-5)
    assert set(fitted.parameters) == {"highest_factor", "difference_of_means"}


def test_a_constant_input_gets_the_mean_of_the_targets() -> None:
    _, targets = pair(11)
    constant = torch.full_like(targets, 0.25)
    denoised = wiener.fit(known((constant, targets))).denoise(constant)
    assert torch.allclose(denoised, targets.mean().expand_as(denoised), atol=1e-6)
