"""Filters by Fourier transform, and the error that they leave."""

import pytest
import torch

from cryodenoise.baselines import gaussian, lowpass
from cryodenoise.baselines.fourier import FilterError, Transfer, filter_by
from noisy_pairs import mean_squared_error, pair

SHAPES = [(16, 16), (33, 47), (24, 15)]


def anisotropic(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return (1 - rows.abs()) * (0.3 + columns.square())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_factor_of_one_changes_nothing(shape: tuple[int, int]) -> None:
    images = pair(1, 3, *shape)[0].double()
    denoised = filter_by(lambda rows, columns: torch.ones_like(rows * columns))(images)
    assert torch.allclose(denoised, images, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_mirrored_cosine_is_scaled_by_the_factor_at_its_frequency(shape: tuple[int, int]) -> None:
    height_px, width_px = shape
    up, across = 3, 5
    rows, columns = (torch.arange(side_px, dtype=torch.float64) + 0.5 for side_px in shape)
    image = torch.outer((torch.pi * up / height_px * rows).cos(), (torch.pi * across / width_px * columns).cos())
    factor = (1 - up / (2 * height_px)) * (0.3 + (across / (2 * width_px)) ** 2)
    assert torch.allclose(filter_by(anisotropic)(image[None, None])[0, 0], factor * image, atol=1e-13)


def test_nothing_reaches_the_opposite_edge() -> None:
    image = torch.zeros(1, 1, 40, 40, dtype=torch.float64)
    image[..., 0] = 1
    blurred = filter_by(gaussian.transfer_of(3.0))(image)[0, 0, 20]
    assert blurred[0] > 0.2
    assert blurred[-1].abs() < 1e-12


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("transfer", [anisotropic, gaussian.transfer_of(1.7), lowpass.transfer_of(0.2)])
def test_the_error_of_a_filter_is_that_of_what_it_makes(
    shape: tuple[int, int], batch_size: int, transfer: Transfer
) -> None:
    images, targets = pair(2, 5, *shape)
    error = FilterError()
    for start in range(0, len(images), batch_size):
        error.add(images[start : start + batch_size], targets[start : start + batch_size])
    expected = mean_squared_error(filter_by(transfer)(images.double()), targets)
    assert error.of(transfer) == pytest.approx(expected, rel=1e-10)


def test_images_of_another_shape_and_type_get_their_own_factors() -> None:
    denoise = filter_by(gaussian.transfer_of(1.0))
    for dtype in (torch.float32, torch.float64):
        for shape in SHAPES:
            constant = torch.full((2, 1, *shape), 0.7, dtype=dtype)
            denoised = denoise(constant)
            assert (denoised.shape, denoised.dtype) == (constant.shape, dtype)
            assert torch.allclose(denoised, constant, atol=1e-6)
