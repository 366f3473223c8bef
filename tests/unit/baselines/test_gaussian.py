import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cryodenoise.baselines import gaussian
from cryodenoise.baselines.fourier import filter_by
from noisy_pairs import known, mean_squared_error, pair


@pytest.mark.parametrize("sigma_px", [0.2, 0.5, 1.0, 2.5, 9.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_it_is_scipys_gaussian_filter(sigma_px: float, dtype: torch.dtype, tolerance: float) -> None:
    images = pair(1, 2)[0].to(dtype)
    blurred = filter_by(gaussian.transfer_of(sigma_px))(images)
    expected = [gaussian_filter(x, sigma_px, mode="reflect", truncate=8) for x in images[:, 0].double().numpy()]
    assert blurred.dtype == dtype
    assert np.abs(blurred[:, 0].numpy() - expected).max() < tolerance


@pytest.mark.parametrize("sigma_px", [0.7, 2.2, 11.0, 24.0])
def test_the_width_that_made_the_targets_is_found(sigma_px: float) -> None:
    images, _ = pair(2, 3, 64, 80)
    targets = filter_by(gaussian.transfer_of(sigma_px))(images)
    fitted = gaussian.fit(known(pair(3, 1), (images, targets)))
    assert fitted.parameters["sigma_px"] == pytest.approx(sigma_px, rel=0.01)


def test_no_other_width_has_a_lower_error() -> None:
    smooth = filter_by(gaussian.transfer_of(3.0))(pair(4, 6, 64, 64)[0]) * 5
    noisy = smooth + 0.5 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(5))
    fitted = gaussian.fit(known((noisy, smooth)))
    best = mean_squared_error(fitted.denoise(noisy), smooth)
    for factor in (0.9, 0.97, 1.03, 1.1):
        other = filter_by(gaussian.transfer_of(factor * fitted.parameters["sigma_px"]))
        assert mean_squared_error(other(noisy), smooth) > best
