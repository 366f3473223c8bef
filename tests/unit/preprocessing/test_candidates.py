from pathlib import Path
from typing import Any

import pytest

from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.preprocessing.candidates import pair_up

RAW = Path("/raw")  # nothing is there: names are enough
ALL = [
    "a.mrc", "b.mrc", "gain.mrc", "notes.txt", "truth/a.mrc", "truth/b.mrc.gz", "even/a.mrc", "even/b.mrc", "odd/a.tif",
    "odd/b.mrc", "particles/b.json", "particles/b.star", "elsewhere/a.mrc",
]  # fmt: skip


def paired(pairs: dict[str, Any], names: list[str] = ALL) -> list[Candidate]:
    parameters = PreprocessParameters.model_validate(
        {"pairs": pairs, "noise": {"model": "none"}, "gain": {"file": "gain.mrc"}}
    )
    return pair_up(RAW, {name: f"digest of {name}" for name in names}, parameters)


def named(candidate: Candidate) -> tuple[str, str | None, str | None]:
    target, truth = candidate.target, candidate.truth
    return candidate.name, target.name if target else None, truth.name if truth else None


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"kind": "added_noise"}, [("a.mrc", None, "truth/a.mrc"), ("b.mrc", None, "truth/b.mrc.gz")]),
        ({"kind": "truth"}, [("a.mrc", "truth/a.mrc", None), ("b.mrc", "truth/b.mrc.gz", None)]),
        (
            {"kind": "halves"},
            [("even/a.mrc", "odd/a.tif", "truth/a.mrc"), ("even/b.mrc", "odd/b.mrc", "truth/b.mrc.gz")],
        ),
        (
            {"kind": "halves", "halves": "movies"},
            [("a.mrc", "a.mrc", "truth/a.mrc"), ("b.mrc", "b.mrc", "truth/b.mrc.gz")],
        ),
        (
            {"kind": "halves", "even": "odd", "odd": "even"},
            [("odd/a.tif", "even/a.mrc", "truth/a.mrc"), ("odd/b.mrc", "even/b.mrc", "truth/b.mrc.gz")],
        ),
    ],
)
def test_what_belongs_together_is_found_by_names(
    pairs: dict[str, Any], expected: list[tuple[str, str | None, str | None]]
) -> None:
    found = paired(pairs)
    assert [named(candidate) for candidate in found] == expected
    for candidate in found:
        assert candidate.expected_digest == f"digest of {candidate.name}"
        assert all(other.expected_digest == f"digest of {other.name}" for other in candidate.others)
        assert candidate.gain == Source(RAW / "gain.mrc", "gain.mrc", "digest of gain.mrc")
        halves_from_files = pairs["kind"] == "halves" and "halves" not in pairs
        whole = f"digest of {Path(candidate.name).name[0]}.mrc" if halves_from_files else None
        assert candidate.whole_digest == whole
    assert [candidate.particles_path for candidate in found] == [None, RAW / "particles/b.json"]


def test_every_file_that_is_read_is_named_once() -> None:
    _, second = paired({"kind": "halves"})
    assert second.files == {name: RAW / name for name in
                            ["even/b.mrc", "odd/b.mrc", "truth/b.mrc.gz", "particles/b.json", "gain.mrc"]}  # fmt: skip
    movie, _ = paired({"kind": "halves", "halves": "movies"})
    assert movie.files == {name: RAW / name for name in ["a.mrc", "truth/a.mrc", "gain.mrc"]}


@pytest.mark.parametrize(
    ("pairs", "lost", "words"),
    [
        ({"kind": "truth"}, "truth/b.mrc.gz", r"/raw/b\.mrc: the truth folder holds nothing of that name"),
        ({"kind": "halves"}, "odd/a.tif", r"/raw/even/a\.mrc: the odd folder holds nothing of that name"),
        ({"kind": "halves"}, "a.mrc", r"/raw/even/a\.mrc: /raw itself holds nothing of that name"),
        ({"kind": "added_noise"}, "truth/a.mrc", r"/raw/a\.mrc: the truth folder holds nothing of that name"),
    ],
)
def test_all_have_a_twin_or_none(pairs: dict[str, Any], lost: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        paired(pairs, [name for name in ALL if name != lost])


@pytest.mark.parametrize("kind", ["added_noise", "halves"])
def test_truths_that_the_run_file_names_must_be_there(kind: str) -> None:
    without = [name for name in ALL if not name.startswith("truth/")]
    assert [candidate.truth for candidate in paired({"kind": kind}, without)] == [None, None]
    with pytest.raises(UserError, match=r"/raw/thruth: no such folder, though pairs\.truth names it"):
        paired({"kind": kind, "truth": "thruth"})
    with pytest.raises(UserError, match=r"pairs\.truth names it"):
        paired({"kind": kind, "truth": "truth"}, without)


def test_nothing_to_make_a_pair_of_is_said_with_the_key_that_names_it() -> None:
    with pytest.raises(UserError, match=r"/raw/even: no such folder, though pairs\.even names it"):
        paired({"kind": "halves"}, ["a.mrc"])
    with pytest.raises(UserError, match="/raw: holds no micrograph"):
        paired({"kind": "added_noise"}, ["particles/b.json"])
