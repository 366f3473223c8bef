"""Halves of one simulated truth, gathered patch by patch: both halves of a place are scored, each against the other."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import ndimage

from cryodenoise.config.scores import HalvesEstimate
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.evaluation.halves import HalvesComparison
from cryodenoise.metrics.affine_fit import MOMENTS, moments
from cryodenoise.metrics.spectral import spectra
from cryodenoise.signal.spectrum import highest_ring, rings

CPU = torch.device("cpu")
PLACES, SIDE, SIGMA = 40, 32, 0.3
SIGNAL_POWER = 0.04
WITHIN = 5.0
Denoiser = Callable[[np.ndarray], np.ndarray]


def blurred(images: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(images, (0, 1, 1), mode="wrap"))


DENOISERS: dict[str, Denoiser] = {
    "identity": lambda noisy: noisy,
    "blur": blurred,
    "sharpened, a bad one": lambda noisy: 3 * noisy - 2 * blurred(noisy),
    "inverted, a bad one": lambda noisy: 1 - noisy,
}
ODD_OF = {place: PLACES + place for place in range(PLACES)}


def simulated(seed: int = 0, places: int = PLACES, sigma: float = SIGMA) -> tuple[np.ndarray, np.ndarray]:
    """A truth that is white itself, shape (places, h, w), and its halves: first all even ones, then all odd ones."""
    rng = np.random.default_rng(seed)
    truth = 0.5 + rng.normal(0, math.sqrt(SIGNAL_POWER), (places, SIDE, SIDE))
    noise = rng.normal(0, sigma, (2, *truth.shape)) if sigma else np.zeros((2, *truth.shape))
    return truth, (truth + noise).reshape(-1, SIDE, SIDE)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32))[None, None]


@dataclass
class Gathered:
    halves: HalvesComparison
    values: dict[str, np.ndarray]

    def result(self, bootstrap: Bootstrap) -> HalvesEstimate:
        return self.halves.result(self.values, bootstrap)


def gathered(
    noisy: np.ndarray,
    denoiser: Denoiser,
    order: list[int] | None = None,
    odd_of: dict[int, int] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Gathered:
    odd_of = ODD_OF if odd_of is None else odd_of
    partner = odd_of | {odd: even for even, odd in odd_of.items()}
    denoised = denoiser(noisy)
    halves, kept = HalvesComparison(odd_of, (SIDE, SIDE), CPU), np.empty((len(MOMENTS), len(noisy)))
    places = len(noisy) // 2
    for index in order or [each for pair in odd_of.items() for each in pair]:
        ours, input_ = tensor(denoised[index]).to(dtype), tensor(noisy[index])
        other = tensor(noisy[partner.get(index, (index + places) % len(noisy))])
        halves.add(index, ours, input_, other, {"denoised": spectra(ours), "noisy_input": spectra(input_)})
        kept[:, index] = torch.cat(moments(ours, other)).numpy()
    return Gathered(halves, dict(zip(MOMENTS, kept, strict=True)))


def bootstrap(patches: int = 2 * PLACES, micrographs: int = 10) -> Bootstrap:
    """Both halves of a place are of one micrograph."""
    return Bootstrap(np.arange(patches) % (patches // 2) % micrographs, seed=0)


def result(noisy: np.ndarray, denoiser: Denoiser) -> HalvesEstimate:
    return gathered(noisy, denoiser).result(bootstrap(len(noisy)))


@pytest.mark.parametrize("name", DENOISERS)
def test_the_estimate_is_the_true_error_within_its_own(name: str) -> None:
    truth, noisy = simulated(1)
    denoised = DENOISERS[name](noisy)
    true = ((denoised - np.concatenate([truth, truth])) ** 2).mean(axis=(1, 2))
    against = np.concatenate([noisy[PLACES:], noisy[:PLACES]])
    estimates = ((denoised - against) ** 2 - (noisy - against) ** 2 / 2).mean(axis=(1, 2))
    of_place = (estimates - true).reshape(2, PLACES).mean(axis=0)  # what a place's halves have in common counts once
    error = of_place.std(ddof=1) / math.sqrt(PLACES)
    found = result(noisy, DENOISERS[name])
    assert found.mse == pytest.approx(estimates.mean(), rel=1e-5)
    assert abs(found.mse - true.mean()) < WITHIN * error
    assert error < 0.05 * SIGMA**2
    assert found.psnr_db == pytest.approx(-10 * math.log10(found.mse))
    assert found.mse_interval is not None
    assert found.mse_interval.low < found.mse < found.mse_interval.high


def test_the_noise_power_is_that_of_a_half() -> None:
    _, noisy = simulated(2)
    found = result(noisy, blurred)
    assert found.noise_power == pytest.approx(SIGMA**2, rel=WITHIN * math.sqrt(2 / (PLACES * SIDE**2)))
    assert found.input_psnr_db == pytest.approx(-10 * math.log10(found.noise_power))
    assert result(noisy, lambda images: images).mse == pytest.approx(found.noise_power, rel=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.6])
def test_the_correlation_of_the_halves_is_the_signals_share_of_the_power(sigma: float) -> None:
    """S / (S + N) at each frequency, here the same at all; a filter changes nothing of it within a ring."""
    _, noisy = simulated(3, sigma=sigma)
    found = result(noisy, lambda images: images)
    expected = SIGNAL_POWER / (SIGNAL_POWER + sigma**2)
    _, ring = rings(SIDE, SIDE)
    members = np.bincount(ring.ravel())[1 : highest_ring(SIDE, SIDE) + 1]
    # Half of a ring's coefficients mirror the others; a Hann window ties each to its neighbours: 1.5² as few count.
    independent = members / 2 / 1.5**2 * PLACES
    error = (1 - expected**2) / np.sqrt(2 * independent)
    assert (np.abs(np.array(found.frc_noisy) - expected) < WITHIN * error).all()
    assert error.max() < 0.1
    assert found.frc_denoised == found.frc_noisy
    assert len(found.frequency_per_px) == len(members)


def test_what_a_denoiser_draws_into_both_is_consistent_and_yet_an_error() -> None:
    _, noisy = simulated(4)
    rng = np.random.default_rng(5)
    drawn = np.tile(rng.normal(0.5, 0.2, (PLACES, SIDE, SIDE)), (2, 1, 1))
    found = result(noisy, lambda _: drawn)
    assert min(found.frc_denoised) > 1 - 1e-9
    assert found.frc_below_0_143_per_px is None
    assert found.mse == pytest.approx(SIGNAL_POWER + 0.04, rel=0.1)


def test_the_order_of_patches_does_not_matter() -> None:
    _, noisy = simulated(6)
    plain = result(noisy, blurred)
    shuffled = np.random.default_rng(0).permutation(2 * PLACES).tolist()
    odd_first = [each for pair in ODD_OF.items() for each in reversed(pair)]
    for order in (shuffled, odd_first):
        other = gathered(noisy, blurred, order).result(bootstrap())
        assert other.mse == pytest.approx(plain.mse, rel=1e-12)
        assert other.mse_interval == plain.mse_interval
        assert other.noise_power == pytest.approx(plain.noise_power, rel=1e-12)
        assert other.frc_denoised == pytest.approx(plain.frc_denoised, rel=1e-9)
        assert other.frc_noisy == pytest.approx(plain.frc_noisy, rel=1e-9)


def test_no_more_than_one_patch_waits_for_its_partner() -> None:
    """Spectra are large: those of a patch that has none must not be kept, or memory grows with the split."""
    _, noisy = simulated(7)
    assert not gathered(noisy, blurred).halves._waiting
    alone = gathered(noisy, blurred, list(range(2 * PLACES)), odd_of={})
    assert not alone.halves._waiting
    found = alone.result(bootstrap())
    assert set(found.frc_noisy) == {0.0}
    assert found.mse == pytest.approx(result(noisy, blurred).mse, rel=1e-12)


def test_equal_halves_have_no_noise_and_no_finite_psnr() -> None:
    _, noisy = simulated(8, sigma=0.0)
    found = result(noisy, lambda images: images)
    assert (found.mse, found.noise_power, found.psnr_db, found.input_psnr_db) == (0.0, 0.0, None, None)


def test_an_error_too_small_for_so_few_patches_may_be_negative() -> None:
    truth, noisy = simulated(9)
    found = [
        gathered(noisy[[place, PLACES + place]], lambda _, p=place: truth[[p, p]], [0, 1], {0: 1}).result(  # type: ignore[misc]
            bootstrap(2, 1)
        )
        for place in range(12)
    ]
    assert any(each.mse < 0 for each in found)
    assert all((each.psnr_db is None) == (each.mse <= 0) for each in found)
    assert all(each.mse_interval is None for each in found)


def test_constant_and_half_precision_images_have_finite_values() -> None:
    _, noisy = simulated(10)
    constant = result(noisy, lambda images: np.full_like(images, 0.25))
    assert set(constant.frc_denoised) == {0.0}
    for dtype, near in ((torch.float16, 1e-3), (torch.bfloat16, 1e-2)):
        found = gathered(noisy, blurred, dtype=dtype).result(bootstrap())
        assert found.mse == pytest.approx(result(noisy, blurred).mse, rel=near)


@pytest.mark.parametrize("name", DENOISERS)
def test_the_estimate_with_the_best_line_is_the_true_error_under_it(name: str) -> None:
    """Against the truth itself, which the estimate does not know: also of an inverted image."""
    truth, noisy = simulated(9)
    denoised = DENOISERS[name](noisy)
    both = np.concatenate([truth, truth])
    slope, offset = np.polyfit(denoised.ravel(), both.ravel(), 1)
    expected = ((slope * denoised + offset - both) ** 2).mean()
    found = result(noisy, DENOISERS[name])
    assert found.affine_fitted_mse_interval is not None
    assert found.affine_fitted_mse_interval.low < expected < found.affine_fitted_mse_interval.high
    assert found.affine_fitted_mse == pytest.approx(expected, abs=WITHIN * SIGMA**2 * 2 / math.sqrt(noisy.size))
    assert found.affine_fitted_mse <= found.mse
    assert found.affine_fitted_psnr_db == pytest.approx(-10 * math.log10(found.affine_fitted_mse))
