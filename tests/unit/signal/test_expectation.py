import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from cryodenoise.errors import InputError
from cryodenoise.signal.expectation import require_expectation, require_one_dose


def waves(side: int, electrons: float, contrast: float) -> np.ndarray:
    y, x = np.ogrid[:side, :side]
    expected: np.ndarray = (electrons * (1 + contrast * np.sin(y / 5) * np.cos(x / 7))).astype(np.float32)
    return expected


@example(seed=40, side=16, electrons=0.25, contrast=0, blur_px=2, gain_spread=0.0)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([16, 33, 128]), st.floats(0.01, 1e4),
    st.sampled_from([0, 1e-3, 0.05, 0.9]), st.integers(1, 5), st.floats(0, 0.3),
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_counts_are_never_told_from_their_own_expectation(
    seed: int, side: int, electrons: float, contrast: float, blur_px: int, gain_spread: float
) -> None:
    """Shot noise of any dose, correlated over pixels, after a gain reference, with or without contrast."""
    assume(electrons * side**2 >= 64)  # of a few electrons in all, the noise cannot be told from what is counted
    rng, truth = np.random.default_rng(seed), waves(side, electrons, contrast)
    gain = np.clip(rng.normal(1, gain_spread, truth.shape), 0.2, 3)
    counts = rng.poisson(truth / gain) * gain
    kernel = np.ones(blur_px) / blur_px
    for axis in (0, 1):
        noise = np.apply_along_axis(np.convolve, axis, counts - truth, kernel, "same")
        counts = truth + noise
    require_expectation(counts.astype(np.float32), truth)


@pytest.mark.parametrize("electrons", [1.0, 20.0, 1000.0])
@pytest.mark.parametrize(
    "spoil",
    [lambda t: t / 2, lambda t: t * 2, lambda t: t * 0.6575**2, lambda t: t / 255, lambda t: t - t.mean(),
     lambda t: (t - t.mean()) / t.std(), lambda t: 2 * t.mean() - t, lambda t: t[:, ::-1], lambda t: t * 0],
    ids=["half", "twice", "per-square-angstrom", "bytes", "no-mean", "standardised", "inverted", "mirrored", "zero"],
)  # fmt: skip
def test_an_image_in_other_units_or_of_something_else_is_refused(spoil, electrons: float) -> None:  # type: ignore[no-untyped-def]
    truth = waves(512, electrons, 0.3)
    image = np.random.default_rng(0).poisson(truth).astype(np.float32)
    require_expectation(image, truth)
    with pytest.raises(InputError, match=r"its mean is|with a slope of"):
        require_expectation(image, np.ascontiguousarray(spoil(truth), np.float32))


def test_contrast_that_is_far_too_strong_is_seen_where_the_means_agree() -> None:
    truth = waves(512, 20, 0.1)
    image = np.random.default_rng(0).poisson(truth).astype(np.float32)
    with pytest.raises(InputError, match=r"slope of 0\.2"):
        require_expectation(image, truth.mean() + 5 * (truth - truth.mean()))


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([16, 33, 128]), st.floats(0.01, 1e4), st.sampled_from([0, 0.05, 0.9]),
    st.floats(0.92, 1.08),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_halves_of_one_exposure_are_never_told_apart(
    seed: int, side: int, electrons: float, contrast: float, share: float
) -> None:
    """At any dose, with a twelfth more in one of them: an odd number of frames."""
    rng, truth = np.random.default_rng(seed), waves(side, electrons, contrast)
    require_one_dose(rng.poisson(truth).astype(np.float32), rng.poisson(truth * share).astype(np.float32))


@pytest.mark.parametrize("electrons", [1.0, 20.0, 1000.0])
@pytest.mark.parametrize(
    "spoil",
    [lambda odd, _: odd * 3, lambda odd, _: odd + 1000, lambda odd, even: even + odd, lambda odd, _: odd - odd.mean(),
     lambda odd, _: -odd, lambda odd, _: odd / 4],
    ids=["three-times", "offset", "whole", "no-mean", "inverted", "average"],
)  # fmt: skip
def test_halves_of_unlike_doses_or_units_are_refused(spoil, electrons: float) -> None:  # type: ignore[no-untyped-def]
    rng, truth = np.random.default_rng(0), waves(512, electrons, 0.3)
    even, odd = (rng.poisson(truth).astype(np.float32) for _ in range(2))
    require_one_dose(even, odd)
    for first, second in ((even, spoil(odd, even)), (spoil(odd, even), even)):
        with pytest.raises(InputError, match="mean of the odd half"):
            require_one_dose(first, np.ascontiguousarray(second, np.float32))
