"""Pairs with a truth and pairs of halves: what the samples are, to the bit."""

from pathlib import Path

import numpy as np
import pytest

from cryodenoise.cli import main
from cryodenoise.config.documents import DatasetRecord, Segment
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.micrographs import mrc
from exposures import EXPOSURES, FOLDERS, Exposure, exposed, exposure, preprocess, write_exposure, write_particles
from workspaces import Workspace


def samples(workspace: Workspace, stem: str, role: str, dtype: str = "<f4") -> np.ndarray:
    return np.fromfile(workspace / f"data/{stem}_{role}.bin", dtype).reshape(-1, 32, 32)


def affine(image: np.ndarray, offset: float, scale: float) -> np.ndarray:
    scaled: np.ndarray = (image - np.float32(offset)) / np.float32(scale)
    return scaled


def cut(image: np.ndarray) -> np.ndarray:
    """The patches of a whole micrograph."""
    places = [(y, x) for y in range(0, 65, 16) for x in range(0, 49, 16)]
    return np.stack([image[y : y + 32, x : x + 32] for y, x in places])


def of_segment(workspace: Workspace, segment: Segment, role: str) -> np.ndarray:
    here = slice(segment.first_sample, segment.first_sample + segment.samples)
    return samples(workspace, segment.file, role)[here]


def p95(image: np.ndarray) -> float:
    return float(np.float32(np.percentile(image[image > 0].astype("f8"), 95)))


@pytest.mark.parametrize("rule", ["p95", "p1_p99"])
def test_micrograph_and_truth_are_under_the_affine_map_of_the_micrograph(tmp_path: Path, rule: str) -> None:
    workspace = exposed(tmp_path, "", "truth")
    record = preprocess(workspace, "truth", {"normalization": rule})
    assert [entry.name for entry in record.micrographs] == [f"{name}.mrc" for name in "abcd"]
    assert [entry.target.name for entry in record.micrographs if entry.target] == [
        f"truth/{name}.mrc" for name in "abcd"
    ]
    for segment in record.segments:
        entry = record.micrographs[segment.micrograph]
        source = EXPOSURES[entry.name[0]]
        if rule == "p95":
            assert (entry.offset, entry.scale) == (0, p95(source.whole))
        else:
            low, high = (np.float32(np.percentile(source.whole.astype("f8"), q)) for q in (1, 99))
            assert (entry.offset, entry.scale) == (float(low), float(high - low))
        for role, image in (("input", source.whole), ("target", source.truth)):
            expected = cut(affine(image, entry.offset, entry.scale))
            assert of_segment(workspace, segment, role).tobytes() == expected.tobytes()
        assert segment.half is None
        assert set(segment.sha256) == {"input", "target"}
    assert samples(workspace, "train", "input").max() > 1  # nothing is clipped


def test_the_truth_leaks_into_no_scaling(tmp_path: Path) -> None:
    one, other = exposed(tmp_path / "one", "", "truth"), exposed(tmp_path / "other", "", "truth")
    for name, each in EXPOSURES.items():
        mrc.write(other / f"raw/truth/{name}.mrc", each.truth * np.float32(1.02) + np.float32(0.5), 1.5)
    first, second = preprocess(one, "truth"), preprocess(other, "truth")
    for entry, twin in zip(first.micrographs, second.micrographs, strict=True):
        assert (entry.offset, entry.scale) == (twin.offset, twin.scale)
    assert (one / "data/train_input.bin").read_bytes() == (other / "data/train_input.bin").read_bytes()
    assert first.identity != second.identity


def test_a_truth_without_contrast_is_no_mistake(tmp_path: Path) -> None:
    """Pure ice: the probe for hallucinations."""
    workspace = exposed(
        tmp_path, "", "truth", exposures={name: exposure(number, contrast=0) for number, name in enumerate("abcd")}
    )
    preprocess(workspace, "truth", {"normalization": "p1_p99"})
    assert samples(workspace, "test", "target").std() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["halves", "movies"])
def test_each_half_is_the_input_once_under_its_own_map(tmp_path: Path, kind: str) -> None:
    workspace = exposed(tmp_path, *FOLDERS[kind])
    record = preprocess(workspace, kind)
    assert record.pairs == "halves"
    assert [segment.half for segment in record.segments] == ["even", "odd"] * 4
    for even, odd in zip(record.segments[::2], record.segments[1::2], strict=True):
        assert (even.micrograph, even.split, even.rows, even.columns) == (
            odd.micrograph, odd.split, odd.rows, odd.columns,
        )  # fmt: skip
        assert odd.first_sample == even.first_sample + even.samples
        entry = record.micrographs[even.micrograph]
        assert entry.target is not None
        source = EXPOSURES[Path(entry.name).name[0]]
        for segment, first, second in ((even, source.even, source.odd), (odd, source.odd, source.even)):
            scale = p95(first)
            assert of_segment(workspace, segment, "input").tobytes() == cut(affine(first, 0, scale)).tobytes()
            assert of_segment(workspace, segment, "target").tobytes() == cut(affine(second, 0, scale)).tobytes()
        assert (entry.scale, entry.target.scale) == (p95(source.even), p95(source.odd))
    assert {name: place.samples for name, place in record.splits.items()} == {"train": 80, "validation": 40, "test": 40}


def test_the_mean_of_halves_is_preserved(tmp_path: Path) -> None:
    workspace = exposed(tmp_path, "even", "odd")
    record = preprocess(workspace, "halves", {"patches": {"size_px": 16, "stride_px": 16}})
    target = np.fromfile(workspace / "data/test_target.bin", "<f4").reshape(2, -1)
    source = EXPOSURES[Path(record.micrographs[record.segments[-1].micrograph].name).name[0]]
    for pixels, half, other in zip(target, (source.odd, source.even), (source.even, source.odd), strict=True):
        assert pixels.mean(dtype="f8") * p95(other) == pytest.approx(half.mean(dtype="f8"), rel=1e-6)


def test_halves_from_movies_are_those_from_files_byte_for_byte(tmp_path: Path) -> None:
    files, movies = exposed(tmp_path / "files", "even", "odd", "truth"), exposed(tmp_path / "movies", "movies", "truth")
    first, second = preprocess(files, "halves"), preprocess(movies, "movies")
    for file in first.files:
        assert (files / "data" / file.name).read_bytes() == (movies / "data" / file.name).read_bytes()
    assert first.identity == second.identity
    assert [entry.name for entry in first.micrographs] == [f"even/{name}.mrc" for name in "abcd"]
    assert [entry.name for entry in second.micrographs] == [f"{name}.mrcs" for name in "abcd"]


def test_a_gain_is_for_the_inputs_and_not_for_the_truth(tmp_path: Path) -> None:
    gain = np.random.default_rng(9).uniform(0.8, 1.25, (96, 80)).astype(np.float32)
    workspace = Workspace(tmp_path)
    for number, name in enumerate("abc"):
        source = exposure(number)
        raw = np.random.default_rng(number).poisson(source.truth / gain / 2, (2, 96, 80)).astype(np.float32)
        write_exposure(workspace / "raw", name, Exposure(raw, source.truth), "even", "odd", "truth", "")
    mrc.write(workspace / "raw/gain.mrc", gain, 1.0)
    record = preprocess(workspace, "halves", {"gain": {"file": "gain.mrc"}})
    truths = 0
    for segment in record.segments:
        entry = record.micrographs[segment.micrograph]
        even = mrc.read(workspace / "raw" / entry.name) * gain
        if segment.half == "even":
            assert of_segment(workspace, segment, "input").tobytes() == cut(affine(even, 0, p95(even))).tobytes()
            if segment.file == "test":
                truth = exposure("abc".index(Path(entry.name).name[0])).truth / 2
                assert of_segment(workspace, segment, "truth").tobytes() == cut(affine(truth, 0, p95(even))).tobytes()
                truths += 1
    assert truths == 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", ["added_noise", "halves"])
def test_a_truth_is_carried_along_for_the_test_alone(tmp_path: Path, kind: str, dtype: str) -> None:
    folders = ("", "truth") if kind == "added_noise" else ("even", "odd", "truth")
    workspace = exposed(tmp_path, *folders)
    record = preprocess(workspace, kind, {"dtype": dtype}) if kind == "halves" else added_noise(workspace, dtype)
    assert sorted(path.name for path in (workspace / "data").glob("*.bin")) == [
        "test_input.bin", "test_target.bin", "test_truth.bin", "train_input.bin", "train_target.bin",
    ]  # fmt: skip
    assert [file.name for file in record.files][-1] == "test_truth.bin"
    share, stored = 0.5 if kind == "halves" else 1, {"float32": "<f4", "float16": "<f2"}[dtype]
    found = samples(workspace, "test", "truth", stored)
    for segment in (segment for segment in record.segments if segment.file == "test"):
        entry = record.micrographs[segment.micrograph]
        assert entry.truth is not None
        source = EXPOSURES[Path(entry.name).name[0]]
        other = entry.target if segment.half == "odd" else entry
        assert other is not None
        assert other.offset is not None
        assert other.scale is not None
        expected = cut(affine(source.truth * np.float32(share), other.offset, other.scale)).astype(stored)
        here = slice(segment.first_sample, segment.first_sample + segment.samples)
        assert found[here].tobytes() == expected.tobytes()
    assert main(["check", str(workspace / "data")]) == 0


def added_noise(workspace: Workspace, dtype: str = "float32") -> DatasetRecord:
    workspace.write("preprocess", {"dtype": dtype})
    assert workspace.run("preprocess") == 0
    return open_dataset(workspace / "data")


def test_a_truth_beside_added_noise_changes_no_other_byte(tmp_path: Path) -> None:
    alone, beside = exposed(tmp_path / "alone", ""), exposed(tmp_path / "beside", "", "truth")
    first, second = added_noise(alone), added_noise(beside)
    for file in first.files:
        assert (alone / "data" / file.name).read_bytes() == (beside / "data" / file.name).read_bytes()
    assert first.identity != second.identity


@pytest.mark.parametrize("kind", ["truth", "halves", "added_noise"])
def test_particles_are_carried_into_the_dataset(tmp_path: Path, kind: str) -> None:
    workspace = exposed(tmp_path, "", "even", "odd", "truth")
    told = write_particles(workspace / "raw", "b")
    (workspace / "raw/particles/b.star").write_text("data_\n")
    record = added_noise(workspace) if kind == "added_noise" else preprocess(workspace, kind)
    assert [entry.particles for entry in record.micrographs] == [None, told.particles, None, None]
    assert "particles/b.json" in record.made_from.inputs["micrographs"]


def test_all_files_that_a_dataset_is_made_from_are_named(tmp_path: Path) -> None:
    workspace = exposed(tmp_path, "even", "odd", "truth")
    record = preprocess(workspace, "halves")
    assert sorted(record.made_from.inputs["micrographs"]) == sorted(
        f"{folder}/{name}.mrc" for folder in ("even", "odd", "truth") for name in "abcd"
    )


def test_with_two_micrographs_both_directions_share_their_regions(tmp_path: Path) -> None:
    workspace = exposed(tmp_path, "even", "odd", exposures={name: EXPOSURES[name] for name in "ab"})
    record = preprocess(workspace, "halves", {"patches": {"size_px": 16, "stride_px": 16}})
    assert record.held_out == "regions"
    for even, odd in zip(record.segments[::2], record.segments[1::2], strict=True):
        assert (even.half, odd.half) == ("even", "odd")
        assert (even.micrograph, even.split, even.rows) == (odd.micrograph, odd.split, odd.rows)
