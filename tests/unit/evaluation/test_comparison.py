"""Scores of made-up patches, held against a few lines of numpy."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from scipy import ndimage

from cryodenoise.config.scores import AgainstReference
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.evaluation.comparison import Comparison
from cryodenoise.metrics.spectral import spectra
from cryodenoise.signal.spectrum import radial_power_spectrum

CPU = torch.device("cpu")
PATCHES, SIDE = 12, 24
Made = Callable[[np.ndarray], np.ndarray]


def blurred(images: np.ndarray, sigma: float = 1.0) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma)))


@dataclass
class Images:
    """Patches of shape (n, h, w)."""

    reference: np.ndarray
    noisy: np.ndarray
    denoised: np.ndarray
    others: dict[str, np.ndarray] = field(default_factory=dict)
    scored: dict[str, list[int]] = field(default_factory=dict)


def images(seed: int = 0, patches: int = PATCHES) -> Images:
    rng = np.random.default_rng(seed)
    reference = 0.5 + blurred(rng.normal(0, 0.4, (patches, SIDE, SIDE)), 2.0)
    noisy = reference + rng.normal(0, 0.2, reference.shape)
    denoised, more, less = (blurred(noisy, sigma) for sigma in (1.2, 3.0, 0.6))
    as_stored = (each.astype(np.float32).astype(np.float64) for each in (reference, noisy, denoised, more, less))
    reference, noisy, denoised, more, less = as_stored
    return Images(reference, noisy, denoised, {"more": more, "less": less})


def tensors(of: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(of.astype(np.float32))[:, None]


def compared(
    of: Images,
    order: list[int] | None = None,
    batch_size: int = 4,
    micrographs: int = 6,
    dtype: torch.dtype | None = None,
) -> AgainstReference:
    """What a split is scored by, from beginning to end."""
    patches = len(of.noisy)
    order = list(range(patches)) if order is None else order
    comparison = Comparison(patches, (SIDE, SIDE), CPU)
    noisy, reference, denoised = (tensors(each) for each in (of.noisy, of.reference, of.denoised))
    denoised = denoised.to(dtype or torch.float32)
    for start in range(0, patches, batch_size):
        batch = order[start : start + batch_size]
        comparison.fit(noisy[batch], reference[batch])
    comparison.end_fit()
    for index in order:
        one = slice(index, index + 1)
        shown = {"denoised": denoised[one], "noisy_input": noisy[one]}
        transforms = {name: spectra(image) for name, image in shown.items()}
        for name, other in of.others.items():
            if index in of.scored.get(name, range(patches)):
                shown[name] = tensors(other)[one]
        comparison.add(index, shown, reference[one], transforms)
    described = {name: (name.capitalize(), {"sigma_px": 1.0}) for name in of.others}
    found = comparison.result(described, Bootstrap(np.arange(patches) * micrographs // patches, seed=1))
    json.dumps(found.model_dump(), allow_nan=False)  # as the report is written
    assert comparison.mean == pytest.approx(of.reference.mean(), rel=1e-6)
    assert comparison.lowest == min(of.reference.min(), of.noisy.min())
    assert comparison.highest == max(of.reference.max(), of.noisy.max())
    return found


def mse(one: np.ndarray, other: np.ndarray) -> float:
    return float(((one - other) ** 2).mean())


def db(ratio: float) -> float:
    return 10 * math.log10(ratio)


def test_each_method_has_the_scores_that_numpy_gives() -> None:
    of = images()
    found = compared(of)
    scored = {"noisy_input": of.noisy, **of.others}
    for name, image in scored.items():
        scores = found.methods[name].scores
        assert scores.mse == pytest.approx(mse(image, of.reference), rel=1e-9)
        assert scores.mae == pytest.approx(np.abs(image - of.reference).mean(), rel=1e-9)
        assert scores.psnr_db == pytest.approx(-db(mse(image, of.reference)), rel=1e-9)
        correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(image, of.reference, strict=True)]
        assert scores.correlation.mean == pytest.approx(np.mean(correlations), rel=1e-9)
        assert found.methods[name].gain_db == pytest.approx(
            db(mse(image, of.reference) / mse(of.denoised, of.reference)), rel=1e-9
        )
        assert found.methods[name].samples == PATCHES
    assert found.denoised.mse == pytest.approx(mse(of.denoised, of.reference), rel=1e-9)
    kinds = {name: method.kind for name, method in found.methods.items()}
    assert kinds == {
        "noisy_input": "input",
        "scalar_wiener": "bound",
        "pointwise_optimum": "bound",
        "more": "baseline",
        "less": "baseline",
    }
    assert found.methods["more"].found == {"sigma_px": 1.0}


def test_the_bounds_are_the_best_line_and_a_curve_that_is_as_good() -> None:
    of = images(1)
    slope, offset = np.polyfit(of.noisy.ravel(), of.reference.ravel(), 1)
    found = compared(of).methods
    line = mse(slope * of.noisy + offset, of.reference)
    assert found["scalar_wiener"].found == pytest.approx({"slope": slope, "offset": offset}, rel=1e-9)
    assert found["scalar_wiener"].scores.mse == pytest.approx(line, rel=1e-9)
    assert found["pointwise_optimum"].scores.mse < 1.01 * line  # of so few pixels, bins are wide
    assert found["scalar_wiener"].scores.mse < found["noisy_input"].scores.mse


def test_a_method_of_a_subset_is_compared_on_that_alone() -> None:
    of = images(2)
    of.scored = {"more": [1, 5, 7]}
    part = of.scored["more"]
    method = compared(of).methods["more"]
    theirs, ours = (mse(image[part], of.reference[part]) for image in (of.others["more"], of.denoised))
    assert method.samples == 3
    assert method.scores.mse == pytest.approx(theirs, rel=1e-9)
    assert method.gain_db == pytest.approx(db(theirs / ours), rel=1e-9)
    assert method.gain_interval is None
    assert compared(of).methods["less"].gain_interval is not None


def test_the_best_baseline_is_that_over_which_the_gain_is_smallest_and_no_bound() -> None:
    of = images(3)
    found = compared(of)
    gains = {name: method.gain_db for name, method in found.methods.items() if method.kind != "bound"}
    assert found.best_baseline == min(gains, key=lambda name: gains[name] or 0.0)
    of.others = {"worse": of.noisy + 1}
    only_worse = compared(of)
    assert only_worse.methods["pointwise_optimum"].scores.mse < only_worse.methods["noisy_input"].scores.mse
    assert only_worse.best_baseline == "noisy_input"


def test_easy_patches_do_not_make_a_method_of_theirs_the_best() -> None:
    """Its error is the smallest of all, since its patches hold next to no noise; the gain over it there is 6 dB."""
    of = images(4)
    easy = [0, 1, 2]
    for image in (of.noisy, of.denoised):
        image[easy] = (of.reference[easy] + 0.01 * (image[easy] - of.reference[easy])).astype(np.float32)
    of.others = {name: of.reference + by * (of.denoised - of.reference) for name, by in (("less", 1.5), ("more", 2.0))}
    of.scored = {"more": easy}
    found = compared(of)
    assert found.methods["more"].gain_db == pytest.approx(20 * math.log10(2), abs=0.01)
    assert found.methods["less"].scores.mse > found.methods["more"].scores.mse
    assert found.best_baseline == "less"


def test_without_an_error_there_is_neither_psnr_nor_gain() -> None:
    of = images(5)
    of.denoised = of.reference
    found = compared(of)
    assert found.denoised.psnr_db is None
    assert found.denoised.patch_psnr_db is None
    assert {method.gain_db for method in found.methods.values()} == {None}
    assert {method.gain_interval for method in found.methods.values()} == {None}
    assert found.intervals is not None
    assert found.intervals.psnr_db is None
    assert (found.intervals.mse.low, found.intervals.mse.high) == (0.0, 0.0)
    assert set(found.spectra.denoised.ssnr) == {None}
    assert min(found.spectra.denoised.frc) > 1 - 1e-12
    baselines = {name: method for name, method in found.methods.items() if method.kind != "bound"}
    assert found.best_baseline == min(baselines, key=lambda name: baselines[name].scores.mse)


def test_an_input_without_noise_is_the_best_baseline() -> None:
    of = images(6)
    of.noisy = of.reference
    found = compared(of)
    assert found.best_baseline == "noisy_input"
    assert found.methods["noisy_input"].gain_db is None
    assert found.methods["noisy_input"].scores.psnr_db is None
    assert found.methods["scalar_wiener"].scores.mse < 1e-20
    assert set(found.spectra.noisy_input.ssnr) == {None}


def test_all_perfect_has_a_best_baseline_without_a_gain() -> None:
    of = images(7)
    of.noisy = of.denoised = of.reference
    found = compared(of)
    assert found.best_baseline == "noisy_input"
    assert found.methods["noisy_input"].gain_db is None


def test_a_perfect_part_does_not_make_the_method_of_that_part_the_best() -> None:
    """There the gain is beyond all bounds; an error below 1 beside no error was once taken for a share."""
    of = images(8)
    part = [2, 3]
    of.denoised[part] = of.reference[part]
    of.scored = {"more": part}
    found = compared(of)
    assert found.methods["more"].gain_db is None
    assert found.best_baseline == "less"


def test_constant_patches_have_finite_scores() -> None:
    of = images(9)
    for image in (of.reference, of.noisy, of.denoised, *of.others.values()):
        image[:3] = 0.25
    found = compared(of)
    assert found.denoised.correlation.min == 0.0
    whole = images(9)
    for image in (whole.reference, whole.noisy, whole.denoised, *whole.others.values()):
        image[:] = 0.25
    even = compared(whole)
    assert even.denoised.psnr_db is None
    assert set(even.spectra.denoised.frc) == {0.0}
    assert set(even.spectra.residual_power) == {0.0}


@pytest.mark.parametrize("scale", [1e-6, 1e4])
def test_values_far_outside_0_and_1_have_finite_scores(scale: float) -> None:
    of = images(10)
    for image in (of.reference, of.noisy, of.denoised, *of.others.values()):
        image[:] = (image * scale - 3 * scale).astype(np.float32)
    found = compared(of)
    assert found.denoised.mse == pytest.approx(mse(of.denoised, of.reference), rel=1e-9)


def test_the_residual_is_the_input_less_the_denoised() -> None:
    of = images(11)
    found = compared(of).spectra
    expected = np.mean([radial_power_spectrum(each)[1] for each in of.noisy - of.denoised], axis=0)
    assert found.residual_power == pytest.approx(expected.tolist(), rel=1e-9)
    of_reference = np.mean([radial_power_spectrum(each)[1] for each in of.reference], axis=0)
    assert found.reference_power == pytest.approx(of_reference.tolist(), rel=1e-9)


def test_neither_batches_nor_order_change_anything_but_roundings() -> None:
    of = images(12)
    plain = compared(of).model_dump()
    backwards = list(reversed(range(PATCHES)))
    for other in (compared(of, batch_size=1), compared(of, batch_size=PATCHES), compared(of, backwards)):
        assert _flat(other.model_dump()) == pytest.approx(_flat(plain), rel=1e-9, abs=1e-12)


def _flat(value: object, place: str = "") -> dict[str, float]:
    """The numbers of a document by their places."""
    if isinstance(value, dict):
        return {key: each for name, inner in value.items() for key, each in _flat(inner, f"{place}.{name}").items()}
    if isinstance(value, list):
        return {
            key: each for number, inner in enumerate(value) for key, each in _flat(inner, f"{place}.{number}").items()
        }
    return {place: float(value)} if isinstance(value, int | float) else {}


def test_a_network_of_half_precision_is_scored_by_what_it_gives() -> None:
    of = images(13)
    for dtype in (torch.float16, torch.bfloat16):
        given = tensors(of.denoised).to(dtype)[:, 0].double().numpy()
        assert compared(of, dtype=dtype).denoised.mse == pytest.approx(mse(given, of.reference), rel=1e-9)


def test_few_micrographs_have_no_intervals() -> None:
    found = compared(images(14), micrographs=2)
    assert found.intervals is None
    assert {method.gain_interval for method in found.methods.values()} == {None}
    one = compared(images(15, patches=1), micrographs=1)
    assert one.intervals is None
    assert one.denoised.ssim.min == one.denoised.ssim.max == one.denoised.ssim.median


def test_intervals_hold_the_scores() -> None:
    found = compared(images(16))
    assert found.intervals is not None
    assert found.intervals.mse.low < found.denoised.mse < found.intervals.mse.high
    assert found.intervals.psnr_db is not None
    assert found.denoised.psnr_db is not None
    assert found.intervals.psnr_db.low < found.denoised.psnr_db < found.intervals.psnr_db.high
    for method in found.methods.values():
        assert method.gain_interval is not None
        assert method.gain_db is not None
        assert method.gain_interval.low < method.gain_db < method.gain_interval.high


def line(image: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """Slope, offset and error of the best line, by numpy over all pixels."""
    columns = np.stack([image.ravel(), np.ones(image.size)], axis=1)
    (slope, offset), *_ = np.linalg.lstsq(columns, reference.ravel())
    return float(slope), float(offset), mse(slope * image + offset, reference)


def test_every_method_gets_the_best_line_of_its_own() -> None:
    of = images(17)
    of.denoised = (3.0 * of.denoised - 7.0).astype(np.float32).astype(np.float64)
    found = compared(of)
    ours = line(of.denoised, of.reference)
    its = found.affine_fitted
    assert (its.slope, its.offset, its.mse) == pytest.approx(ours, rel=1e-9)
    assert its.psnr_db == pytest.approx(-db(ours[2]), rel=1e-9)
    for name, image in {"noisy_input": of.noisy, **of.others}.items():
        theirs, method = line(image, of.reference), found.methods[name]
        fitted = method.affine_fitted
        assert (fitted.slope, fitted.offset, fitted.mse) == pytest.approx(theirs, rel=1e-9)
        assert method.affine_fitted_gain_db == pytest.approx(db(theirs[2] / ours[2]), rel=1e-9)
        assert method.gain_db is not None
        assert method.gain_db < -20
    assert (found.methods["noisy_input"].affine_fitted_gain_db or 0) > 2
    gains = {name: found.methods[name].affine_fitted_gain_db for name in ("noisy_input", *of.others)}
    assert found.affine_fitted_best_baseline == min(gains, key=lambda name: gains[name] or 0.0)


def test_the_noisy_input_with_its_best_line_is_the_scalar_wiener_bound() -> None:
    found = compared(images(18)).methods
    fitted, bound = found["noisy_input"].affine_fitted, found["scalar_wiener"]
    assert {"slope": fitted.slope, "offset": fitted.offset} == pytest.approx(bound.found, rel=1e-9)
    assert fitted.mse == pytest.approx(bound.scores.mse, rel=1e-9)
    assert bound.affine_fitted.mse == pytest.approx(bound.scores.mse, rel=1e-9)
    assert bound.affine_fitted.slope == pytest.approx(1, rel=1e-9)


def test_an_affine_map_of_what_is_scored_changes_nothing_that_is_fitted() -> None:
    of = images(19)
    plain = compared(of)
    of.denoised = (0.5 * of.denoised + 1.0).astype(np.float32).astype(np.float64)
    mapped = compared(of)
    one, other = plain.affine_fitted, mapped.affine_fitted
    assert one.psnr_db == pytest.approx(other.psnr_db, abs=1e-5)
    assert one.psnr_interval is not None
    assert other.psnr_interval is not None
    assert one.psnr_interval.model_dump() == pytest.approx(other.psnr_interval.model_dump(), abs=1e-5)
    assert plain.affine_fitted_best_baseline == mapped.affine_fitted_best_baseline
    assert mapped.denoised.mse > 10 * plain.denoised.mse


def test_a_method_of_a_subset_is_fitted_there_as_is_what_it_is_compared_with() -> None:
    of = images(20)
    of.scored = {"more": [1, 5, 7]}
    part = of.scored["more"]
    method = compared(of).methods["more"]
    theirs, ours = (line(image[part], of.reference[part])[2] for image in (of.others["more"], of.denoised))
    assert method.affine_fitted.mse == pytest.approx(theirs, rel=1e-9)
    assert method.affine_fitted_gain_db == pytest.approx(db(theirs / ours), rel=1e-9)
    assert method.affine_fitted_gain_interval is None
    assert method.affine_fitted.psnr_interval is None


def test_a_constant_is_as_good_as_the_mean() -> None:
    of = images(21)
    of.denoised = np.full_like(of.denoised, 0.1)
    found = compared(of).affine_fitted
    assert found.slope == 0.0
    assert found.offset == pytest.approx(of.reference.mean(), rel=1e-9)
    assert found.mse == pytest.approx(of.reference.var(), rel=1e-9)


def test_the_line_is_fitted_to_each_draw_anew() -> None:
    """Of draws by hand: micrographs with replacement, a line for each, quantiles of their PSNRs."""
    of = images(22)
    found = compared(of)
    micrograph = np.arange(PATCHES) * 6 // PATCHES
    bootstrap = Bootstrap(micrograph, seed=1)
    psnrs = []
    for times in bootstrap._times:
        chosen = np.repeat(np.arange(PATCHES), times.astype(int)[micrograph])
        psnrs.append(-db(line(of.denoised[chosen], of.reference[chosen])[2]))
    low, high = np.quantile(psnrs, (bootstrap._tail, 1 - bootstrap._tail))
    interval = found.affine_fitted.psnr_interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9)
    for method in found.methods.values():
        around, gain = method.affine_fitted_gain_interval, method.affine_fitted_gain_db
        assert around is not None
        assert gain is not None
        assert around.low < gain < around.high


def test_what_differs_from_the_reference_by_a_line_has_no_error_once_fitted() -> None:
    of = images(23)
    of.denoised = 2 * of.reference
    found = compared(of)
    assert found.affine_fitted.slope == pytest.approx(0.5, rel=1e-12)
    assert (found.affine_fitted.mse, found.affine_fitted.psnr_db) == (0.0, None)
    assert found.affine_fitted.psnr_interval is None
    assert found.methods["noisy_input"].affine_fitted_gain_db is None
