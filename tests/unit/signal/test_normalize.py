import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cryodenoise.errors import UserError
from cryodenoise.signal.normalize import (
    MINIMUM_SPREAD,
    RULES,
    Scaling,
    apply,
    find_scaling,
    normalize,
    percentile,
    scaled,
    spread,
)

values = hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1e6, 1e6, width=32))


@given(values, st.sampled_from([1, 5, 50, 95, 99]))
@settings(max_examples=300, deadline=None)  # the first call may compile
def test_percentile_is_numpys_in_float64_rounded_once(pixels: np.ndarray, percent: int) -> None:
    assert percentile(pixels, percent) == np.float32(np.percentile(pixels.astype("f8"), percent))


@given(values)
@settings(deadline=None)
def test_percentile_of_the_positive_is_that_of_the_positive_alone(pixels: np.ndarray) -> None:
    assume((pixels > 0).any())
    expected = np.float32(np.percentile(pixels[pixels > 0].astype("f8"), 95))
    assert percentile(pixels, 95, positive=True) == expected


def test_a_zero_is_positive_whatever_its_sign_was() -> None:
    image = np.full((4, 4), -0.0, np.float32)
    image[0] = [1, 2, 3, -1e-45]
    apply(image, Scaling(0.0, 3.0))
    assert not np.signbit(image).any()


def test_p95_is_the_reference_rule_byte_for_byte() -> None:
    image = np.random.default_rng(1).normal(3, 5, (64, 48)).astype(np.float32)
    positive = image[image > 0].astype("f8")
    expected = np.clip(image / np.float32(np.percentile(positive, 95)), 0, 1).astype(np.float32)
    normalized = image.copy()
    scaling = normalize(normalized, "p95")
    assert normalized.tobytes() == expected.tobytes()
    assert scaling.offset == 0


def test_p1_p99_is_unmoved_by_offset_and_sign() -> None:
    image = np.random.default_rng(2).normal(0, 8, (64, 64)).astype(np.float32)
    plain, moved = image.copy(), image + np.float32(4096)
    for either in (plain, moved):
        normalize(either, "p1_p99")
    assert np.abs(plain - moved).max() < 1e-4
    assert 0.009 < (plain == 0).mean() < 0.012
    assert 0.009 < (plain == 1).mean() < 0.012


def test_a_mean_large_against_the_spread_is_refused_with_a_rule_that_works() -> None:
    image = np.random.default_rng(3).normal(1000, 5, (64, 64)).astype(np.float32)
    with pytest.raises(UserError, match=r"hardly any contrast.*p1_p99"):
        normalize(image.copy(), "p95")
    normalize(image, "p1_p99")
    assert image.std() > MINIMUM_SPREAD


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_constant_image_is_refused(rule: str) -> None:
    with pytest.raises(UserError):
        normalize(np.full((32, 32), 7, np.float32), rule)


def test_p95_without_positive_pixels_is_refused() -> None:
    with pytest.raises(UserError, match="positive"):
        normalize(-np.arange(1, 65, dtype=np.float32).reshape(8, 8), "p95")


def test_the_spread_is_that_of_float64() -> None:
    image = np.random.default_rng(4).normal(500, 3, (50, 70)).astype(np.float32)
    assert spread(image) == pytest.approx(image.astype("f8").std(), rel=1e-6)


def test_p1_p99_of_values_beyond_float32_is_refused() -> None:
    image = np.linspace(-3e38, 3e38, 64, dtype=np.float32).reshape(8, 8)
    with pytest.raises(UserError, match="too far apart"):
        normalize(image, "p1_p99")


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_unclipped_map_is_that_of_the_clipped_one(rule: str) -> None:
    image = np.random.default_rng(5).normal(3, 5, (64, 48)).astype(np.float32)
    clipped = image.copy()
    scaling = normalize(clipped, rule)
    before = image.copy()
    assert find_scaling(image, rule) == scaling
    assert image.tobytes() == before.tobytes()
    free = scaled(image, scaling, np.empty_like(image))
    assert free.tobytes() == ((image - np.float32(scaling.offset)) / np.float32(scaling.scale)).tobytes()
    assert free.min() < 0
    assert free.max() > 1
    assert np.clip(free, 0, 1).tobytes() == clipped.tobytes()


def test_an_unclipped_zero_is_positive_too() -> None:
    image = np.array([[-0.0, 0.0, 1.0]], np.float32)
    assert not np.signbit(scaled(image, Scaling(0.0, 3.0), np.empty_like(image))).any()
    assert not np.signbit(scaled(image, Scaling(1.0, 3.0), np.empty_like(image))[0, 2])


def test_the_unclipped_map_has_the_same_refusals() -> None:
    with pytest.raises(UserError, match=r"hardly any contrast.*p1_p99"):
        find_scaling(np.random.default_rng(3).normal(1000, 5, (64, 64)).astype(np.float32), "p95")
    with pytest.raises(UserError, match="all pixels are 7"):
        find_scaling(np.full((32, 32), 7, np.float32), "p1_p99")


def test_none_takes_intensities_as_they_are() -> None:
    image = np.random.default_rng(0).normal(0.5, 0.5, (8, 9)).astype(np.float32)
    before = image.copy()
    assert find_scaling(image, "none") == Scaling(0.0, 1.0)
    np.testing.assert_array_equal(image, before)
    with pytest.raises(UserError, match=r"normalization none leaves hardly any contrast.*p1_p99"):
        find_scaling(image / 1000, "none")
