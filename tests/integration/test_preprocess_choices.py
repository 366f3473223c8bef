"""What a run file of `preprocess` can choose: pairs, gains, skipping, types, noise."""

import gzip
import json
import math
from pathlib import Path
from signal import SIGKILL
from typing import Any

import mrcfile
import numpy as np
import pytest

from cryodenoise import micrographs
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.micrographs import mrc
from processes import Start
from refusals import Refusal, WriteMrc, noisy
from workspaces import Workspace

NO_NOISE = {"noise": {"model": "none"}}


def record_of(workspace: Workspace) -> DatasetRecord:
    return open_dataset(workspace / "data")


def samples(workspace: Workspace, stem: str, role: str, dtype: str = "<f4") -> np.ndarray:
    pixels = np.fromfile(workspace / f"data/{stem}_{role}.bin", dtype)
    return pixels.reshape(-1, 32, 32)


def preprocess(workspace: Workspace, changes: dict[str, Any]) -> DatasetRecord:
    workspace.write("preprocess", changes)
    assert workspace.run("preprocess") == 0
    return record_of(workspace)


@pytest.fixture
def pairs(empty: Workspace, write_mrc: WriteMrc) -> Workspace:
    """Four pairs, noisy ones as MRC and clean ones compressed."""
    for number, name in enumerate("abcd"):
        clean = np.linspace(10, 90, 96 * 80, dtype=np.float32).reshape(96, 80) + number
        write_mrc(empty / f"raw/noisy/{name}.mrc", clean + np.random.default_rng(number).normal(0, 3, (96, 80)), 1.5)
        path = write_mrc(empty / f"raw/clean/{name}.mrc", clean)
        path.with_suffix(".mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return empty


GIVEN = {"pairs": {"kind": "given"}, **NO_NOISE}


def test_given_pairs_share_the_normalisation_of_the_noisy_one(pairs: Workspace) -> None:
    record = preprocess(pairs, GIVEN)
    for segment in record.segments:
        entry = record.micrographs[segment.micrograph]
        assert entry.target is not None
        here = slice(segment.first_sample, segment.first_sample + segment.samples)
        for role, name in (("input", entry.name), ("target", entry.target.name)):
            image = micrographs.read(pairs / "raw" / name)
            scaled = np.clip((image - np.float32(entry.offset)) / np.float32(entry.scale), 0, 1)
            first = scaled[:32, :32]
            assert np.array_equal(samples(pairs, segment.file, role)[here][0], first)
    assert [entry.name for entry in record.micrographs] == [f"noisy/{name}.mrc" for name in "abcd"]
    assert record.micrographs[0].pixel_size_angstrom == pytest.approx(1.5)


def test_given_pairs_are_trained_on_and_scored(pairs: Workspace) -> None:
    pairs.write("preprocess", GIVEN)
    assert pairs.run("preprocess", "train", "test") == 0
    report = json.loads((pairs / "results/report.json").read_text())
    assert report["preprocess"]["parameters"]["pairs"]["kind"] == "given"
    assert report["against_target"]["methods"]["noisy_input"]["scores"]["mse"] > 0


@pytest.mark.parametrize("side", ["noisy", "clean"])
def test_half_a_pair_is_refused(pairs: Workspace, refuse: Refusal, side: str) -> None:
    next(path for path in (pairs / "raw" / side).iterdir() if path.name.startswith("b.")).unlink()
    pairs.write("preprocess", GIVEN)
    refuse(pairs, "preprocess", f"the {side} folder holds nothing of that name")


def test_a_pair_of_two_shapes_is_refused(pairs: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    write_mrc(pairs / "raw/noisy/c.mrc", noisy(0, 80, 80))
    pairs.write("preprocess", GIVEN)
    refuse(pairs, "preprocess", "noisy/c.mrc: 80 × 80 pixels, but clean/c.mrc.gz has 96 × 80")


def test_two_files_of_one_name_in_a_folder_of_pairs_are_refused(
    pairs: Workspace, refuse: Refusal, write_mrc: WriteMrc
) -> None:
    write_mrc(pairs / "raw/noisy/a.mrcs", noisy(5))
    pairs.write("preprocess", GIVEN)
    refuse(pairs, "preprocess", "noisy/a.mrcs: named as a.mrc but for the suffix")


def test_one_folder_for_both_is_refused(pairs: Workspace, refuse: Refusal) -> None:
    pairs.write("preprocess", {"pairs": {"kind": "given", "clean": "noisy"}, **NO_NOISE})
    refuse(pairs, "preprocess", "pairs.noisy and pairs.clean are one folder")


def test_a_clean_image_of_another_scale_is_refused(pairs: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    (pairs / "raw/clean/c.mrc.gz").unlink()
    write_mrc(pairs / "raw/clean/c.mrc", noisy(6) * np.float32(1e-6))
    pairs.write("preprocess", GIVEN)
    refuse(pairs, "preprocess", "clean/c.mrc: under the scale of noisy/c.mrc", "hardly any contrast", "same units")


def test_a_clean_image_that_is_there_twice_is_refused(pairs: Workspace, refuse: Refusal) -> None:
    content = (pairs / "raw/clean/a.mrc.gz").read_bytes()
    (pairs / "raw/clean/d.mrc.gz").write_bytes(content)
    pairs.write("preprocess", GIVEN)
    refuse(pairs, "preprocess", "noisy/d.mrc: the same micrograph as noisy/a.mrc")


def test_a_missing_folder_of_pairs_is_refused(own: Workspace, refuse: Refusal) -> None:
    own.write("preprocess", GIVEN)
    refuse(own, "preprocess", str(own / "raw/noisy"), "pairs.noisy names it")


def test_noise_on_top_of_given_pairs_is_refused(pairs: Workspace, refuse: Refusal) -> None:
    pairs.write("preprocess", {"pairs": {"kind": "given"}})
    refuse(pairs, "preprocess", "set `noise: {model: none}`")


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "", ".hidden"])
def test_a_folder_outside_raw_dir_is_refused(pairs: Workspace, refuse: Refusal, name: str) -> None:
    pairs.write("preprocess", {"pairs": {"kind": "given", "clean": name}, **NO_NOISE})
    refuse(pairs, "preprocess", "pairs.clean")


def test_float16_halves_the_files_and_rounds_once(own: Workspace, tmp_path: Path) -> None:
    full = preprocess(own, {})
    stored = {role: samples(own, "train", role) for role in ("input", "target")}
    (own / "data").rename(tmp_path / "full")
    half = preprocess(own, {"dtype": "float16"})
    for role, pixels in stored.items():
        assert samples(own, "train", role, "<f2").tobytes() == pixels.astype("<f2").tobytes()
    assert [file.size_bytes * 2 for file in half.files] == [file.size_bytes for file in full.files]
    assert half.identity != full.identity
    with SplitReader(own / "data", half, "test") as reader:
        inputs, _ = reader.read(np.arange(2))
    assert inputs.dtype == np.float32
    assert own.run("train", "test") == 0


@pytest.fixture
def movies(empty: Workspace) -> Workspace:
    """Three movies of four frames, counted in bytes, and a gain reference."""
    rng = np.random.default_rng(0)
    (empty / "raw").mkdir(parents=True)
    for name in "abc":
        with mrcfile.new(empty / f"raw/{name}.mrcs") as stream:
            stream.set_data(rng.poisson(12, (4, 80, 96)).astype(np.int8))
    mrc.write(empty / "raw/gain.mrc", rng.uniform(0.5, 1.5, (96, 80)).astype(np.float32), 1.0)
    return empty


@pytest.mark.parametrize("flip", ["none", "rows", "columns"])
def test_movies_are_summed_and_multiplied_by_the_turned_gain(movies: Workspace, flip: str) -> None:
    record = preprocess(movies, {"gain": {"file": "gain.mrc", "quarter_turns": 1, "flip": flip}, **NO_NOISE})
    assert [entry.name for entry in record.micrographs] == ["a.mrcs", "b.mrcs", "c.mrcs"]
    gain = np.rot90(micrographs.read(movies / "raw/gain.mrc"))
    gain = {"none": gain, "rows": gain[::-1], "columns": gain[:, ::-1]}[flip]
    for segment in record.segments:
        entry = record.micrographs[segment.micrograph]
        total = mrcfile.read(movies / "raw" / entry.name).sum(axis=0, dtype=np.float32) * gain
        scaled = np.clip(total / np.float32(entry.scale), 0, 1)
        assert np.array_equal(samples(movies, segment.file, "target")[segment.first_sample], scaled[:32, :32])


def test_a_gain_of_another_shape_is_refused(movies: Workspace, refuse: Refusal) -> None:
    movies.write("preprocess", {"gain": {"file": "gain.mrc"}})
    refuse(movies, "preprocess", "a.mrcs: 80 × 96 pixels, its gain reference 96 × 80")


def test_a_gain_that_is_a_movie_is_refused(movies: Workspace, refuse: Refusal) -> None:
    movies.write("preprocess", {"gain": {"file": "a.mrcs"}})
    refuse(movies, "preprocess", "a.mrcs: 4 images, expected one gain reference")


def test_a_missing_gain_is_refused(movies: Workspace, refuse: Refusal) -> None:
    movies.write("preprocess", {"gain": {"file": "other.mrc"}})
    refuse(movies, "preprocess", str(movies / "raw/other.mrc"), "gain.file names it")


@pytest.fixture
def mixed(own: Workspace, write_mrc: WriteMrc) -> Workspace:
    """Four sound micrographs among five that cannot be used."""
    with_nan = noisy(7)
    with_nan[3, 4] = math.nan
    write_mrc(own / "raw/e_nan.mrc", with_nan)
    write_mrc(own / "raw/f_constant.mrc", np.full((96, 80), 7, np.float32))
    write_mrc(own / "raw/g_small.mrc", noisy(8, 20, 20))
    (own / "raw/h_truncated.mrc").write_bytes((own / "raw/a.mrc").read_bytes()[:-1])
    (own / "raw/i_twin.mrc").write_bytes((own / "raw/b.mrc").read_bytes())
    return own


@pytest.mark.parametrize("workers", [1, 2])
def test_unusable_micrographs_are_left_out_and_named(
    mixed: Workspace, workers: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = preprocess(mixed, {"on_bad_micrograph": "skip", "workers": workers})
    said = capsys.readouterr().out
    reasons = {entry.name: entry.reason for entry in record.skipped}
    for name, words in {
        "e_nan.mrc": "1 of 7680 pixels are NaN or infinite",
        "f_constant.mrc": "all pixels are 7",
        "g_small.mrc": "20 × 20 pixels, smaller than a patch",
        "h_truncated.mrc": "truncated or damaged",
        "i_twin.mrc": "the same micrograph as b.mrc",
    }.items():
        assert words in reasons.pop(name)
        assert f"left out: {name}: " in said
        assert f"left out: {name}: " in (mixed / "logs/preprocess.log").read_text()
    assert reasons == {}
    assert "5 of 9 micrographs were left out" in said
    assert str(tmp_path) not in (mixed / "data/dataset.json").read_text()
    skipping = record.identity
    (mixed / "data").rename(tmp_path / "skipping")
    for entry in record.skipped:
        (mixed / "raw" / entry.name).unlink()
    assert preprocess(mixed, {}).identity == skipping


def test_a_link_that_leads_nowhere_is_left_out(own: Workspace) -> None:
    (own / "raw/e.mrc").symlink_to(own / "elsewhere")
    record = preprocess(own, {"on_bad_micrograph": "skip"})
    assert [(entry.name, entry.reason) for entry in record.skipped] == [
        ("e.mrc", "cannot be read: No such file or directory")
    ]


def test_a_file_that_was_mended_in_place_is_read_again(empty: Workspace, start: Start, write_mrc: WriteMrc) -> None:
    for number, name in enumerate("abcd"):
        write_mrc(empty / f"raw/{name}.mrc", noisy(number, 256, 256))
    middle = 256 * 256 * 2  # further from both ends than a change of the file is looked for
    path = empty / "raw/b.mrc"
    sound = path.read_bytes()
    path.write_bytes(sound[:middle] + b"\xff\xff\xff\x7f" + sound[middle + 4 :])
    empty.write("preprocess", {"on_bad_micrograph": "skip"})
    assert start(empty.arguments("preprocess"), "open journal.jsonl 1", SIGKILL).end()[0] == -9
    path.write_bytes(sound)
    assert empty.run("preprocess") == 0
    assert record_of(empty).skipped == []


def test_what_was_noted_of_other_micrographs_does_not_count(
    empty: Workspace, start: Start, write_mrc: WriteMrc
) -> None:
    """One is mended and another spoilt, both where no look at a file's ends shows it: the numbers shift."""
    for number, name in enumerate("abcdef"):
        write_mrc(empty / f"raw/{name}.mrc", noisy(number, 256, 256))
    middle = 256 * 256 * 2
    sound = {name: (empty / f"raw/{name}.mrc").read_bytes() for name in "ce"}

    def spoil(name: str) -> None:
        (empty / f"raw/{name}.mrc").write_bytes(sound[name][:middle] + b"\xff\xff\xff\x7f" + sound[name][middle + 4 :])

    spoil("c")
    empty.write("preprocess", {"on_bad_micrograph": "skip"})
    assert start(empty.arguments("preprocess"), "rename train_target.bin 1", SIGKILL).end()[0] == -9
    (empty / "raw/c.mrc").write_bytes(sound["c"])
    spoil("e")
    assert empty.run("preprocess") == 0
    record = record_of(empty)
    assert [entry.name for entry in record.micrographs] == [f"{name}.mrc" for name in "abcdf"]
    assert [entry.name for entry in record.skipped] == ["e.mrc"]


def test_the_report_names_what_was_left_out(mixed: Workspace) -> None:
    mixed.write("preprocess", {"on_bad_micrograph": "skip"})
    assert mixed.run("preprocess", "train", "test") == 0
    report = json.loads((mixed / "results/report.json").read_text())
    assert [entry["name"] for entry in report["skipped"]] == [
        "e_nan.mrc", "f_constant.mrc", "g_small.mrc", "h_truncated.mrc", "i_twin.mrc",
    ]  # fmt: skip
    assert "5 unusable micrographs were left out; `skipped` names them." in report["remarks"]


def test_an_altered_download_is_never_left_out(empty: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    assert empty.run("download") == 0
    write_mrc(empty / "raw/synthetic_0001.mrc", noisy(9))
    empty.write("preprocess", {"on_bad_micrograph": "skip"})
    refuse(empty, "preprocess", "synthetic_0001.mrc", "not those that download.json names")


def test_nothing_usable_is_refused(empty: Workspace, refuse: Refusal, write_mrc: WriteMrc) -> None:
    write_mrc(empty / "raw/a.mrc", np.zeros((96, 80), np.float32))
    empty.write("preprocess", {"on_bad_micrograph": "skip"})
    refuse(empty, "preprocess", "not one micrograph can be used")


@pytest.mark.parametrize("model", ["gaussian", "poisson", "none"])
def test_other_noise_models_are_used(own: Workspace, model: str) -> None:
    preprocess(own, {"noise": {"model": model, "sigma": 0.1}})
    residual = samples(own, "train", "input").astype("f8") - samples(own, "train", "target")
    assert (residual.std() == 0) == (model == "none")
