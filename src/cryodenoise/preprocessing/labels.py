"""Whether given pairs are what their names say: the noisy ones hold more noise than the clean ones."""

from collections.abc import Sequence

import numpy as np

from cryodenoise import micrographs
from cryodenoise.errors import InputError
from cryodenoise.preprocessing.candidate import Candidate, Source

_LOOKED_AT = 8
_CLEARLY = 1.25
"""How many times the noise of the noisy images the clean ones must show to be taken for exchanged."""


def require_noisier(candidates: Sequence[Candidate]) -> None:
    """See that inputs and targets are not exchanged, as far as a few pairs, spread evenly, tell.

    Args:
        candidates: Given pairs that can be used.

    Raises:
        InputError: If the clean images are clearly the noisier ones.
        UserError: If an image cannot be read.
    """
    count = min(_LOOKED_AT, len(candidates))
    chosen = [candidates[(2 * part + 1) * len(candidates) // (2 * count)] for part in range(count)]
    targets = [candidate.target for candidate in chosen if candidate.target]
    noisy = float(np.median([_share_of_noise(candidate.source) for candidate in chosen]))
    clean = float(np.median([_share_of_noise(target) for target in targets]))
    if clean > _CLEARLY * noisy:
        raise InputError(
            f"{targets[0].place}: the clean images are noisier than the noisy ones (by {len(targets)} pairs, noise "
            f"between neighbouring pixels is {clean:.2f} of the clean images' standard deviation and {noisy:.2f} of "
            "the noisy ones'): exchange pairs.noisy and pairs.clean in the run file, or mend the names"
        )


def _share_of_noise(source: Source) -> float:
    image = micrographs.read(source.path, source.image)
    deviation = float(image.std(dtype=np.float64))
    return fine_noise(image) / deviation if deviation else 0.0


def fine_noise(image: np.ndarray) -> float:
    """Standard deviation of white noise that would leave as much in the finest diagonal details.

    The mean magnitude of the diagonal Haar coefficients times √(π/2), which is σ for white Gaussian noise; Donoho and
    Johnstone (Biometrika 81, 1994) take their median, which is 0 where few electrons are counted.

    Args:
        image: float32, shape (h, w).
    """
    height, width = (side // 2 * 2 for side in image.shape)
    even, odd = image[0:height:2, :width], image[1:height:2, :width]
    details = (even[:, ::2] - even[:, 1::2] - odd[:, ::2] + odd[:, 1::2]) / 2
    return float(np.abs(details).mean(dtype=np.float64)) * float(np.sqrt(np.pi / 2)) if details.size else 0.0
