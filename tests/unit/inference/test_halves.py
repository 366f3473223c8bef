"""Figures of halves: without bias, and high where a denoiser only looks as if it agreed with itself."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryodenoise.config.denoising import HalvesFound
from cryodenoise.errors import InputError
from cryodenoise.inference import halves
from cryodenoise.inference.halves import figures, lines, require_halves, tile_side, together
from cryodenoise.metrics.spectral import ShellSums, spectra
from each_device import DEVICES

CPU = torch.device("cpu")
SHAPE, SIGMA = (256, 320), 0.3
WITHIN = 4.5
"""Standard errors: with a fixed seed a test passes always or never."""
Denoiser = Callable[[np.ndarray], np.ndarray]


def blurred(image: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(image, 1.0, mode="wrap"))


def clean_image(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    smooth = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3, mode="wrap")
    return np.asarray(0.5 + smooth * 0.2 / smooth.std(), np.float32)


def halves_of(clean: np.ndarray, seed: int, sigma: float = SIGMA) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(seed).normal(0, sigma, (2, *clean.shape))
    even, odd = (clean + noise).astype(np.float32)
    return even, odd


def figures_of(even: np.ndarray, odd: np.ndarray, denoiser: Denoiser, tile_px: int = 128) -> HalvesFound:
    return figures(even, odd, denoiser(even), denoiser(odd), tile_px, CPU)


@pytest.mark.parametrize("denoiser", [lambda a: a, lambda a: 0.4 * a + 0.3, blurred, lambda a: 1 - a])
def test_the_estimate_is_the_true_error_within_its_standard_error(denoiser: Denoiser) -> None:
    off = []
    for seed in range(16):
        clean = clean_image(seed, (96, 80))
        even, odd = halves_of(clean, 100 + seed)
        true = np.mean([np.square(denoiser(half) - clean, dtype=np.float64).mean() for half in (even, odd)])
        off.append(figures_of(even, odd, denoiser, 64).mse - true)
    assert abs(np.mean(off)) < WITHIN * np.std(off, ddof=1) / len(off) ** 0.5
    assert np.std(off, ddof=1) / len(off) ** 0.5 < 0.02 * SIGMA**2  # what a bias is held against is small itself


def test_a_known_linear_filter_has_the_error_and_the_gain_that_follow_from_it() -> None:
    """Of white noise with a flat image: the sum of the squares of its weights."""
    even, odd = halves_of(np.full((512, 512), 0.5, np.float32), 3)
    found = figures_of(even, odd, blurred)
    impulse = np.zeros((33, 33))
    impulse[16, 16] = 1
    share = float(np.square(blurred(impulse)).sum())
    assert found.noise_power == pytest.approx(SIGMA**2, rel=0.02)
    assert found.mse == pytest.approx(SIGMA**2 * share, rel=0.1)
    assert found.gain_db == pytest.approx(-10 * np.log10(share), abs=0.5)


def test_the_identity_gains_nothing_and_changes_no_correlation() -> None:
    found = figures_of(*halves_of(clean_image(1), 2), lambda a: a)
    assert found.gain_db == pytest.approx(0, abs=1e-9)
    assert found.mse == pytest.approx(found.noise_power, rel=1e-12)
    assert found.frc_denoised == found.frc_noisy
    noisy, denoised = (found.frc_below_0_143_per_px[name] for name in ("noisy", "denoised"))
    assert noisy == denoised
    assert noisy is not None


def test_a_constant_has_the_variance_of_the_image_as_its_error_and_no_correlation() -> None:
    clean = clean_image(1)
    mean = float(clean.mean())
    found = figures_of(*halves_of(clean, 2), lambda a: np.full_like(a, mean))
    assert found.mse == pytest.approx(float(clean.var()), rel=0.05)
    assert set(found.frc_denoised) == {0.0}


def test_noise_that_both_halves_share_hides_in_what_leaves_it_in() -> None:
    """As metrics/halves.py says: off by c (1 − 2g)."""
    clean = clean_image(1)
    shared = np.random.default_rng(5).normal(0, 0.5 * SIGMA, SHAPE).astype(np.float32)
    even, odd = halves_of(clean + shared, 2)
    for gain in (1.0, 0.25):
        of_even, of_odd = (0.5 + np.float32(gain) * (half - np.float32(0.5)) for half in (even, odd))
        true = np.mean([np.square(image - clean, dtype=np.float64).mean() for image in (of_even, of_odd)])
        off = figures(even, odd, of_even, of_odd, 128, CPU).mse - true
        assert off == pytest.approx(0.25 * SIGMA**2 * (1 - 2 * gain), abs=0.05 * SIGMA**2)


def test_unequal_noise_cancels_in_both_directions_together() -> None:
    off = []
    for seed in range(16):
        clean = clean_image(seed, (96, 80))
        even, odd = halves_of(clean, 100 + seed, 0.1)[0], halves_of(clean, 200 + seed, 0.4)[1]
        true = np.mean([np.square(blurred(half) - clean, dtype=np.float64).mean() for half in (even, odd)])
        off.append(figures_of(even, odd, blurred, 64).mse - true)
    assert abs(np.mean(off)) < WITHIN * np.std(off, ddof=1) / len(off) ** 0.5


def test_a_denoiser_that_puts_the_same_invention_into_both_correlates_well_and_is_far_off() -> None:
    """What docs/FORMATS.md says of both figures."""
    clean = clean_image(1)
    even, odd = halves_of(clean, 2)
    invention = np.random.default_rng(9).normal(0, 1, SHAPE).astype(np.float32)
    honest, inventing = figures_of(even, odd, blurred), figures_of(even, odd, lambda a: blurred(a) + invention)
    assert min(inventing.frc_denoised) > 0.9 > min(honest.frc_denoised)
    assert inventing.frc_below_0_143_per_px["denoised"] is None
    assert inventing.mse == pytest.approx(honest.mse + 1, rel=0.05)
    assert inventing.gain_db is not None
    assert inventing.gain_db < -10
    assert honest.gain_db is not None
    assert honest.gain_db > 3


def test_the_error_comes_from_all_pixels_each_once_whatever_bands_and_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    even, odd, of_even, of_odd = np.random.default_rng(1).random((4, 70, 48), np.float32)
    apart = np.square(even.astype("f8") - odd).mean() / 2
    against = (np.square(of_even.astype("f8") - odd).mean() + np.square(of_odd.astype("f8") - even).mean()) / 2
    for tile_px, band_pixels in ((16, 1 << 20), (48, 1000), (33, 10)):
        monkeypatch.setattr(halves, "_BAND_PIXELS", band_pixels)
        found = figures(even, odd, of_even, of_odd, tile_px, CPU)
        assert found.noise_power == pytest.approx(apart, rel=1e-12)
        assert found.mse == pytest.approx(against - apart, rel=1e-9)


def test_correlations_come_from_tiles_that_cover_the_micrograph() -> None:
    rng = np.random.default_rng(1)
    even, odd, of_even, of_odd = rng.random((4, 100, 64), np.float32)
    found = figures(even, odd, of_even, of_odd, 64, CPU)
    for curve, (first, second) in ((found.frc_noisy, (even, odd)), (found.frc_denoised, (of_even, of_odd))):
        sums = ShellSums((64, 64), CPU)
        for top in (0, 36):
            sums.add(*(spectra(torch.from_numpy(each[top : top + 64])[None, None]) for each in (first, second)))
        assert curve == pytest.approx(sums.frc(), rel=1e-9)
        assert found.frequency_per_px == sums.frequencies_per_px()


@settings(deadline=None, max_examples=10)
@given(height=st.integers(16, 90), width=st.integers(16, 90), seed=st.integers(0, 99))
def test_any_shape_can_be_looked_at(height: int, width: int, seed: int) -> None:
    side = tile_side([(height, width), (40, 50)])
    assert side == min(height, width, 40)
    even, odd = halves_of(np.full((height, width), 0.5, np.float32), seed)
    found = figures(even, odd, even, odd, side, CPU)
    assert len(found.frequency_per_px) == len(found.frc_noisy) == side // 2


def test_the_side_of_tiles_has_a_limit() -> None:
    assert tile_side([(3838, 3710), (8192, 4096)]) == 256
    assert tile_side([(3838, 3710), (255, 1537)]) == 255


def test_micrographs_of_different_shapes_together_are_means_by_their_pixels() -> None:
    shapes = [(96, 64), (64, 200), (128, 128)]
    found = []
    for seed, shape in enumerate(shapes):
        found.append(figures_of(*halves_of(clean_image(seed, shape), 50 + seed), blurred, tile_side(shapes)))
    pixels = [height * width for height, width in shapes]
    all_of_them = together(found, pixels)
    assert all_of_them.mse == pytest.approx(np.average([each.mse for each in found], weights=pixels), rel=1e-12)
    assert all_of_them.noise_power == pytest.approx(np.average([each.noise_power for each in found], weights=pixels))
    assert all_of_them.gain_db == pytest.approx(10 * np.log10(all_of_them.noise_power / all_of_them.mse))
    for name in ("frc_noisy", "frc_denoised"):
        expected = np.average([getattr(each, name) for each in found], axis=0, weights=pixels)
        assert getattr(all_of_them, name) == pytest.approx(expected.tolist(), rel=1e-12)
    assert together(found[:1], [1]) == found[0]
    other = figures_of(*halves_of(clean_image(0, (96, 64)), 1), blurred, 32)
    with pytest.raises(ValueError, match="different sides"):
        together([found[0], other], [1, 1])


@pytest.mark.parametrize("device", DEVICES)
def test_every_device_gives_the_same_figures(device: str) -> None:
    even, odd = halves_of(clean_image(1), 2)
    here, there = (figures(even, odd, blurred(even), blurred(odd), 128, torch.device(name)) for name in ("cpu", device))
    assert there.mse == pytest.approx(here.mse, rel=1e-9)
    assert there.frc_denoised == pytest.approx(here.frc_denoised, abs=1e-9)


def test_images_of_different_shapes_and_tiles_that_do_not_fit_are_mistakes() -> None:
    even, odd = halves_of(clean_image(1), 2)
    for images, tile_px in (((even, odd, even[1:], odd), 64), ((even, odd, even, odd), 257), ((even,) * 4, 3)):
        with pytest.raises(ValueError, match="tiles of"):
            figures(*images, tile_px, CPU)


def test_what_cannot_be_two_halves_is_refused() -> None:
    even, odd = (half * np.float32(10) for half in halves_of(clean_image(1), 2))
    require_halves(even, odd)
    with pytest.raises(InputError, match="the odd half has 255 × 320 pixels, the even one 256 × 320"):
        require_halves(even, odd[1:])
    with pytest.raises(InputError, match="the very pixels of the even one"):
        require_halves(even, even.copy())
    with pytest.raises(InputError, match="the mean of the odd half is"):
        require_halves(even, even + odd)


def test_lines_tell_error_gain_and_where_the_correlation_falls() -> None:
    found = HalvesFound(
        noise_power=0.09, mse=0.009, gain_db=10.0, frc_below_0_143_per_px={"noisy": 0.1, "denoised": 0.25},
        frequency_per_px=[0.1], frc_noisy=[0.1], frc_denoised=[0.2],
    )  # fmt: skip
    error, agreement = lines(found, 1.5)
    assert "mean squared error 0.09 as they are, 0.009 denoised" in error
    assert error.endswith("a gain of +10.00 dB")
    assert "falls below 0.143 at 0.1000 cycles per pixel (15 Å) as they are, at 0.2500 cycles per pixel (6 Å)" in (
        agreement
    )
    assert "Å" not in " ".join(lines(found, None))
    everywhere = found.model_copy(update={"frc_below_0_143_per_px": {"noisy": None, "denoised": None}})
    assert "nowhere as they are, nowhere denoised" in lines(everywhere, 1.5)[1]
    better_than_can_be_seen = found.model_copy(update={"mse": -1e-6, "gain_db": None})
    assert lines(better_than_can_be_seen, None)[0].endswith(
        "no gain can be told: the error is too small for these halves to show"
    )


def test_without_halves_there_is_nothing_to_tell() -> None:
    assert lines(None, 1.5) == []
