"""EMDenoise: a graphene set from stacks or folders through all four tasks, and what is wrong with one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from cryodenoise.cli import main
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.micrographs import mrc
from graphenes import CLEAN, NOISY, TASKS, images, prepare, write_published, write_stack
from refusals import Refusal, flip_byte
from workspaces import Workspace


@pytest.fixture
def published(empty: Workspace) -> tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """A raw/ as the publishers' files make it, and what these hold."""
    return empty, write_published(empty / "raw", {"train": 11, "test": 3})


def preprocessed(workspace: Workspace, changes: dict[str, Any] | None = None) -> DatasetRecord:
    prepare(workspace, "preprocess", changes)
    assert workspace.run("preprocess") == 0
    return open_dataset(workspace / "data")


def samples(workspace: Workspace, stem: str, role: str) -> np.ndarray:
    return np.fromfile(workspace / f"data/{stem}_{role}.bin", "<f4").reshape(-1, 32, 32)


def test_the_four_tasks_score_a_simulated_set(empty: Workspace) -> None:
    for task in TASKS:
        prepare(empty, task)
    assert empty.run("download", "preprocess", "train", "test") == 0
    report = json.loads((empty / "results/report.json").read_text())
    assert (report["pairs"], report["samples"], report["micrographs"]) == ("given", 3, 3)
    training = json.loads((empty / "model/training.json").read_text())
    assert training["trained_on"]["normalization"] == "none"
    assert training["trained_on"]["clipped"] is False
    assert main(["check", str(empty / "data")]) == 0


@pytest.fixture
def downloaded(empty: Workspace) -> Workspace:
    """A workspace with a raw/ that `download` made."""
    prepare(empty, "download")
    prepare(empty, "preprocess")
    assert empty.run("download") == 0
    return empty


@pytest.mark.parametrize("position", [3000, -1])
def test_a_stack_that_was_altered_after_its_download_is_refused(
    downloaded: Workspace, refuse: Refusal, position: int
) -> None:
    flip_byte(downloaded / "raw/train" / CLEAN, position)
    message = refuse(downloaded, "preprocess", f"{downloaded / 'raw/train' / CLEAN}: SHA-256 ")
    assert "which download.json does not" not in message
    assert "remove the folder and run `cryodenoise download` again" in message
    assert not (downloaded / "data").exists()


def test_a_stack_of_another_length_is_refused(downloaded: Workspace, refuse: Refusal) -> None:
    with (downloaded / "raw/test" / NOISY).open("ab") as stream:
        stream.write(b"\0")
    refuse(downloaded, "preprocess", f"{downloaded / 'raw/test' / NOISY}: 14337 bytes, expected 14336")


def test_a_stack_that_is_not_used_may_be_altered(downloaded: Workspace) -> None:
    shutil.copytree(downloaded / "raw/train", downloaded / "raw", dirs_exist_ok=True)
    flip_byte(downloaded / "raw/train" / CLEAN, 3000)
    prepare(downloaded, "preprocess", {"split": {"by": "fraction"}})
    assert downloaded.run("preprocess") == 0


def test_check_finds_a_whole_workspace_sound_and_an_altered_stack(
    downloaded: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    for task in ("train", "test"):
        prepare(downloaded, task)
    assert downloaded.run("preprocess", "train", "test") == 0
    capsys.readouterr()
    assert main(["check", str(downloaded.root)]) == 0, capsys.readouterr().out
    path = downloaded / "raw/train" / NOISY
    before = path.read_bytes()
    flip_byte(path, 3000)
    capsys.readouterr()
    assert main(["check", str(downloaded.root)]) == 1
    said = capsys.readouterr().out
    assert said.count(f"RAW-2: {path}: SHA-256 ") == 1
    assert said.count(f"train/{NOISY}: made from another file than raw/ holds now") == 1
    assert said.endswith("2 findings\n")
    path.write_bytes(before)
    path.unlink()
    capsys.readouterr()
    assert main(["check", str(downloaded.root)]) == 1
    assert capsys.readouterr().out.endswith("1 finding\n")


def test_images_are_taken_as_they_are(published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]]) -> None:
    workspace, made = published
    record = preprocessed(workspace)
    assert [entry.name for entry in record.micrographs] == [
        *(f"test/{NOISY}#{number:05d}" for number in range(3)),
        *(f"train/{NOISY}#{number:05d}" for number in range(11)),
    ]
    assert {(entry.offset, entry.scale) for entry in record.micrographs} == {(0.0, 1.0)}
    assert set(record.made_from.inputs["micrographs"]) == {
        f"{p}/{n}" for p in ("train", "test") for n in (NOISY, CLEAN)
    }
    for segment in record.segments:
        entry = record.micrographs[segment.micrograph]
        part, number = entry.name.split("/")[0], int(entry.name[-5:])
        assert (part == "test") == (segment.split == "test")
        for role, of_part in zip(("input", "target"), made[part], strict=True):
            found = samples(workspace, segment.file, role)[segment.first_sample]
            assert found.tobytes() == of_part[number, ..., 0].tobytes()
        assert entry.target
        assert entry.target.name == f"{part}/{CLEAN}#{number:05d}"
    assert samples(workspace, "train", "input").max() > 1  # nothing is clipped


def test_validation_is_a_drawn_share_of_train_and_the_test_is_what_test_holds(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> None:
    record = preprocessed(published[0])
    numbers = [segment.micrograph - 3 for segment in record.segments if segment.file == "train"]
    assert numbers == list(np.random.RandomState(42).permutation(11))
    assert [segment.split for segment in record.segments] == ["train"] * 9 + ["validation"] * 2 + ["test"] * 3
    assert [segment.micrograph for segment in record.segments if segment.file == "test"] == [0, 1, 2]


def test_folders_of_images_are_split_as_stacks_are(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]], tmp_path: Path
) -> None:
    stacks, made = published
    folders = Workspace(tmp_path / "folders")
    for part, sides in made.items():
        for side, of_side in zip(("noisy", "clean"), sides, strict=True):
            (folders / f"raw/{part}/{side}").mkdir(parents=True)
            for number, pixels in enumerate(of_side[..., 0]):
                mrc.write(folders / f"raw/{part}/{side}/{number:05d}.mrc", pixels, 1.0)
    record = preprocessed(folders, {"pairs": {"noisy": "noisy", "clean": "clean"}})
    assert record.micrographs[0].name == "test/noisy/00000.mrc"
    preprocessed(stacks)
    for name in ("train_input.bin", "train_target.bin", "test_input.bin", "test_target.bin"):
        assert (folders / "data" / name).read_bytes() == (stacks / "data" / name).read_bytes()


def test_stacks_of_ones_own_are_split_by_fractions(empty: Workspace) -> None:
    noisy, clean = images(0, 10)
    write_stack(empty / "raw/mine.hdf5", noisy[..., 0])
    write_stack(empty / "raw/truth.h5", np.moveaxis(clean, -1, 1))
    record = preprocessed(
        empty,
        {"pairs": {"noisy": "mine.hdf5", "clean": "truth.h5"}, "split": {"by": "fraction"}, "normalization": "p95"},
    )
    assert {split: place.samples for split, place in record.splits.items()} == {"train": 8, "validation": 1, "test": 1}
    assert samples(empty, "train", "input").max() == 1


def test_workers_and_chunks_do_not_matter(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]], tmp_path: Path
) -> None:
    workspace, made = published
    other = Workspace(tmp_path / "other")
    for part, sides in made.items():
        for name, pixels in zip((NOISY, CLEAN), sides, strict=True):
            write_stack(other / "raw" / part / name, pixels, chunks=(3, 16, 16, 1), compression="gzip")
    assert preprocessed(workspace).identity == preprocessed(other, {"workers": 2}).identity


# What is wrong with a set


def cut_off(raw: Path) -> None:
    path = raw / "train" / NOISY
    path.write_bytes(path.read_bytes()[:30_000])


def one_less(raw: Path) -> None:
    write_stack(raw / "train" / CLEAN, images(0, 10)[1])


def of_another_shape(raw: Path) -> None:
    write_stack(raw / "test" / CLEAN, images(1, 3, 48)[1])


def with_a_hole(raw: Path) -> None:
    with h5py.File(raw / "train" / NOISY, "r+") as file:
        file["images"][4, 3, 2] = np.nan


def exchanged(raw: Path) -> None:
    for part in ("train", "test"):
        noisy, clean = raw / part / NOISY, raw / part / CLEAN
        noisy.rename(raw / "x")
        clean.rename(noisy)
        (raw / "x").rename(clean)


def twice_the_same(raw: Path) -> None:
    for name in (NOISY, CLEAN):
        with h5py.File(raw / "train" / name, "r+") as train, h5py.File(raw / "test" / name) as test:
            train["images"][7] = test["images"][1]


def named_otherwise(raw: Path) -> None:
    with h5py.File(raw / "test" / NOISY, "r+") as file:
        file.move("images", "pictures")


def no_test(raw: Path) -> None:
    shutil.rmtree(raw / "test")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_off, [f"train/{NOISY}: damaged or cut off"]),
        (one_less, [f"train/{NOISY}: 11 images, but train/{CLEAN} has 10"]),
        (of_another_shape, [f"test/{NOISY}#00000: 32 × 32 pixels, but test/{CLEAN}#00000 has 48 × 48"]),
        (with_a_hole, [f"train/{NOISY}#00004: 1 of 1024 pixels are NaN or infinite, the first in row 3, column 2"]),
        (
            exchanged,
            [
                f"train/{CLEAN}#",
                "in train/, test/ the clean images are noisier",
                "exchange pairs.noisy and pairs.clean",
            ],
        ),
        (twice_the_same, [f"train/{NOISY}#00007: the same micrograph as test/{NOISY}#00001"]),
        (named_otherwise, [f"test/{NOISY}: no array 'images', there is 'pictures'"]),
        (no_test, [f"test/{NOISY}: no such file, though pairs.noisy names it"]),
    ],
)
def test_an_unsound_set_is_refused(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]],
    refuse: Refusal,
    spoil: Callable[[Path], object],
    words: list[str],
) -> None:
    workspace, _ = published
    spoil(workspace / "raw")
    prepare(workspace, "preprocess", {"normalization": "p1_p99"} if spoil is exchanged else None)
    refuse(workspace, "preprocess", *words)


def test_an_image_that_cannot_be_used_is_left_out_if_wished(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]],
) -> None:
    workspace, _ = published
    with_a_hole(workspace / "raw")
    record = preprocessed(workspace, {"on_bad_micrograph": "skip"})
    (skipped,) = record.skipped
    assert skipped.name == f"train/{NOISY}#00004"
    assert skipped.reason.startswith("1 of 1024 pixels")
    assert len(record.micrographs) == 13


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": {"clean": "clean"}}, ["one is a file of images"]),
        ({"pairs": {"kind": "truth"}}, ["split.by: folders is for given pairs"]),
        ({"patches": {"size_px": 64}}, [f"test/{NOISY}#00000: 32 × 32 pixels, smaller than a patch"]),
        ({"split": {"validation_fraction": 0.95}}, ["3 images in test/ and 11 in train/, 11 of these for validation"]),
        ({"normalization": "nothing"}, ["expected one of"]),
    ],
)
def test_a_mistaken_run_file_is_refused(
    published: tuple[Workspace, dict[str, tuple[np.ndarray, np.ndarray]]],
    refuse: Refusal,
    changes: dict[str, Any],
    words: list[str],
) -> None:
    prepare(published[0], "preprocess", changes)
    refuse(published[0], "preprocess", *words)
