import pytest

from cryodenoise.config.report import Report
from cryodenoise.config.scores import HalvesEstimate
from cryodenoise.report.table import headline, render
from reports import report, variants


@pytest.mark.parametrize("name", variants())
def test_every_method_has_its_row(name: str) -> None:
    shown = report() if name == "plain" else variants()[name][0]
    lines = render(shown).splitlines()
    for scores in filter(None, (shown.against_truth, shown.against_target)):
        for method in scores.methods.values():
            row = next(
                line for line in lines if line.startswith(method.title + " ") and f"{method.scores.mse:.6f}" in line
            )
            assert ("–" if method.gain_db is None else f"{method.gain_db:+.2f}") in row


def test_the_first_line_is_the_gain_over_the_best_baseline() -> None:
    shown = report()
    scores = shown.against_truth
    assert scores is not None
    best = scores.methods[scores.best_baseline]
    first = render(shown).splitlines()[0]
    assert first == headline(shown)
    assert f"gains {best.gain_db:+.2f} dB" in first
    assert first.endswith(f"over the best classical baseline, {best.title}, against the truth")


def test_without_an_error_there_is_no_gain_but_an_infinite_psnr() -> None:
    def exact(shown: Report) -> Report:
        scores = shown.against_target
        methods = {
            name: method.model_copy(update={"gain_db": None, "gain_interval": None})
            for name, method in scores.methods.items()
        }
        denoised = scores.denoised.model_copy(update={"mse": 0.0, "psnr_db": None})
        update = {"denoised": denoised, "methods": methods}
        return shown.model_copy(update={"against_truth": None, "against_target": scores.model_copy(update=update)})

    shown = render(exact(report()))
    assert "gains – dB over the best classical baseline" in shown
    assert shown.count("∞") == 1  # with affine fit it is made up from other images
    assert "None" not in shown


def test_why_there_are_no_intervals_is_told() -> None:
    assert "no intervals: 1 test micrograph: too few" in render(report(intervals_missing="1 test micrograph: too few"))


def test_images_of_another_program_have_no_speed() -> None:
    shown = report()
    resources = shown.resources.model_copy(update={"patches_per_s": None, "megapixels_per_s": None})
    lines = render(shown.model_copy(update={"resources": resources})).splitlines()
    assert any(f"scored on {shown.device}; peak memory" in line for line in lines)
    assert "patches/s" not in "".join(lines)


def test_an_estimate_that_is_not_positive_is_no_infinite_psnr() -> None:
    halves = HalvesEstimate(
        mse=-1e-6,
        mse_interval=None,
        psnr_db=None,
        affine_fitted_mse=-2e-6,
        affine_fitted_mse_interval=None,
        affine_fitted_psnr_db=None,
        noise_power=0.01,
        input_psnr_db=20.0,
        frequency_per_px=[],
        frc_denoised=[],
        frc_noisy=[],
        frc_below_0_143_per_px=None,
    )
    lines = render(report().model_copy(update={"halves": halves})).splitlines()
    (line,) = (each for each in lines if each.startswith("from independent halves"))
    assert "PSNR against the unknown noise-free image lost in the noise of the estimate, of the input 20.00 dB" in line
