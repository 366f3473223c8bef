import pytest

from cryodenoise.config.report import Report
from cryodenoise.config.scores import Interval
from cryodenoise.evaluation.measures import Measures
from cryodenoise.evaluation.remarks import draws
from cryodenoise.report import headline

Variants = dict[str, tuple[Report, Measures]]


def with_best(report: Report, **changes: object) -> Report:
    """The report with another best baseline against the truth."""
    assert report.against_truth
    scores = report.against_truth
    best = scores.methods[scores.best_baseline].model_copy(update=changes)
    methods = {**scores.methods, scores.best_baseline: best}
    return report.model_copy(update={"against_truth": scores.model_copy(update={"methods": methods})})


def test_it_is_about_the_truth_where_there_is_one(variants: Variants) -> None:
    report = variants["truth"][0]
    assert report.against_truth
    gain = report.against_truth.methods["gaussian"].gain_db
    found = headline.of_report(report)
    assert report.against_truth.best_baseline == "gaussian"
    assert found.gain == f"{gain:+.2f} dB"
    assert found.over == "Gaussian blur"
    assert "against the truth" in found.sentences[0]
    target = headline.of_report(variants["no-truth"][0])
    assert "against the target" in target.sentences[0]
    assert "noise of its own" in target.sentences[-1]


@pytest.mark.parametrize(
    ("gain_db", "interval", "meaning", "certainty"),
    [
        (3.0103, (2.0, 4.0), "is 50.0 % lower than", "lies above 0"),
        (-3.0103, (-4.0, -2.0), "is 100.0 % higher than", "lies below 0"),
        (0.5, (-0.1, 1.1), "lower than", "cannot tell the two apart"),
        (0.0, (-0.1, 0.1), "is the same as", "cannot tell the two apart"),
    ],
)
def test_the_gain_in_words(
    variants: Variants, gain_db: float, interval: tuple[float, float], meaning: str, certainty: str
) -> None:
    around = Interval(low=interval[0], high=interval[1])
    found = headline.of_report(with_best(variants["truth"][0], gain_db=gain_db, gain_interval=around))
    assert meaning in found.sentences[0]
    assert certainty in found.sentences[1]


def test_what_is_missing_is_told(variants: Variants) -> None:
    found = headline.of_report(variants["no-intervals"][0])
    assert found.interval == ""
    assert "There is no 95 % interval: 1 micrograph, and" in found.sentences[1]
    exact = headline.of_report(variants["no-error"][0])
    assert exact.gain == "no gain to tell"
    assert "has no error at all against the truth" in exact.sentences[0]
    subset = headline.of_report(with_best(variants["truth"][0], samples=10))
    assert "on 10 of the 20 patches" in subset.sentences[-1]


def test_the_noisy_input_may_be_the_best(variants: Variants) -> None:
    found = headline.of_report(with_best(variants["truth"][0], kind="input", title="noisy input"))
    assert "the noisy input, which comes closer than any classical filter" in found.sentences[0]


def test_halves_tell_of_the_unknown_image(variants: Variants) -> None:
    report = variants["halves"][0]
    assert report.halves
    found = headline.of_report(report).halves
    assert found
    assert f"{report.halves.psnr_db:.2f} dB (mean squared error {report.halves.mse:.6f}" in found
    lost = report.halves.model_copy(update={"mse": -0.001, "psnr_db": None})
    assert "−0.001000, lost in the noise" in str(headline.of_report(report.model_copy(update={"halves": lost})).halves)


def test_the_probe_tells_chance_from_drawing(variants: Variants) -> None:
    probe = variants["truth"][0].blank
    assert probe
    assert "no sign that it draws" in headline.blank(probe)
    drawing = probe.model_copy(update={"correlation": 10 * probe.correlation_error})
    assert "10.0 standard deviations from what chance gives, so it draws what is not there" in headline.blank(drawing)


@pytest.mark.parametrize(("deviations", "says"), [(4.0, False), (-4.0, False), (10.0, True), (-10.0, True)])
def test_the_page_calls_drawing_what_the_remark_calls_so(variants: Variants, deviations: float, says: bool) -> None:
    probe = variants["truth"][0].blank
    assert probe
    found = probe.model_copy(update={"correlation": 0.02 * deviations, "correlation_error": 0.02})
    assert ("so it draws" in headline.blank(found)) is says
    assert draws(found) is says
