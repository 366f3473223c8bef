import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.exposure import Particle
from cryodenoise.evaluation import layout
from small_datasets import described, micrograph, segment

PARTICLE = Particle(species="t20s", x_px=3.0, y_px=4.0, radius_angstrom=60.0, rot_deg=0.0, tilt_deg=0.0, psi_deg=0.0)


def after_others() -> DatasetRecord:
    """Two micrographs in the test split, whose file also holds samples before it."""
    return described(
        [
            segment(0, (0, 2), (0, 2), split="validation", micrograph=0),
            segment(4, (1, 3), (0, 3), micrograph=2),
            segment(10, (0, 1), (2, 4), micrograph=1),
        ]
    )


def halves(
    even: tuple[tuple[int, int], tuple[int, int]] = ((0, 2), (0, 2)),
    odd: tuple[tuple[int, int], tuple[int, int]] = ((0, 2), (0, 2)),
) -> DatasetRecord:
    """Two micrographs in halves; of the second only the odd one comes first."""
    return described(
        [
            segment(0, *even, half="even"),
            segment(4, *odd, half="odd"),
            segment(8, (3, 4), (0, 2), half="odd", micrograph=1),
            segment(10, (3, 4), (0, 2), half="even", micrograph=1),
        ],
        pairs="halves",
    )


def test_places_are_counted_from_the_first_patch_of_the_split() -> None:
    first, second = layout.places(after_others())
    assert (first.first, second.first) == (0, 6)
    assert first.indices.tolist() == [0, 1, 2, 3, 4, 5]
    assert second.indices.tolist() == [6, 7]
    assert first.index(1, 0) == 0
    assert first.index(2, 1) == 4
    assert second.index(0, 3) == 7


def test_columns_name_micrograph_row_and_column_of_each_patch() -> None:
    found = layout.columns(after_others())
    assert found["micrograph"].tolist() == [2] * 6 + [1] * 2
    assert found["row"].tolist() == [1, 1, 1, 2, 2, 2, 0, 0]
    assert found["column"].tolist() == [0, 1, 2, 0, 1, 2, 2, 3]
    assert {values.dtype for values in found.values()} == {np.dtype(np.int64)}


def test_columns_are_where_places_find_their_patches() -> None:
    dataset = halves()
    found = layout.columns(dataset)
    for place in layout.places(dataset):
        for index in place.indices:
            assert place.index(found["row"][index], found["column"][index]) == index


def test_partners_are_the_halves_of_one_place() -> None:
    assert layout.partners(halves()) == {0: 4, 1: 5, 2: 6, 3: 7, 10: 8, 11: 9}
    assert layout.partners(after_others()) == {}


@pytest.mark.parametrize("odd", [((2, 4), (0, 2)), ((0, 2), (1, 3)), ((0, 4), (0, 1))])
def test_patches_of_other_places_are_no_partners(odd: tuple[tuple[int, int], tuple[int, int]]) -> None:
    assert layout.partners(halves(odd=odd)) == {10: 8, 11: 9}
    assert sorted(layout.order(halves(odd=odd))) == list(range(12))


def test_the_halves_of_one_place_follow_one_another() -> None:
    assert layout.order(halves()).tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 10, 8, 11, 9]
    assert layout.order(after_others()).tolist() == list(range(8))


@given(st.integers(1, 5000), st.integers(0, 300))
@settings(deadline=None)
def test_indices_are_distinct_few_enough_and_evenly_spread(samples: int, count: int) -> None:
    found = layout.evenly(samples, count)
    assert len(found) == min(samples, count)
    assert found == sorted(set(found))
    assert all(0 <= index < samples for index in found)
    if found:
        steps = np.diff(found)
        assert not steps.size or steps.max() - steps.min() <= 1
        before, beyond = found[0], samples - 1 - found[-1]
        assert abs(before - beyond) <= 1


def test_all_are_taken_where_there_are_no_more() -> None:
    assert layout.evenly(3, 8) == [0, 1, 2]
    assert layout.evenly(1, 8) == [0]
    assert layout.evenly(100, 1) == [50]
    assert layout.evenly(100, 0) == []


def test_what_scores_depend_on_beside_the_samples_has_a_digest() -> None:
    """An identity is of samples alone: the same ones with another pixel size, or with particles, score otherwise."""
    segments = after_others().segments
    others = [
        described(segments, [micrograph()]),
        described(segments, [micrograph(2.5)]),
        described(segments, [micrograph(None)]),
        described(segments, [micrograph(particles=[])]),
        described(segments, [micrograph(particles=[PARTICLE])]),
        described(segments, [micrograph()], pairs="truth"),
        described(segments, [micrograph()], stride_px=4),
    ]
    assert len({layout.known_sha256(each) for each in others}) == len(others)
    assert layout.known_sha256(others[4]) == layout.known_sha256(
        described(segments, [micrograph(particles=[PARTICLE.model_copy()]).model_copy(update={"name": "b.mrc"})])
    )
