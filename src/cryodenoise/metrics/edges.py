"""How well a denoised image keeps the edges of the target."""

import torch

from cryodenoise.metrics.pixel import correlation


def edge_preservation(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Correlation of the Laplacians of image and target, in [−1, 1]; 0 where either has no variation.

    The index β of Sattar, Floreby, Salomonsson & Lövström, IEEE Trans. Image Process. 6, 888 (1997). The Laplacian is
    the 3 × 3 one of the four nearest neighbours, on the pixels that have all of them. It weighs high frequencies by the
    fourth power of the frequency: against a target that is itself noisy, it tells of the noise and not of edges.

    Args:
        images: Any real type, shape (n, 1, h, w), at least 3 × 3 pixels.
        targets: Of the same shape.

    Returns:
        float64 of shape (n,).
    """
    return correlation(_laplacian(images.double()), _laplacian(targets.double()))


def _laplacian(values: torch.Tensor) -> torch.Tensor:
    """Shape (n, 1, h, w) to (n, 1, h − 2, w − 2)."""
    centre = values[..., 1:-1, 1:-1]
    above_and_below = values[..., :-2, 1:-1] + values[..., 2:, 1:-1]
    beside = values[..., 1:-1, :-2] + values[..., 1:-1, 2:]
    return (above_and_below + beside).sub_(centre, alpha=4)  # pairs first: equal values give 0 without a rounding
