from typing import Any

import pytest

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import Denoiser
from cryodenoise.config.schema import Schema
from cryodenoise.config.scores import AffineFitted, AgainstReference, BlankProbe, Method, Scores
from cryodenoise.evaluation.remarks import remarks
from cryodenoise.metrics.accumulate import gain_db

KNOWN: dict[str, Any] = {"pairs": "truth", "held_out": "micrographs", "skipped": [], "identity": "0" * 64}
NETWORK = Denoiser(kind="network", name="cnn3", parameters=9, found={}, sha256="0" * 64)


def partly(schema: type[Schema], **known: Any) -> Any:
    """A document of which only what is looked at is filled in."""
    return schema.model_construct(**known)


QUIET: BlankProbe = partly(BlankProbe, energy=0.1, correlation=0.001, correlation_error=0.001)


def against(
    ours: float, best: float, affine: float | None = None, curve: float | None = None, noisy: float = 0.5
) -> AgainstReference:
    """Scores of a network, the best filter, both maps that are fitted to the split and the input, by their errors."""
    errors = {
        "noisy_input": noisy,
        "wiener": best,
        "scalar_wiener": affine or 10 * best,
        "pointwise_optimum": curve or 9 * best,
    }
    methods = {
        name: partly(
            Method, title=name.capitalize(), kind="baseline", gain_db=gain_db(ours, mse), scores=partly(Scores, mse=mse)
        )
        for name, mse in errors.items()
    }
    scores: AgainstReference = partly(
        AgainstReference,
        denoised=partly(Scores, mse=ours),
        methods=methods,
        best_baseline="wiener",
        affine_fitted=partly(AffineFitted, mse=ours),
        affine_fitted_best_baseline="wiener",
    )
    return scores


def said(
    scores: AgainstReference, blank: BlankProbe | None = QUIET, denoiser: Denoiser = NETWORK, **known: Any
) -> list[str]:
    dataset = partly(DatasetRecord, **{**KNOWN, **known})
    return remarks(denoiser, scores, None, blank, dataset, known.get("trained_on", dataset.identity))


@pytest.mark.parametrize(
    ("ours", "best", "verdict"),
    [
        (0.02, 0.01, "does better than cnn3"),
        (0.01, 0.01, "does as well as cnn3"),
        (0.01, 0.0, "leaves no error at all"),
    ],
)
def test_a_network_that_a_filter_matches_is_told_of(ours: float, best: float, verdict: str) -> None:
    (remark,) = said(against(ours, best, affine=1.0, curve=0.5))
    assert remark.startswith("Wiener")
    assert verdict in remark
    assert "None" not in remark


@pytest.mark.parametrize(("ours", "best"), [(0.001, 0.01), (0.0, 0.01), (0.0, 0.0)])
def test_nothing_is_said_of_a_network_that_is_not_matched(ours: float, best: float) -> None:
    assert said(against(ours, best, affine=1.0, curve=0.5)) == []


def test_intensities_of_another_scale_are_told_of() -> None:
    (remark,) = said(against(0.001, 0.01, affine=1.0, curve=0.5, noisy=1800.0))
    assert "intensities are of another scale than [0, 1]" in remark


def test_a_filter_is_not_told_that_filters_are_as_good() -> None:
    baseline = NETWORK.model_copy(update={"kind": "baseline"})
    assert said(against(0.01, 0.01, affine=1.0, curve=0.5), denoiser=baseline) == []


def test_an_affine_map_as_good_as_the_best_curve_is_told_of() -> None:
    (remark,) = said(against(0.001, 0.01, affine=0.01002, curve=0.01))
    assert "An affine map of the input, two numbers, comes within 0.20 % of the best curve" in remark
    assert said(against(0.001, 0.01, affine=0.01004, curve=0.01)) == []


def test_that_nothing_beats_the_optimum_is_told() -> None:
    (remark,) = said(against(0.0101, 0.02, affine=0.02, curve=0.01))
    assert "The best curve per intensity, which sees no neighbours, is as good as cnn3 (-0.04 dB)" in remark


def test_what_is_drawn_on_blank_ice_is_told() -> None:
    good = against(0.001, 0.01, affine=1.0, curve=0.5)
    (drawn,) = said(good, QUIET.model_copy(update={"correlation": 0.3}))
    assert "correlation 0.30" in drawn
    (loud,) = said(good, QUIET.model_copy(update={"energy": 2.5}))
    assert "2.5 times the variance of the noise" in loud
    assert said(good, QUIET.model_copy(update={"correlation": 0.3, "correlation_error": 0.1})) == []
    assert said(good, None) == []


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"pairs": "added_noise"}, "The target is itself noisy"),
        ({"held_out": "regions"}, "nothing of other micrographs"),
        ({"skipped": [1, 2]}, "2 unusable micrographs"),
        ({"trained_on": "1" * 64}, "trained on another dataset"),
    ],
)
def test_what_limits_the_scores_is_told(known: dict[str, Any], expected: str) -> None:
    (remark,) = said(against(0.001, 0.01, affine=1.0, curve=0.5), **known)
    assert expected in remark


@pytest.mark.parametrize(("changed_db", "told"), [(0.4, False), (0.6, True), (20.0, True)])
def test_that_a_network_predicts_up_to_an_affine_map_is_told(changed_db: float, told: bool) -> None:
    scores = against(0.001, 0.01, affine=1.0, curve=0.5)
    scores.methods["wiener"] = scores.methods["wiener"].model_copy(update={"affine_fitted_gain_db": 1.5})
    mse, psnr_db = 0.001 * 10 ** (-changed_db / 10), 30 + changed_db
    fitted = AffineFitted(slope=0.5, offset=-0.25, mse=mse, psnr_db=psnr_db, psnr_interval=None)
    denoised = partly(Scores, mse=0.001, psnr_db=30.0)
    scores = scores.model_copy(update={"denoised": denoised, "affine_fitted": fitted})
    found = said(scores)
    assert bool(found) == told
    if told:
        assert "cnn3 predicts up to an affine map at best: with the best one, x → 0.5 · x − 0.25" in found[0]
        assert f"{30 + changed_db:.2f} dB instead of 30.00 dB, +1.50 dB over Wiener with its own." in found[0]
    assert said(scores, denoiser=NETWORK.model_copy(update={"kind": "baseline"})) == []
