"""The error from independent halves: without bias for any denoiser, and off as theory says where halves are not fit.

An estimate and the true error come from the same patches; the mean of their differences is held against its own
standard error, so a test says how large a bias it would have seen.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from cryodenoise.metrics.halves import HalvesSums, estimated_psnr_db

Denoiser = Callable[[np.ndarray], np.ndarray]
PATCHES, SIDE, SIGMA = 240, 32, 0.3
WITHIN = 4.5
"""Standard errors: with a fixed seed a test passes always or never, so this is only how likely a right one was to."""


def blurred(noisy: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(noisy, (0, 0, 1, 1), mode="wrap"))


DENOISERS: dict[str, Denoiser] = {
    "identity": lambda noisy: noisy,
    "affine": lambda noisy: 0.4 * noisy + 0.25,
    "blur": blurred,
    "median": lambda noisy: np.asarray(ndimage.median_filter(noisy, (1, 1, 3, 3))),
    "sharpened, a bad one": lambda noisy: 3 * noisy - 2 * blurred(noisy),
    "inverted, a bad one": lambda noisy: 1 - noisy,
    "thresholded, a bad one": lambda noisy: (noisy > 0.5).astype(float),
    "constant": lambda noisy: np.full_like(noisy, 0.1),
    "constant in one": lambda noisy: np.full_like(noisy, 0.5),
}


def clean_images(rng: np.random.Generator) -> np.ndarray:
    """Smooth structure in [0.05, 0.95]."""
    smooth = ndimage.gaussian_filter(rng.normal(size=(PATCHES, 1, SIDE, SIDE)), (0, 0, 2, 2), mode="wrap")
    return np.asarray((0.5 + smooth).clip(0.05, 0.95))


def bias_and_error(denoiser: Denoiser, clean: np.ndarray, noisy: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Mean of estimate less true error over the patches, and its standard error."""
    denoised = denoiser(noisy)
    sums = HalvesSums()
    sums.add(*(torch.from_numpy(images) for images in (denoised, noisy, other)))
    off = np.array(sums.errors()) - ((denoised - clean) ** 2).mean(axis=(1, 2, 3))
    return float(off.mean()), float(off.std(ddof=1) / math.sqrt(len(off)))


@pytest.mark.parametrize("name", DENOISERS)
@pytest.mark.parametrize("sigma", [0.05, SIGMA])
def test_the_estimate_has_no_bias(name: str, sigma: float) -> None:
    rng = np.random.default_rng(1)
    clean = clean_images(rng)
    noisy, other = (clean + rng.normal(0, sigma, clean.shape) for _ in range(2))
    bias, error = bias_and_error(DENOISERS[name], clean, noisy, other)
    assert abs(bias) < WITHIN * error
    assert error < 0.02 * sigma**2 + 0.001 * sigma  # what a bias is held against is small itself


@pytest.mark.parametrize("name", DENOISERS)
def test_shot_noise_that_depends_on_the_image_leaves_it_without_bias(name: str) -> None:
    rng = np.random.default_rng(2)
    clean = clean_images(rng)
    noisy, other = (rng.poisson(12 * clean) / 12 for _ in range(2))
    bias, error = bias_and_error(DENOISERS[name], clean, noisy, other)
    assert abs(bias) < WITHIN * error


def test_it_is_what_a_few_lines_of_numpy_say_for_every_batch_size() -> None:
    rng = np.random.default_rng(3)
    denoised, noisy, other = (rng.normal(size=(5, 1, 9, 14)).astype("f4") for _ in range(3))
    against, apart = (((one.astype("f8") - other.astype("f8")) ** 2).mean(axis=(1, 2, 3)) for one in (denoised, noisy))
    for batch_size in (1, 2, 5):
        sums = HalvesSums()
        for start in range(0, 5, batch_size):
            batch = slice(start, start + batch_size)
            sums.add(*(torch.from_numpy(images[batch]) for images in (denoised, noisy, other)))
        assert sums.errors() == pytest.approx(against - apart / 2, rel=1e-12)
        assert sums.noise_power() == pytest.approx(apart.mean() / 2, rel=1e-12)


def test_the_noise_power_is_that_of_one_half() -> None:
    rng = np.random.default_rng(4)
    clean = clean_images(rng)
    sums = HalvesSums()
    noisy, other = (torch.from_numpy(clean + rng.normal(0, SIGMA, clean.shape)) for _ in range(2))
    sums.add(noisy, noisy, other)
    assert sums.noise_power() == pytest.approx(SIGMA**2, rel=4.5 * math.sqrt(2 / clean.size))


def correlated(rng: np.random.Generator, clean: np.ndarray, covariance: float) -> tuple[np.ndarray, np.ndarray]:
    """Halves of noise power SIGMA² each, with a part in common."""
    common = rng.normal(0, math.sqrt(covariance), clean.shape)
    own = math.sqrt(SIGMA**2 - covariance)
    return tuple(clean + common + rng.normal(0, own, clean.shape) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "response"), [("identity", 1.0), ("affine", 0.4), ("constant", 0.0), ("inverted, a bad one", -1.0)]
)
def test_correlated_noise_puts_it_off_by_the_covariance_times_what_the_denoiser_lets_through(
    name: str, response: float
) -> None:
    rng = np.random.default_rng(5)
    clean, covariance = clean_images(rng), 0.3 * SIGMA**2
    bias, error = bias_and_error(DENOISERS[name], clean, *correlated(rng, clean, covariance))
    expected = covariance * (1 - 2 * response)
    assert abs(bias - expected) < WITHIN * error
    assert abs(bias) > 5 * error


def test_correlated_noise_puts_a_filter_off_by_what_it_lets_through_at_the_same_pixel() -> None:
    """c − 2 E f(a)·n_b of a linear filter of white noise: f at the pixel itself, times the covariance."""
    rng = np.random.default_rng(6)
    clean, covariance = clean_images(rng), 0.3 * SIGMA**2
    impulse = np.zeros((1, 1, SIDE, SIDE))
    impulse[0, 0, 7, 7] = 1
    bias, error = bias_and_error(blurred, clean, *correlated(rng, clean, covariance))
    assert abs(bias - covariance * (1 - 2 * blurred(impulse)[0, 0, 7, 7])) < WITHIN * error
    assert bias > 20 * error


@pytest.mark.parametrize("name", DENOISERS)
def test_unequal_dose_puts_every_denoiser_off_by_half_the_difference_of_the_noise_powers(name: str) -> None:
    rng = np.random.default_rng(7)
    clean, sigma_other = clean_images(rng), 1.5 * SIGMA
    noisy, other = (clean + rng.normal(0, sigma, clean.shape) for sigma in (SIGMA, sigma_other))
    bias, error = bias_and_error(DENOISERS[name], clean, noisy, other)
    assert abs(bias - (sigma_other**2 - SIGMA**2) / 2) < WITHIN * error
    assert bias > 20 * error


@pytest.mark.parametrize("name", ["identity", "blur", "constant"])
def test_of_clipped_halves_it_is_the_error_against_their_mean_and_not_against_the_clean_image(name: str) -> None:
    rng = np.random.default_rng(8)
    clean = 0.3 * clean_images(rng)
    noisy, other = ((clean + rng.normal(0, SIGMA, clean.shape)).clip(min=0) for _ in range(2))
    ratio = clean / SIGMA
    mean_of_clipped = clean * stats.norm.cdf(ratio) + SIGMA * stats.norm.pdf(ratio)
    bias, error = bias_and_error(DENOISERS[name], mean_of_clipped, noisy, other)
    assert abs(bias) < WITHIN * error
    bias, error = bias_and_error(DENOISERS[name], clean, noisy, other)
    assert abs(bias) > 10 * error


def test_psnr_comes_from_the_mean_error_and_is_none_where_that_is_not_positive() -> None:
    assert estimated_psnr_db(0.01) == pytest.approx(20)
    assert estimated_psnr_db(0.0) is None
    assert estimated_psnr_db(-1e-5) is None
