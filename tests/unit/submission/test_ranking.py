from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import leaderboards
from cryodenoise.config.scores import Interval
from cryodenoise.config.submission import Entry, LeftOut
from cryodenoise.submission.ranking import leaderboard, ranked

PSNRS = st.integers(200, 300).map(lambda tenths: tenths / 10)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    psnr_db = draw(PSNRS)
    below, above = draw(st.integers(0, 20)) / 10, draw(st.integers(0, 20)) / 10
    return leaderboards.entry(
        track=draw(st.sampled_from(["added_noise", "truth", "halves"])),
        reference_set=draw(st.sampled_from(["a", "b"])),
        division=draw(st.sampled_from(["closed", "open"])),
        organization=draw(st.sampled_from(["x", "y"])),
        descriptor=draw(st.sampled_from(["d", "e"])),
        psnr_db=psnr_db,
        psnr_interval_db=draw(st.sampled_from([None, Interval(low=psnr_db - below, high=psnr_db + above)])),
        package_sha256=draw(st.sampled_from(["ab" * 32, "cd" * 32])),
        training_s=draw(st.sampled_from([None, 1.0])),
    )


def group(entry: Entry) -> tuple[str, str, str]:
    return entry.track, entry.reference_set, entry.division


def place(entry: Entry) -> int:
    assert entry.place is not None
    return entry.place


def of_one_group(*around: tuple[float, float]) -> list[Entry]:
    return [
        leaderboards.entry(descriptor=f"d{index}", **leaderboards.around(psnr_db, half_db))
        for index, (psnr_db, half_db) in enumerate(around)
    ]


def test_overlapping_intervals_share_a_place() -> None:
    found = ranked(of_one_group((24.0, 0.2), (24.3, 0.2), (23.0, 0.1), (22.0, 0.5)))
    assert [(each.psnr_db, each.place) for each in found] == [(24.3, 1), (24.0, 1), (23.0, 3), (22.0, 4)]


def test_a_chain_of_overlaps_counts_only_what_lies_wholly_above() -> None:
    found = ranked(of_one_group((24.0, 0.2), (24.3, 0.2), (24.6, 0.2)))
    assert [(each.psnr_db, each.place) for each in found] == [(24.6, 1), (24.3, 1), (24.0, 2)]


def test_without_an_interval_a_submission_is_a_point() -> None:
    point = leaderboards.entry(descriptor="one seed", psnr_db=24.1, psnr_interval_db=None)
    found = ranked([*of_one_group((24.0, 0.2), (24.5, 0.1)), point])
    assert [(each.psnr_db, each.place) for each in found] == [(24.5, 1), (24.1, 2), (24.0, 2)]
    same = leaderboards.entry(descriptor="the same", psnr_db=24.1, psnr_interval_db=None)
    assert [each.place for each in ranked([point, same])] == [1, 1]


def test_tracks_sets_and_divisions_are_ranked_apart_and_in_their_order() -> None:
    found = ranked(reversed(leaderboards.twelve()))
    groups = list(dict.fromkeys(group(each) for each in found))
    assert groups == [
        ("added_noise", "empiar-10025", "closed"),
        ("truth", "simulated-laptop", "closed"),
        ("truth", "simulated-laptop", "open"),
        ("halves", "simulated-halves", "closed"),
        ("halves", "simulated-halves", "open"),
    ]
    assert [each.place for each in found] == [1, 2, 2, 1, 1, 1, 4, 5, 1, 2, 1, 1]


@settings(deadline=None)
@given(st.data(), st.lists(entries(), max_size=12))
def test_the_order_of_the_input_does_not_matter(data: st.DataObject, given: list[Entry]) -> None:
    assert ranked(data.draw(st.permutations(given))) == ranked(given)
    assert ranked(ranked(given)) == ranked(given)


@settings(deadline=None)
@given(st.lists(entries(), max_size=12))
def test_nothing_is_lost_and_each_group_has_a_first(given: list[Entry]) -> None:
    found = ranked(given)
    bare = [each.model_copy(update={"place": None}) for each in found]
    assert sorted(map(repr, bare)) == sorted(map(repr, given))
    for each in {group(entry) for entry in given}:
        members = [entry for entry in found if group(entry) == each]
        assert min(place(entry) for entry in members) == place(max(members, key=lambda entry: entry.psnr_db)) == 1
        assert all(place(first) <= place(second) for first, second in pairwise(members))
        assert all(place(entry) <= len(members) for entry in members)


@settings(deadline=None)
@given(st.lists(entries(), min_size=1, max_size=10), st.integers(0, 50))
def test_a_better_score_never_gets_a_worse_place(given: list[Entry], tenths: int) -> None:
    first, *others = given
    around = first.psnr_interval_db
    gain = tenths / 10
    better = first.model_copy(
        update={
            "psnr_db": first.psnr_db + gain,
            "psnr_interval_db": around and Interval(low=around.low + gain, high=around.high + gain),
            "seeds": [7],
        }
    )
    marked = first.model_copy(update={"seeds": [7]})
    before = next(each for each in ranked([marked, *others]) if each.seeds == [7])
    after = next(each for each in ranked([better, *others]) if each.seeds == [7])
    assert place(after) <= place(before)


def test_the_document_is_the_same_for_any_order() -> None:
    left = [LeftOut(name=name, findings=["PACKAGE-1: x"]) for name in ("b", "a")]
    found = leaderboard(reversed(leaderboards.twelve()), left)
    assert [each.name for each in found.left_out] == ["a", "b"]
    assert found.dumps() == leaderboard(leaderboards.twelve(), reversed(left)).dumps()
