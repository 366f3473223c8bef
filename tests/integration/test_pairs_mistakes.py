"""Halves, truths and gain references that are not what they pass for: refused, and never left out in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryodenoise import micrographs
from cryodenoise.micrographs import mrc
from exposures import EXPOSURES, KINDS, Exposure, exposed, exposure, preprocess, record_download
from refusals import Refusal
from workspaces import Workspace, merged

B = EXPOSURES["b"]
SKIP = {"on_bad_micrograph": "skip"}


def prepare(workspace: Workspace, kind: str, *changes: dict[str, Any]) -> None:
    settings = KINDS.get(kind, {})
    for change in changes:
        settings = merged(settings, change)
    workspace.write("preprocess", settings)


def every(root: Path) -> Workspace:
    return exposed(root, "", "even", "odd", "truth")


@pytest.mark.parametrize(
    ("image", "said"),
    [(B.odd * 3, "the mean of the odd half is 6"), (B.odd + 1000, "the mean of the odd half is 10"),
     (B.whole, "the very pixels of the whole micrograph"), (B.whole + 1, "the mean of the odd half is 4")],
    ids=["three-times", "offset", "whole", "nearly-whole"],
)  # fmt: skip
def test_halves_are_compared_with_each_other(tmp_path: Path, refuse: Refusal, image: np.ndarray, said: str) -> None:
    workspace = every(tmp_path)
    mrc.write(workspace / "raw/odd/b.mrc", image, 1.5)
    record_download(workspace / "raw")
    prepare(workspace, "halves")
    refuse(workspace, "preprocess", "/b.mrc", said, "give sums of")


def test_half_a_movie_of_another_dose_is_refused(tmp_path: Path, refuse: Refusal) -> None:
    uneven = Exposure(B.frames * np.array([1, 2, 1, 2], np.float32)[:, None, None], B.truth)
    prepare(workspace := exposed(tmp_path, "movies", exposures={**EXPOSURES, "b": uneven}), "movies")
    refuse(workspace, "preprocess", "b.mrcs: the mean of the odd half")


@pytest.mark.parametrize(
    ("kind", "pairs", "words"),
    [
        ("halves", {"odd": "truth", "truth": "odd"}, ["raw/odd", "pairs.truth names it", "of role 'odd'"]),
        ("halves", {"odd": "even", "even": "odd"}, ["raw/odd", "pairs.even names it", "expected 'even'"]),
        ("truth", {"truth": "even"}, ["pairs.truth names it", "even/a.mrc is of role 'even', expected 'truth'"]),
        ("added_noise", {"truth": "odd"}, ["pairs.truth names it", "of role 'odd'"]),
    ],
)
def test_folders_that_the_download_says_are_something_else(
    tmp_path: Path, refuse: Refusal, kind: str, pairs: dict[str, str], words: list[str]
) -> None:
    workspace = every(tmp_path)
    record_download(workspace / "raw")
    prepare(workspace, kind, {"pairs": pairs})
    refuse(workspace, "preprocess", *words)


@pytest.mark.parametrize("kind", ["added_noise", "halves"])
def test_a_mistyped_folder_of_truths_is_refused(tmp_path: Path, refuse: Refusal, kind: str) -> None:
    workspace = every(tmp_path)
    prepare(workspace, kind, {"pairs": {"truth": "thruth"}})
    refuse(workspace, "preprocess", "raw/thruth: no such folder, though pairs.truth names it")


def test_a_gain_reference_of_the_download_must_be_used(tmp_path: Path, refuse: Refusal) -> None:
    workspace = every(tmp_path)
    mrc.write(workspace / "raw/gain.mrc", np.ones((96, 80), np.float32), 1.0)
    record_download(workspace / "raw", gain="gain")
    prepare(workspace, "halves")
    refuse(workspace, "preprocess", "raw/gain.mrc", "set `gain: {file: gain.mrc}`")


@pytest.mark.parametrize("skip", [{}, SKIP], ids=["error", "skip"])
def test_a_gain_reference_is_held_against_the_download(tmp_path: Path, refuse: Refusal, skip: dict[str, Any]) -> None:
    workspace = every(tmp_path)
    path = workspace / "raw/gain.mrc"
    gain = np.random.default_rng(0).uniform(0.99, 1.01, (96, 80)).astype(np.float32)
    mrc.write(path, gain, 1.0)
    record_download(workspace / "raw", gain="gain")
    prepare(workspace, "halves", {"gain": {"file": "gain.mrc"}}, skip)
    gain[5, 5] = 0.5
    mrc.write(path, gain, 1.0)
    refuse(workspace, "preprocess", f"{path}: its pixels are not those that download.json names")


@pytest.mark.parametrize("kind", ["truth", "halves"])
def test_a_gain_reference_is_read_once_for_a_micrograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    workspace = every(tmp_path)
    mrc.write(workspace / "raw/gain.mrc", np.ones((96, 80), np.float32), 1.0)
    read, original = [], micrographs.read

    def counted(path: Path, image: int | None = None) -> np.ndarray:
        read.append(path.name)
        return original(path, image)

    monkeypatch.setattr("cryodenoise.micrographs.read", counted)
    preprocess(workspace, kind, {"gain": {"file": "gain.mrc"}})
    assert read.count("gain.mrc") == 4


def other_units(path: Path) -> None:
    mrc.write(path, B.truth / 4, 1.5)


def other_shape(path: Path) -> None:
    mrc.write(path, B.truth[:80], 1.5)


def not_finite(path: Path) -> None:
    image = B.truth.copy()
    image[3, 4] = np.nan
    mrc.write(path, image, 1.5)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "elsewhere")


SPOILT = [other_units, other_shape, not_finite, cut_off, nowhere]


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("kind", ["added_noise", "halves"])
def test_a_truth_that_is_carried_along_leaves_nothing_out(
    tmp_path: Path, refuse: Refusal, kind: str, spoil: Callable[[Path], None]
) -> None:
    """Else the truth would decide what is trained on; the same mended goes through."""
    workspace = every(tmp_path)
    path = workspace / "raw/truth/b.mrc"
    spoil(path)
    prepare(workspace, kind, SKIP)
    refuse(workspace, "preprocess", "truth/b.mrc", "nothing is left out for a truth", "mend it")
    path.unlink()
    mrc.write(path, B.truth, 1.5)
    assert workspace.run("preprocess") == 0


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_target_that_is_no_truth_is_left_out(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    workspace = every(tmp_path)
    spoil(workspace / "raw/truth/b.mrc")
    assert [entry.name for entry in preprocess(workspace, "truth", SKIP).skipped] == ["b.mrc"]


@pytest.mark.parametrize("kind", ["added_noise", "halves"])
def test_a_bad_micrograph_is_left_out_with_the_truth_beside_it(tmp_path: Path, kind: str) -> None:
    workspace = every(tmp_path)
    not_finite(workspace / ("raw/b.mrc" if kind == "added_noise" else "raw/odd/b.mrc"))
    prepare(workspace, kind, SKIP)
    assert workspace.run("preprocess") == 0
    assert '"reason": "' in (workspace / "data/dataset.json").read_text()


def of_one_specimen(contrast: float) -> dict[str, Exposure]:
    """Four exposures, all different counts, of which two have one truth."""
    first, other = exposure(0, contrast=contrast), exposure(1, contrast=contrast)
    frames = np.random.default_rng(77).poisson(first.truth / 4, first.frames.shape).astype(np.float32)
    return {"a": first, "b": Exposure(frames, first.truth), "c": other, "d": exposure(3, contrast=contrast)}


@pytest.mark.parametrize("skip", [{}, SKIP], ids=["error", "skip"])
@pytest.mark.parametrize("kind", ["added_noise", "halves", "truth"])
def test_two_micrographs_of_one_truth_are_refused(
    tmp_path: Path, refuse: Refusal, kind: str, skip: dict[str, Any]
) -> None:
    workspace = exposed(tmp_path, "", "even", "odd", "truth", exposures=of_one_specimen(0.3))
    prepare(workspace, kind, skip)
    if kind == "truth" and skip:
        assert [entry.name for entry in preprocess(workspace, "truth", SKIP).skipped] == ["b.mrc"]
    else:
        refuse(workspace, "preprocess", "b.mrc: the same micrograph as", "a.mrc, going by truth/b.mrc")


@pytest.mark.parametrize("kind", ["added_noise", "halves", "truth"])
def test_pure_ice_may_have_one_truth_everywhere(tmp_path: Path, kind: str) -> None:
    workspace = exposed(tmp_path, "", "even", "odd", "truth", exposures=of_one_specimen(0))
    prepare(workspace, kind, {"normalization": "p1_p99"})
    assert workspace.run("preprocess") == 0
