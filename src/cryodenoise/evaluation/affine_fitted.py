"""Scores of a split's patches under the best slope and offset, and their intervals; the pixels are needed no more."""

import numpy as np

from cryodenoise.config.scores import AffineFitted, Interval
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.metrics.accumulate import PatchScores, gain_db, mean, psnr_db
from cryodenoise.metrics.affine_fit import MOMENTS, centred, fit


def scores(values: PatchScores, bootstrap: Bootstrap) -> AffineFitted:
    """Of patches that were scored, at least one; an interval needs all patches of the split.

    Args:
        values: Moments of the patches.
        bootstrap: Draws of the split's micrographs; the map is fitted to each draw anew.
    """
    slope, mse = _fitted(values)
    x, y = (mean(values[name]) for name in MOMENTS[:2])
    interval = None
    if _whole(values, bootstrap):
        interval = bootstrap.interval(lambda *drawn: -10 * np.log10(fit(*drawn)[1]), *centred(values))
    return AffineFitted(slope=slope, offset=y - slope * x, mse=mse, psnr_db=psnr_db(mse), psnr_interval=interval)


def gain(ours: PatchScores, theirs: PatchScores, bootstrap: Bootstrap) -> tuple[float | None, Interval | None]:
    """PSNR of ours less that of theirs, each under its best map of the same patches; and its interval."""
    interval = None
    if _whole(ours, bootstrap):
        interval = bootstrap.interval(
            lambda *drawn: 10 * np.log10(fit(*drawn[5:])[1] / fit(*drawn[:5])[1]), *centred(ours), *centred(theirs)
        )
    return gain_db(error(ours), error(theirs)), interval


def error(values: PatchScores) -> float:
    """The mean squared error under the best map of these patches."""
    return _fitted(values)[1]


def without_the_noise(
    values: PatchScores, noise_powers: np.ndarray, bootstrap: Bootstrap
) -> tuple[float, Interval | None]:
    """The error against an unknown clean image where the patches are held against another half.

    The map is fitted to many pixels whose noise the denoiser did not see, so two numbers take next to none of it in.

    Args:
        values: Moments of what was scored and of the other half.
        noise_powers: Of each patch the noise power of one half, shape (n,).
        bootstrap: Draws of the split's micrographs.

    Returns:
        The estimate, which may be negative, and its interval.
    """
    interval = bootstrap.interval(lambda noise, *drawn: fit(*drawn)[1] - noise, noise_powers, *centred(values))
    return error(values) - mean(noise_powers), interval


def _fitted(values: PatchScores) -> tuple[float, float]:
    """Slope and error."""
    means = (np.array(mean(each)) for each in centred(values))
    slope, mse = fit(*means)
    return float(slope), float(mse)


def _whole(values: PatchScores, bootstrap: Bootstrap) -> bool:
    """Whether these are all patches that were drawn from."""
    return not bootstrap.missing and len(values["mse"]) == bootstrap.patches
