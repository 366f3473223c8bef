"""Sentences without which scores would mislead."""

import math
from collections.abc import Iterator

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import Denoiser
from cryodenoise.config.scores import AgainstReference, BlankProbe
from cryodenoise.metrics.accumulate import gain_db

AS_GOOD_DB = 0.1
"""A gain below this counts as none."""
NEAR_THE_CURVE = 0.003
"""Share by which the error of an affine map may exceed that of the best curve and still count as its equal."""
CHANGED_DB = 0.5
"""By how much the best affine map must change the PSNR for it to be told."""
_SIGMAS = 5.0
_ODD_CORRELATION = 0.02


def remarks(
    denoiser: Denoiser,
    against_target: AgainstReference,
    against_truth: AgainstReference | None,
    blank: BlankProbe | None,
    dataset: DatasetRecord,
    trained_on: str | None,
) -> list[str]:
    """What a reader must know to judge the scores.

    Args:
        denoiser: What was scored.
        against_target: Its scores.
        against_truth: Likewise, where there is a truth beside the target.
        blank: What it makes of blank ice.
        dataset: What was scored on.
        trained_on: Identity of the dataset that a network was trained on.
    """
    scores = against_truth or against_target
    found = [*_of_scores(denoiser, scores), *_of_affine_fit(denoiser, scores), *_of_blank(blank)]
    if dataset.pairs in ("added_noise", "halves") and against_truth is None:
        found.append("The target is itself noisy: no score against it comes near that of the noise-free image.")
    if scores.methods["noisy_input"].scores.mse > 1:
        found.append(
            "The noisy input's mean squared error is above 1, so intensities are of another scale than [0, 1]: the "
            "PSNR's range of 1 is a convention here. Gains do not depend on it."
        )
    if dataset.held_out == "regions":
        found.append(
            "With fewer than three micrographs, validation and test are regions of micrographs that were also "
            "trained on: the scores say nothing of other micrographs."
        )
    if dataset.skipped:
        found.append(f"{len(dataset.skipped)} unusable micrographs were left out; `skipped` names them.")
    if trained_on not in (None, dataset.identity):
        found.append(
            "The network was trained on another dataset than the one it is scored on; whether that one held "
            "micrographs of this test split was not checked."
        )
    return found


def _of_scores(denoiser: Denoiser, scores: AgainstReference) -> Iterator[str]:
    best = scores.methods[scores.best_baseline]
    if denoiser.kind == "baseline":
        pass
    elif best.scores.mse == 0 < scores.denoised.mse:
        yield f"{best.title} leaves no error at all: these scores do not tell {denoiser.name} from it."
    elif best.gain_db is not None and best.gain_db < AS_GOOD_DB:
        subject = best.title if best.kind == "input" else f"{best.title}, a classical filter,"
        if best.gain_db > -AS_GOOD_DB:
            yield (
                f"{subject} does as well as {denoiser.name}, whose gain over it is {best.gain_db:+.2f} dB: less than "
                f"{AS_GOOD_DB} dB count as none."
            )
        else:
            yield f"{subject} does better than {denoiser.name}, by {-best.gain_db:.2f} dB."
    affine, curve = scores.methods["scalar_wiener"].scores.mse, scores.methods["pointwise_optimum"].scores.mse
    if curve > 0 and affine <= (1 + NEAR_THE_CURVE) * curve:
        above = max(affine / curve - 1, 0)  # of few pixels the curve has few points, and may be the worse
        yield (
            f"An affine map of the input, two numbers, comes within {100 * above:.2f} % of the best "
            "curve per intensity: what a denoiser gains here, it gains from neighbouring pixels."
        )
    gain = scores.methods["pointwise_optimum"].gain_db
    if gain is not None and gain < AS_GOOD_DB:
        verdict = "as good as" if gain > -AS_GOOD_DB else "better than"
        yield (
            f"The best curve per intensity, which sees no neighbours, is {verdict} {denoiser.name} "
            f"({gain:+.2f} dB): of independent pixels it is the optimum, and nothing beats it."
        )


def _of_affine_fit(denoiser: Denoiser, scores: AgainstReference) -> Iterator[str]:
    fitted = scores.affine_fitted
    changed_db = gain_db(fitted.mse, scores.denoised.mse)
    if changed_db is None:  # without an error there is no PSNR to compare
        changed_db = 0.0 if fitted.mse == scores.denoised.mse else math.inf
    if denoiser.kind == "baseline" or changed_db <= CHANGED_DB:
        return
    best = scores.methods[scores.affine_fitted_best_baseline]
    gain = best.affine_fitted_gain_db
    gains = "" if gain is None else f", {gain:+.2f} dB over {best.title} with its own"
    psnr = "∞" if fitted.psnr_db is None else f"{fitted.psnr_db:.2f}"
    yield (
        f"{denoiser.name} predicts up to an affine map at best: with the best one, x → {fitted.slope:.4g} · x "
        f"{'−' if fitted.offset < 0 else '+'} {abs(fitted.offset):.4g}, its PSNR is {psnr} dB instead of "
        f"{scores.denoised.psnr_db:.2f} dB{gains}."
    )


def draws(blank: BlankProbe) -> bool:
    """Whether what is made of blank ice under independent noises is alike beyond chance."""
    return abs(blank.correlation) > max(_SIGMAS * blank.correlation_error, _ODD_CORRELATION)


def _of_blank(blank: BlankProbe | None) -> Iterator[str]:
    if blank is None:
        return
    if draws(blank):
        yield (
            f"Given ice that shows nothing, it draws the same under independent noises (correlation "
            f"{blank.correlation:.2f}): what it shows need not be there."
        )
    if blank.energy > 1:
        yield (
            f"Given ice that shows nothing, it leaves {blank.energy:.1f} times the variance of the noise: it makes "
            "structure of noise."
        )
