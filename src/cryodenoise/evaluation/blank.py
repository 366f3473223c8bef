"""The hallucination probe: what a denoiser makes of ice that shows nothing.

Two images of the same nothing, under independent noises, have nothing in common but what the denoiser draws into both;
and of either no more should be left than a filter would leave. The noise is Gaussian, with the radial power of that of
the inputs: what else is peculiar to it, such as hot pixels, the probe does not know.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from cryodenoise import devices, seeds
from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.scores import BlankProbe
from cryodenoise.metrics.pixel import correlation
from cryodenoise.metrics.spectral import ShellSums, spectra

IMAGES = 8
_BORDER_SHARE = 8  # an eighth of each side is left out: networks draw what they pad with


def probe(
    denoise: Denoise,
    baselines: Mapping[str, Denoise],
    mean: float,
    noise_power: Sequence[float],
    bounds: tuple[float, float],
    shape: tuple[int, int],
    seed: int,
    device: torch.device,
) -> BlankProbe:
    """Denoise blank ice twice.

    Args:
        denoise: Takes and gives images (n, 1, h, w); what it gives is finite.
        baselines: Filters that are given the same.
        mean: Intensity of the ice.
        noise_power: Radial power of the noise at k/n cycles per pixel, n the shorter side and k from 1 to n/2.
        bounds: Between which inputs lie, since they were clipped there; else −∞ and ∞.
        shape: Rows and columns of an image.
        seed: Of the noise.
        device: Where images are denoised.
    """
    rows_px, columns_px = shape
    rows, columns = (slice(side // _BORDER_SHARE, side - side // _BORDER_SHARE) for side in shape)
    inner = (rows.stop - rows.start, columns.stop - columns.start)
    amplitude = _amplitude(noise_power, shape)
    sums = ShellSums(inner, device)
    correlations: list[float] = []
    variances: dict[str, list[float]] = {name: [] for name in ("noise", "denoised", *baselines)}
    for number in range(IMAGES):
        noisy = []
        for which in range(2):
            white = seeds.generator(seed, "blank", number, which).standard_normal(shape)
            noise = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape)
            image = np.clip(mean + noise, *bounds).astype(np.float32)
            noisy.append(devices.place(torch.from_numpy(image).view(1, 1, rows_px, columns_px), device))
        denoised = [denoise(image)[..., rows, columns].double() for image in noisy]
        sums.add(*(spectra(image) for image in denoised))
        correlations.append(correlation(*denoised).item())
        variances["noise"].append(_variance(noisy[0][..., rows, columns]))
        variances["denoised"].append(_variance(denoised[0]))
        for name, baseline in baselines.items():
            variances[name].append(_variance(baseline(noisy[0])[..., rows, columns]))
    means = {name: float(np.mean(values)) for name, values in variances.items()}
    power = means.pop("noise")
    shares = {name: value / power if power else 0.0 for name, value in means.items()}
    return BlankProbe(
        images=IMAGES,
        noise_power=power,
        energy=shares.pop("denoised"),
        energy_of_baselines=shares,
        correlation=float(np.mean(correlations)),
        correlation_error=_error(sums.power_of_first(), inner) / IMAGES**0.5,
        frequency_per_px=sums.frequencies_per_px(),
        frc=sums.frc(),
    )


def _variance(image: torch.Tensor) -> float:
    return image.double().var(correction=0).item()


def _amplitude(noise_power: Sequence[float], shape: tuple[int, int]) -> np.ndarray:
    """What white noise is multiplied by in Fourier space; without a mean, and level beyond the last ring."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    rings = np.arange(1, len(noise_power) + 1) / min(shape)
    amplitude = np.sqrt(np.interp(frequency, rings, noise_power))
    amplitude[0, 0] = 0.0
    result: np.ndarray = amplitude
    return result


def _error(power: Sequence[float], shape: tuple[int, int]) -> float:
    """Standard deviation of the correlation of two independent images of so much power in each ring.

    Each of the independent coefficients counts by its power: 1 / √(Σp)²/Σp² of them.
    """
    rings = np.arange(1, len(power) + 1)
    coefficients = 2 * np.pi * rings * (shape[0] * shape[1] / min(shape) ** 2)  # of a ring, both halves of the plane
    total = (coefficients * power).sum()
    return float(np.sqrt((coefficients * np.square(power)).sum()) / total) if total > 0 else 1.0
