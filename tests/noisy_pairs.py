"""Noisy images and their targets, made up for tests."""

from collections.abc import Iterator

import torch

from cryodenoise.baselines import Batches, Known

Pair = tuple[torch.Tensor, torch.Tensor]


def pair(seed: int, samples: int = 5, height: int = 33, width: int = 47) -> Pair:
    """Uniform targets under white noise, clipped a little outside [0, 1]; float32 of shape (samples, 1, h, w)."""
    rng = torch.Generator().manual_seed(seed)
    target = torch.rand(samples, 1, height, width, generator=rng)
    return (target + 0.2 * torch.randn(target.shape, generator=rng)).clamp(-0.1, 1.1), target


def field(seed: int, spectrum: torch.Tensor, samples: int, side_px: int) -> torch.Tensor:
    """Gaussian random fields of a power spectrum, cut from larger periodic ones: no edge meets its opposite.

    Args:
        seed: Of the generator.
        spectrum: Variance at each frequency of a square transform as torch.fft.fft2 orders it, float64.
        samples: How many.
        side_px: Side of a patch, less than that of the transform.
    """
    rng = torch.Generator().manual_seed(seed)
    white = torch.randn(samples, 1, *spectrum.shape, dtype=torch.float64, generator=rng)
    whole: torch.Tensor = torch.fft.ifft2(torch.fft.fft2(white) * spectrum.sqrt()).real
    return whole[..., :side_px, :side_px].contiguous()


def frequencies(side_px: int) -> torch.Tensor:
    """Spatial frequency of each element of a square transform, in cycles per pixel, float64."""
    along = torch.fft.fftfreq(side_px, dtype=torch.float64)
    return torch.hypot(along[:, None], along[None, :])


def in_batches(images: torch.Tensor, targets: torch.Tensor, batch_size: int) -> Batches:
    """Batches of a pair; each lies in the same buffer, as those of the loader may."""

    def batches() -> Iterator[Pair]:
        buffers = [torch.empty_like(images[:batch_size]), torch.empty_like(targets[:batch_size])]
        for start in range(0, len(images), batch_size):
            stop = min(start + batch_size, len(images))
            noisy, clean = (buffer[: stop - start] for buffer in buffers)
            yield noisy.copy_(images[start:stop]), clean.copy_(targets[start:stop])
        for buffer in buffers:
            buffer.fill_(torch.nan)

    return batches


def known(
    training: Pair, validation: Pair | None = None, pixel_size_angstrom: float | None = None, batch_size: int = 2
) -> Known:
    """What a baseline may learn from; without validation patches, it has those of training."""
    first, second = (in_batches(*images, batch_size) for images in (training, validation or training))
    return Known(first, second, pixel_size_angstrom)


def mean_squared_error(denoised: torch.Tensor, targets: torch.Tensor) -> float:
    """Over all pixels, in float64."""
    return (denoised.double() - targets).square().mean().item()
