"""The spectral Wiener filter: the best factor at each spatial frequency, the same in all directions.

Wiener, Extrapolation, Interpolation, and Smoothing of Stationary Time Series (1949). For stationary Gaussian images and
noise whose spectra are the same in all directions, no denoiser has a lower mean squared error.
"""

import torch

from cryodenoise.baselines.baseline import Fitted, Known
from cryodenoise.baselines.curve import Curve
from cryodenoise.baselines.fourier import filter_by


class WienerFit:
    """H(k) = Re⟨T·conj X⟩ / ⟨|X|²⟩ over rings of spatial frequency, of noisy images X and their targets T.

    Each image less its mean, under a Hann window, as in `signal.spectrum`; rings around k/n cycles per pixel with n the
    shorter side, from k = 1 to the corners of the transform; sums in float64.
    """

    def __init__(self) -> None:
        self._sums: torch.Tensor = torch.zeros(0)  # power and cross power of a ring
        self._frequencies = torch.zeros(0, dtype=torch.float64)
        self._difference_of_means = 0.0
        self._patches = 0

    def add(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        """Take in a batch, each of shape (n, 1, h, w); all of one shape, at least 4 × 4."""
        height_px, width_px = inputs.shape[-2:]
        window = torch.outer(*(_hann(side_px, inputs.device) for side_px in (height_px, width_px)))
        ring, frequency = _rings(height_px, width_px, inputs.device)
        count = torch.bincount(ring)
        self._frequencies = _sums_over(ring, frequency, len(count)).cpu() / count.cpu()
        for image, target in zip(inputs[:, 0].double(), targets[:, 0].double(), strict=True):
            of_image, of_target = (torch.fft.fft2((value - value.mean()) * window) for value in (image, target))
            values = (of_image.abs().square(), (of_target * of_image.conj()).real)
            sums = torch.stack([_sums_over(ring, value.flatten(), len(count)) for value in values]).cpu()
            self._sums = self._sums + sums if self._patches else sums
            self._difference_of_means += (target.mean() - image.mean()).item()
            self._patches += 1

    def solve(self) -> Curve:
        """The factor at each frequency, in cycles per pixel; 0 where there is no power."""
        power, cross = self._sums[:, 1:]
        return Curve(self._frequencies[1:], torch.where(power > 0, cross / power.where(power > 0, 1), 0))

    def difference_of_means(self) -> float:
        """Mean of the targets less that of the noisy images."""
        return self._difference_of_means / self._patches


def _hann(side_px: int, device: torch.device) -> torch.Tensor:
    return torch.hann_window(side_px + 2, periodic=False, dtype=torch.float64, device=device)[1:-1]


def _rings(height_px: int, width_px: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The ring and the frequency of each element of a transform, both of shape (h · w,)."""
    rows, columns = (
        torch.fft.fftfreq(side_px, dtype=torch.float64, device=device) for side_px in (height_px, width_px)
    )
    frequency = (rows[:, None].square() + columns[None, :].square()).sqrt().flatten()
    return (frequency * min(height_px, width_px)).round().long(), frequency


def _sums_over(ring: torch.Tensor, values: torch.Tensor, rings: int) -> torch.Tensor:
    return torch.zeros(rings, dtype=torch.float64, device=values.device).index_add_(0, ring, values)


def fit(known: Known) -> Fitted:
    """The filter that is best on the training patches.

    A patch keeps its own mean, plus the mean difference of targets and inputs: the mean of so many pixels is as good as
    free of noise, while a factor for it, found from the few means of a few micrographs, would not be.
    """
    sums = WienerFit()
    for noisy, targets in known.training():
        sums.add(noisy, targets)
    curve, difference = sums.solve(), sums.difference_of_means()
    varying = filter_by(lambda rows, columns: curve((rows.square() + columns.square()).sqrt()))

    def denoise(images: torch.Tensor) -> torch.Tensor:
        means = images.mean(dim=(1, 2, 3), keepdim=True, dtype=torch.float64)
        return varying((images - means).to(images.dtype)) + (means + difference).to(images.dtype)

    highest = curve.outputs.max().item()
    below_half = curve.inputs[curve.outputs < highest / 2]
    found = {"highest_factor": highest, "difference_of_means": difference}
    if len(below_half):
        found["first_below_half_per_px"] = below_half[0].item()
    return Fitted(denoise, found)
