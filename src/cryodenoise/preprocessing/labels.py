"""Whether given pairs are what their names say: the noisy ones hold more noise than the clean ones."""

from collections.abc import Iterable, Sequence

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.run_files import PARTS, PreprocessParameters
from cryodenoise.errors import InputError
from cryodenoise.preprocessing.candidate import Candidate

_LOOKED_AT = 8
_CLEARLY = 1.25
"""How many times the share of noise of the noisy images the clean ones must show to be taken for exchanged."""
_RELATED = 0.2
"""Correlation of fine details, as a magnitude, from which on a residual is taken to be related to an image."""
_FLAT = 1.5
"""By what factor the strength of white noise may differ between its finest and its next details."""


def require_noisier(candidates: Sequence[Candidate], parameters: PreprocessParameters) -> None:
    """See that inputs and targets are not exchanged, in each part of a split by itself, as far as a few pairs tell.

    Args:
        candidates: Given pairs that can be used.
        parameters: What is made of them.

    Raises:
        InputError: If the clean images of a part are the noisy ones, as `exchanged` has it.
        UserError: If an image cannot be read.
    """
    by_folders = parameters.split.by == "folders"
    parts = [f"{part}/" for part in PARTS] if by_folders else [""]
    of_part = {part: [each for each in candidates if each.name.startswith(part)] for part in parts}
    seen = {part: _evenly(inside) for part, inside in of_part.items() if inside}
    wrong = {part: chosen for part, chosen in seen.items() if exchanged(map(_pixels, chosen))}
    if not wrong:
        return
    part, chosen = next(iter(wrong.items()))
    target = chosen[0].target
    assert target is not None  # `pair_up` sees to it
    where = f"in {', '.join(wrong)} " if by_folders else ""
    what = "pairs.noisy and pairs.clean in the run file" if len(wrong) == len(seen) else f"the two in {part}"
    pairs = f"{len(chosen)} pair{'s' * (len(chosen) > 1)}"
    raise InputError(
        f"{target.place}: {where}the clean images are noisier than the noisy ones (by {pairs}: the clean ones are the "
        f"noisy ones plus white noise): exchange {what}, or mend the names"
    )


def _evenly(candidates: Sequence[Candidate]) -> list[Candidate]:
    count = min(_LOOKED_AT, len(candidates))
    return [candidates[(2 * part + 1) * len(candidates) // (2 * count)] for part in range(count)]


def _pixels(candidate: Candidate) -> tuple[np.ndarray, np.ndarray]:
    assert candidate.target is not None  # `pair_up` sees to it
    noisy, clean = (micrographs.read(each.path, each.image) for each in (candidate.source, candidate.target))
    return noisy, clean


def exchanged(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether of pairs (noisy, clean) the clean images are surely the noisy ones.

    All must hold, by the medians over the pairs. With noise that is uncorrelated with a clean signal of whatever kind,
    the residual of a noisy image against its clean one has fine details that are uncorrelated with those of the clean
    one, so that right labels fail the second; a slope is that of least squares over all pixels.

    1. Noise between neighbouring pixels, as a share of the standard deviation, is clearly larger in the clean images.
    2. Fine details of noisy − slope · clean are correlated with those of the clean image.
    3. Fine details of clean − slope · noisy are much less correlated with those of the noisy image.
    4. That residual is as strong in its finest details as in the next, as white noise is.

    Args:
        pairs: Images of one shape each, float32 of shape (h, w); units may differ by a factor and an offset.
    """
    found = np.array([_compared(noisy, clean) for noisy, clean in pairs])
    shares, backward, forward, slope = np.median(found, axis=0)
    related = -backward > max(_RELATED, 2 * abs(forward))
    return bool(shares > _CLEARLY and related and 1 / _FLAT < slope < _FLAT)


def _compared(noisy: np.ndarray, clean: np.ndarray) -> tuple[float, float, float, float]:
    """What `exchanged` looks at: ratio of shares, two correlations, ratio of the finest details to the next."""
    noisy, clean = (image - image.mean(dtype=np.float64) for image in (noisy, clean))  # in float64
    both, of_noisy, of_clean = (float(np.vdot(a, b)) for a, b in ((noisy, clean), (noisy, noisy), (clean, clean)))
    fine = fine_noise(noisy), fine_noise(clean)
    if not (of_noisy and of_clean and fine[1]):
        return 0.0, 0.0, 0.0, 0.0  # a constant image, or one without any noise, is not the noisy one
    shares = fine[1] / max(fine[0], 1e-12 * fine[1] * (of_noisy / of_clean) ** 0.5) * (of_noisy / of_clean) ** 0.5
    backward = _correlation(details(noisy - both / of_clean * clean), details(clean))
    residual = clean - both / of_noisy * noisy
    forward = _correlation(details(residual), details(noisy))
    next_finest = 2 * fine_noise(_halved(residual))  # the mean of four has half their deviation
    return shares, backward, forward, fine_noise(residual) / next_finest if next_finest else 0.0


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    norm = float(np.vdot(first, first) * np.vdot(second, second)) ** 0.5
    return float(np.vdot(first, second)) / norm if norm else 0.0


def _quarters(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of all blocks of 2 × 2, by their place in the block."""
    height, width = (side // 2 * 2 for side in image.shape)
    even, odd = image[0:height:2, :width], image[1:height:2, :width]
    return even[:, ::2], even[:, 1::2], odd[:, ::2], odd[:, 1::2]


def _halved(image: np.ndarray) -> np.ndarray:
    a, b, c, d = _quarters(image)
    mean: np.ndarray = (a + b + c + d) / 4
    return mean


def details(image: np.ndarray) -> np.ndarray:
    """Diagonal Haar coefficients of the finest level, shape (h // 2, w // 2)."""
    a, b, c, d = _quarters(image)
    diagonal: np.ndarray = (a - b - c + d) / 2
    return diagonal


def fine_noise(image: np.ndarray) -> float:
    """Standard deviation of white noise that would leave as much in the finest diagonal details.

    The mean magnitude of the diagonal Haar coefficients times √(π/2), which is σ for white Gaussian noise; Donoho and
    Johnstone (Biometrika 81, 1994) take their median, which is 0 where few electrons are counted.

    Args:
        image: Floats of shape (h, w).
    """
    found = details(image)
    return float(np.abs(found).mean(dtype=np.float64)) * float(np.sqrt(np.pi / 2)) if found.size else 0.0
