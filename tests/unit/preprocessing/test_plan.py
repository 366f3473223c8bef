from dataclasses import replace
from pathlib import Path

import pytest

from cryodenoise.config.run_files import NoiseParameters, PairsParameters, PatchParameters, PreprocessParameters
from cryodenoise.dataset.layout import ranges_of_splits, samples_in_files
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.preprocessing.headers import Shape
from cryodenoise.preprocessing.plan import Plan, RawMicrograph, make_plan


def plan_of(count: int, height: int, width: int, size: int = 1024, stride: int = 512) -> Plan:
    names = [f"{number:03d}.mrc" for number in range(count)]
    raws = [RawMicrograph(Candidate(Path(name), name), Shape(height, width, 1.0)) for name in names]
    return make_plan(raws, PreprocessParameters(patches=PatchParameters(size_px=size, stride_px=stride)))


def test_the_reference_set_has_29913_and_3211_samples() -> None:
    plan = plan_of(196, 7420, 7676)
    assert samples_in_files(plan.segments) == {"train": 29_913, "test": 3_211}
    assert sum(samples_in_files(plan.segments).values()) * 2 * 4 * 1024**2 == 277_864_251_392
    splits = ranges_of_splits(plan.segments)
    assert (splits["train"].samples, splits["validation"].samples) == (159 * 169, 18 * 169)
    assert splits["validation"].first_sample == 159 * 169


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_segments_fill_the_files_without_gaps(count: int) -> None:
    plan = plan_of(count, 300, 200, 32, 16)
    for stem in ("train", "test"):
        segments = [segment for segment in plan.segments if segment.file == stem]
        starts = [segment.first_sample for segment in segments]
        assert starts == [sum(other.samples for other in segments[:index]) for index in range(len(segments))]


def test_no_micrograph_is_in_two_splits_when_there_are_three() -> None:
    plan = plan_of(7, 100, 100, 32, 16)
    assert plan.held_out == "micrographs"
    assert sorted(segment.micrograph for segment in plan.segments) == list(range(7))


@pytest.mark.parametrize(("height", "width"), [(400, 100), (100, 400)])
def test_regions_are_cut_along_the_longer_side(height: int, width: int) -> None:
    plan = plan_of(1, height, width, 32, 16)
    assert plan.held_out == "regions"
    assert {segment.split for segment in plan.segments} == {"train", "validation", "test"}
    across = {segment.columns if height > width else segment.rows for segment in plan.segments}
    assert across == {(0, 5)}


@pytest.mark.parametrize("count", [2, 5])
def test_both_directions_of_halves_follow_each_other_in_one_split(count: int) -> None:
    plain = plan_of(count, 300, 200, 32, 16)
    names = [f"even/{number:03d}.mrc" for number in range(count)]
    raws = [RawMicrograph(Candidate(Path(name), name), Shape(300, 200, 1.0)) for name in names]
    parameters = PreprocessParameters(
        patches=PatchParameters(size_px=32, stride_px=16),
        pairs=PairsParameters(kind="halves"),
        noise=NoiseParameters(model="none"),
    )
    plan = make_plan(raws, parameters)
    assert samples_in_files(plan.segments) == {
        stem: 2 * samples for stem, samples in samples_in_files(plain.segments).items()
    }
    for even, odd, alone in zip(plan.segments[::2], plan.segments[1::2], plain.segments, strict=True):
        assert (even.half, odd.half, alone.half) == ("even", "odd", None)
        assert odd == replace(even, half="odd", first_sample=even.first_sample + even.samples)
        assert replace(even, half=None, first_sample=alone.first_sample) == alone
