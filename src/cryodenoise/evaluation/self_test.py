"""Images whose scores are known beforehand: a scorer that gets them wrong must not report others.

Published scores of this field were taken against the noisy file, averaged over batches, or were those of a shifted or
transposed image; each of these mistakes changes an answer here.
"""

import math
from collections.abc import Iterator

import numpy as np
import torch

from cryodenoise import devices
from cryodenoise.config.report import SelfTest
from cryodenoise.evaluation import affine_fitted
from cryodenoise.metrics.accumulate import PatchTable, scores_of
from cryodenoise.metrics.spectral import ShellSums, spectra

_SIDE_PX = 64
_WAVES = 3  # along the side
_AMPLITUDE, _MEAN, _NOISE = 0.25, 0.5, 0.1
_TOLERANCE = 1e-5  # of single precision, in which images come
_PATCHES = 3  # scored as a batch of two and one of one


def run(device: torch.device) -> list[SelfTest]:
    """Score images with known answers on the device that will score.

    The truth is a cosine along the rows; the noise alternates from pixel to pixel, so that it is exactly uncorrelated.

    Raises:
        AssertionError: If an answer is wrong: a fault of the program or of the machine, whatever the data.
    """
    answers = list(_answers(device))
    wrong = [
        f"{name}: {found}, expected {expected}"
        for name, expected, found in answers
        if found is None or not is_right(expected, found)
    ]
    assert not wrong, f"the scorer's self-tests fail, so nothing is reported: {'; '.join(wrong)}"
    return [
        SelfTest(name=name, expected=expected, found=found) for name, expected, found in answers if found is not None
    ]


def is_right(expected: float, found: float) -> bool:
    """Whether an answer is the known one, but for the rounding of single precision."""
    return math.isclose(found, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _answers(device: torch.device) -> Iterator[tuple[str, float, float | None]]:
    """What was scored, the known answer, and what the scorer gives."""
    angle = 2 * math.pi * _WAVES / _SIDE_PX
    rows, columns = np.mgrid[:_SIDE_PX, :_SIDE_PX]
    truth = _MEAN + _AMPLITUDE * np.cos(angle * columns)
    noisy = truth + _NOISE * (-1.0) ** (rows + columns)
    variance = _AMPLITUDE**2 / 2
    noise = _NOISE**2
    expected = {
        "identity": (truth, 0.0, 1.0),
        "noisy input": (noisy, noise, math.sqrt(variance / (variance + noise))),
        "shifted by a pixel": (np.roll(truth, 1, axis=1), 2 * variance * (1 - math.cos(angle)), math.cos(angle)),
        "scaled by two": (2 * truth, _MEAN**2 + variance, 1.0),
        "transposed": (truth.T, 2 * variance, 0.0),
    }
    others = _stack(truth, device)
    for name, (image, mse, correlation) in expected.items():
        images = _stack(image, device)
        table = PatchTable(_PATCHES)
        table.set(0, images[:2], others[:2])
        table.set(2, images[2:], others[2:])
        scores = scores_of(table.values())
        yield f"{name}: MSE", mse, scores.mse
        yield f"{name}: correlation", correlation, scores.correlation.mean
        left = variance * (1 - correlation**2)  # what no affine map explains
        yield f"{name}: MSE with the best affine map", left, affine_fitted.error(table.values())
        if name == "identity":
            yield f"{name}: SSIM", 1.0, scores.ssim.mean
            sums = ShellSums((_SIDE_PX, _SIDE_PX), device)
            sums.add(spectra(images), spectra(others))
            yield f"{name}: FRC, ring {_WAVES}", 1.0, float(sums.frc()[_WAVES - 1])
        else:
            yield f"{name}: PSNR", -10 * math.log10(mse), scores.psnr_db
    # Patches of unequal noise: of equal ones, the mean of the PSNRs of patches or batches would be that of the set.
    table, factors = PatchTable(_PATCHES), torch.arange(1, _PATCHES + 1, device=device).view(-1, 1, 1, 1)
    images = others + factors * (_stack(noisy, device) - others)
    table.set(0, images[:2], others[:2])
    table.set(2, images[2:], others[2:])
    mse = noise * sum(number**2 for number in range(1, _PATCHES + 1)) / _PATCHES
    yield "unequal noise: PSNR", -10 * math.log10(mse), scores_of(table.values()).psnr_db


def _stack(image: np.ndarray, device: torch.device) -> torch.Tensor:
    batch = torch.from_numpy(np.repeat(image[None, None], _PATCHES, axis=0).astype(np.float32))
    return devices.place(batch, device)
