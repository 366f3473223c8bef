"""What a report says first: the gain over the best classical baseline, and in plain sentences what it means."""

from dataclasses import dataclass

from cryodenoise.config.report import Report
from cryodenoise.config.scores import BlankProbe, Method
from cryodenoise.evaluation.remarks import draws
from cryodenoise.report import wording
from cryodenoise.report.wording import interval, number


@dataclass(frozen=True)
class Headline:
    """The first thing to be read.

    Attributes:
        gain: The gain with its unit, such as `+1.23 dB`.
        interval: Its 95 % interval; empty where there is none.
        over: Title of the best baseline.
        sentences: What it means.
        halves: What independent halves tell of the unknown noise-free image; None where there are none.
    """

    gain: str
    interval: str
    over: str
    sentences: tuple[str, ...]
    halves: str | None


def of_report(report: Report) -> Headline:
    """The headline of a report, about the scores against the truth where there is one."""
    scores = report.that_counts
    best = scores.methods[scores.best_baseline]
    shown = "no gain to tell" if best.gain_db is None else f"{wording.gain(best.gain_db)} dB"
    around = interval(best.gain_interval, 2, signed=True)
    sentences = [_meaning(report, best), _certainty(report, best)]
    if best.samples < report.samples:
        sentences.append(
            f"The two were compared on {best.samples:,} of the {wording.pieces(report.samples, 'patch')}, on which "
            "slow filters were scored."
        )
    if wording.reference_is_noisy(report):
        sentences.append(
            "The target shows noise of its own, which no denoiser can predict: the scores are not those against a "
            "noise-free image."
        )
    return Headline(shown, around, best.title, tuple(sentences), _halves(report))


def affine_fitted(report: Report) -> str:
    """What scores with the best affine map say, which do not ask for the right scale."""
    scores = report.that_counts
    name, its = report.denoiser.name, scores.affine_fitted
    best = scores.methods[scores.affine_fitted_best_baseline]
    around = interval(best.affine_fitted_gain_interval, 2, signed=True)
    gain = wording.beside(f"{wording.gain(best.affine_fitted_gain_db)} dB", around)
    shown = "no gain to tell" if best.affine_fitted_gain_db is None else f"a gain of {gain}"
    return (
        "With affine fit, each method has the one slope and offset that fit the whole split best, which also compares "
        f"what predicts up to an affine map: {name} then has {wording.psnr(its.psnr_db)} dB, {shown} over "
        f"{best.title}, the best baseline with its own."
    )


def blank(probe: BlankProbe) -> str:
    """What the probe with ice that shows nothing says."""
    beyond = probe.correlation / probe.correlation_error if probe.correlation_error else 0.0
    verdict = (
        f"that is {number(beyond, 1)} standard deviations from what chance gives, so it draws what is not there"
        if draws(probe)
        else "which is within what chance gives: no sign that it draws what is not there"
    )
    return (
        f"Of ice that shows nothing, under noise of a variance of {probe.noise_power:.4g}, "
        f"{wording.percent(probe.energy, 2)} of that variance is left. Denoised under two independent noises, the same "
        f"ice correlates by "
        f"{number(probe.correlation, 4)} ± {number(probe.correlation_error, 4)}, {verdict}."
    )


def _meaning(report: Report, best: Method) -> str:
    name, reference = report.denoiser.name, wording.reference_of(report)
    it = "the noisy input, which comes closer than any classical filter" if best.kind == "input" else best.title
    if best.gain_db is None:
        return f"{name} or the best classical baseline, {it}, has no error at all against the {reference}."
    share = 10 ** (-best.gain_db / 10) - 1
    how = f"{wording.percent(abs(share))} {'lower' if share < 0 else 'higher'} than"
    if round(share, 3) == 0:
        how = "the same as"
    return (
        f"The mean squared error of {name} against the {reference} is {how} that of the best classical baseline, {it}."
    )


def _certainty(report: Report, best: Method) -> str:
    around = best.gain_interval
    if around is None:
        why = f": {report.intervals_missing}" if report.intervals_missing else " of this gain"
        return f"There is no 95 % interval{why}."
    says = f"The 95 % interval, by bootstrap over {wording.pieces(report.micrographs, 'micrograph')},"
    if around.low > 0:
        return f"{says} lies above 0: the gain does not hang on which micrographs were scored."
    if around.high < 0:
        return f"{says} lies below 0: the baseline is the better of the two."
    return f"{says} holds 0: these micrographs cannot tell the two apart."


def _halves(report: Report) -> str | None:
    halves = report.halves
    if halves is None:
        return None
    if halves.psnr_db is None:
        return (
            "From independent halves: the estimate of the error against the unknown noise-free image is "
            f"{number(halves.mse, 6)}, lost in the noise of the estimate, so there is no PSNR to tell."
        )
    beside = "" if halves.input_psnr_db is None else f"; that of a noisy half is {number(halves.input_psnr_db, 2)} dB"
    spread = "" if halves.mse_interval is None else f", {interval(halves.mse_interval, 6)}"
    fitted = number(halves.affine_fitted_psnr_db, 2)
    with_fit = "" if halves.affine_fitted_psnr_db is None else f"; with affine fit it is {fitted} dB"
    return (
        f"From independent halves, without any truth: PSNR against the unknown noise-free image is estimated at "
        f"{number(halves.psnr_db, 2)} dB (mean squared error {number(halves.mse, 6)}{spread}){with_fit}{beside}."
    )
