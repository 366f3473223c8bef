import pytest
import torch

from cryodenoise.baselines import lowpass
from cryodenoise.baselines.fourier import filter_by
from noisy_pairs import known, pair


def test_the_edge_is_a_raised_cosine_around_the_cut_off() -> None:
    frequencies = torch.tensor([[0.0], [0.179], [0.18], [0.19], [0.2], [0.21], [0.22], [0.5]], dtype=torch.float64)
    factors = lowpass.transfer_of(0.2)(frequencies, torch.zeros(1, 1, dtype=torch.float64)).flatten()
    quarter = 0.5 + 0.5**1.5
    assert factors.tolist() == pytest.approx([1, 1, 1, quarter, 0.5, 1 - quarter, 0, 0], abs=1e-12)


def test_it_is_the_same_in_all_directions() -> None:
    frequencies = torch.linspace(0, 0.5, 7, dtype=torch.float64)
    factors = lowpass.transfer_of(0.3)(frequencies[:, None], frequencies[None, :])
    assert torch.equal(factors, factors.T)
    straight = lowpass.transfer_of(0.3)(frequencies[:, None] * 2**0.5, torch.zeros(1, 1, dtype=torch.float64))
    assert torch.allclose(factors.diagonal(), straight.flatten(), atol=1e-12)


@pytest.mark.parametrize("cutoff_per_px", [0.03, 0.11, 0.4])
def test_the_cut_off_that_made_the_targets_is_found(cutoff_per_px: float) -> None:
    images, _ = pair(1, 3, 96, 80)
    targets = filter_by(lowpass.transfer_of(cutoff_per_px))(images)
    fitted = lowpass.fit(known(pair(2, 1), (images, targets), 1.5))
    found = {"cutoff_per_px": cutoff_per_px, "cutoff_angstrom": 1.5 / cutoff_per_px}
    assert fitted.parameters == pytest.approx(found, rel=0.01)


def test_without_a_pixel_size_the_cut_off_is_not_told_in_angstrom() -> None:
    assert set(lowpass.fit(known(pair(3))).parameters) == {"cutoff_per_px"}


def test_clean_images_are_left_nearly_as_they_are() -> None:
    _, targets = pair(4)
    denoised = lowpass.fit(known((targets, targets))).denoise(targets)
    assert torch.allclose(denoised, targets, atol=1e-5)


def test_20_angstrom_are_a_cut_off_by_the_pixel_size() -> None:
    fitted = lowpass.fit_at_20_angstrom(known(pair(5), pixel_size_angstrom=2.0))
    assert fitted is not None
    assert fitted.parameters == pytest.approx({"cutoff_per_px": 0.1, "cutoff_angstrom": 20})
    images, _ = pair(6)
    assert torch.equal(fitted.denoise(images), filter_by(lowpass.transfer_of(0.1))(images))


@pytest.mark.parametrize("pixel_size_angstrom", [None, 10.01, 50.0])
def test_20_angstrom_do_not_apply_without_a_pixel_size_or_beyond_nyquist(pixel_size_angstrom: float | None) -> None:
    assert lowpass.fit_at_20_angstrom(known(pair(7), pixel_size_angstrom=pixel_size_angstrom)) is None
