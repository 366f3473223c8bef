"""Scores of a patch from its pixels.

Each function takes images and targets of shape (n, 1, h, w), computes in float64 whatever it is given, and returns one
value a patch, shape (n,).
"""

import math

import torch

SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
DATA_RANGE = 1.0
_SSIM_C1 = (0.01 * DATA_RANGE) ** 2
_SSIM_C2 = (0.03 * DATA_RANGE) ** 2
_BAND_ROWS = 64  # what lies between a patch and its SSIM then stays in a processor's cache


def mean_squared_error(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over the pixels of (image − target)²."""
    return (images.double() - targets).square().mean(dim=(1, 2, 3))


def mean_absolute_error(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean over the pixels of |image − target|."""
    return (images.double() - targets).abs().mean(dim=(1, 2, 3))


def correlation(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Pearson correlation of image and target over the pixels, in [−1, 1]; 0 where either has no variation."""
    first, second = (_centred(value) for value in (images, targets))
    covariance = (first * second).sum(1)
    norm = (first.square().sum(1) * second.square().sum(1)).sqrt()
    return torch.where(norm > 0, covariance / norm.where(norm > 0, torch.ones_like(norm)), torch.zeros_like(norm))


def _centred(values: torch.Tensor) -> torch.Tensor:
    flat = values.double().flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    constant = flat.amax(1, keepdim=True) == flat.amin(1, keepdim=True)
    return centred.masked_fill(constant, 0.0)  # the mean of equal values may differ from them by a rounding


def structural_similarity(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """SSIM after Wang et al., IEEE Trans. Image Process. 13, 600 (2004), equation 13.

    Gaussian window of 11 pixels with σ = 1.5, K₁ = 0.01, K₂ = 0.03, data range 1, population covariances, mean over
    the positions where the window lies whole within the patch: what scikit-image computes with
    `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.
    """
    height, width = (side - SSIM_WINDOW_PX + 1 for side in images.shape[2:])
    rows = height if images.is_cuda else min(_BAND_ROWS, height)
    total = torch.zeros(len(images), dtype=torch.float64, device=images.device)
    for first in range(0, height, rows):
        band = slice(first, first + rows + SSIM_WINDOW_PX - 1)
        total += _similarity(images[:, :, band].double(), targets[:, :, band].double()).sum(dim=(1, 2, 3))
    return total / (height * width)


def _similarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """SSIM at each position of the window. Of the variances only their sum is needed: four averages, not five."""
    mean_x, mean_y, squares, products = _windowed(torch.stack([x, y, x * x + y * y, x * y])).unbind()
    means_product, means_squares = 2 * mean_x * mean_y, mean_x.square() + mean_y.square()
    covariance, variances = 2 * products - means_product, squares - means_squares
    return ((means_product + _SSIM_C1) * (covariance + _SSIM_C2)) / (
        (means_squares + _SSIM_C1) * (variances + _SSIM_C2)
    )


def _windowed(values: torch.Tensor) -> torch.Tensor:
    """Gaussian means over windows, rows then columns; on the processor shifted sums take a seventh of conv2d's time."""
    return _windowed_along(_windowed_along(values, -2), -1)


def _windowed_along(values: torch.Tensor, dimension: int) -> torch.Tensor:
    half = SSIM_WINDOW_PX // 2
    weights = [math.exp(-0.5 * (offset / SSIM_SIGMA_PX) ** 2) for offset in range(half + 1)]
    norm = weights[0] + 2 * sum(weights[1:])
    length = values.shape[dimension] - 2 * half
    means = values.narrow(dimension, half, length) * (weights[0] / norm)
    for offset in range(1, half + 1):
        before = values.narrow(dimension, half - offset, length)
        means.add_(before + values.narrow(dimension, half + offset, length), alpha=weights[offset] / norm)
    return means
