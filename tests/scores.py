"""Scores made up for tests."""

from cryodenoise.config.report import AffineMap, Scores, ScoreSet, Spread
from cryodenoise.evaluation.score import gain_db
from cryodenoise.metrics.accumulate import psnr_db

_SPREAD = Spread(mean=0.5, median=0.5, min=0.5, max=0.5)


def scores(mse: float) -> Scores:
    """Scores of a mean squared error."""
    return Scores(mse=mse, rmse=mse**0.5, mae=mse**0.5, psnr_db=psnr_db(mse), ssim=_SPREAD, correlation=_SPREAD)


def set_of(network: float, reference: float) -> ScoreSet:
    """Scores of a network and of both references, by their mean squared errors."""
    ours, theirs = scores(network), scores(reference)
    return ScoreSet(
        denoised=ours,
        noisy_input=theirs,
        scalar_wiener=theirs,
        affine_map=AffineMap(slope=1.0, offset=0.0),
        gain_over_input_db=gain_db(ours, theirs),
        gain_over_scalar_wiener_db=gain_db(ours, theirs),
    )
