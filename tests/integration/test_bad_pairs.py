"""Pairs with a truth and pairs of halves: mistakes end with exit code 2, one message, files as they were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest

from cryodenoise import micrographs
from cryodenoise.cli import main
from cryodenoise.micrographs import mrc
from exposures import EXPOSURES, KINDS, record_download, write_exposure, write_particles
from refusals import Refusal, edit, flip_byte
from workspaces import Workspace, merged


@pytest.fixture
def exposed(empty: Workspace) -> Workspace:
    """Micrographs, truths, halves and movies of four exposures."""
    for name, each in EXPOSURES.items():
        write_exposure(empty / "raw", name, each, "", "truth", "even", "odd")
    return empty


def prepare(workspace: Workspace, kind: str, changes: dict[str, Any] | None = None) -> None:
    workspace.write("preprocess", merged(KINDS.get(kind, {}), changes or {}))


def lose(folder: str) -> Callable[[Path], object]:
    return lambda raw: (raw / folder / "b.mrc").unlink()


def put(folder: str, image: np.ndarray, name: str = "b.mrc") -> Callable[[Path], object]:
    return lambda raw: mrc.write(raw / folder / name, image, 1.5)


SMALL = np.full((80, 80), 40, np.float32)
B = EXPOSURES["b"]


@pytest.mark.parametrize(
    ("kind", "spoil", "words"),
    [
        ("truth", lose("truth"), ["raw/b.mrc", "the truth folder holds nothing of that name"]),
        ("truth", lose(""), ["truth/b.mrc", "raw itself holds nothing of that name"]),
        ("added_noise", lose("truth"), ["raw/b.mrc", "the truth folder holds nothing of that name"]),
        ("halves", lose("truth"), ["even/b.mrc", "the truth folder holds nothing of that name"]),
        ("halves", lose("odd"), ["even/b.mrc", "the odd folder holds nothing of that name"]),
        ("halves", lose("even"), ["odd/b.mrc", "the even folder holds nothing of that name"]),
        ("halves", lose(""), ["even/b.mrc", "raw itself holds nothing of that name"]),
        ("truth", put("truth", SMALL), ["b.mrc: 96 × 80 pixels, but truth/b.mrc has 80 × 80"]),
        ("added_noise", put("truth", SMALL), ["b.mrc: 96 × 80 pixels, but truth/b.mrc has 80 × 80"]),
        ("halves", put("odd", SMALL), ["even/b.mrc: 96 × 80 pixels, but odd/b.mrc has 80 × 80"]),
        ("truth", put("truth", B.truth / 4), ["truth/b.mrc: its mean is ", "that of the micrograph 40", "own units"]),
        ("truth", put("truth", B.truth - B.truth.mean()), ["truth/b.mrc: its mean is", "own units"]),
        ("truth", put("truth", 80 - B.truth), ["truth/b.mrc: the micrograph follows it with a slope of -"]),
        ("added_noise", put("truth", B.truth / 100), ["truth/b.mrc: its mean is 0.4", "own units"]),
        ("halves", put("truth", B.truth / 2), ["truth/b.mrc: its mean is", "own units"]),
        ("halves", put("odd", B.even), ["odd/b.mrc", "the very pixels of the even one", "different frames"]),
        ("halves", put("odd", EXPOSURES["a"].odd), ["even/b.mrc: the same micrograph as even/a.mrc"]),
        ("truth", put("", EXPOSURES["a"].whole), ["b.mrc: the same micrograph as a.mrc"]),
        ("truth", put("truth", B.truth, "b.mrcs"), ["truth/b.mrcs: named as b.mrc but for the suffix"]),
        ("halves", put("even", np.full((96, 80), 7, np.float32)), ["even/b.mrc: all pixels are 7"]),
        ("halves", put("odd", np.full((96, 80), 7, np.float32)), ["odd/b.mrc: all pixels are 7"]),
    ],
)
def test_images_that_do_not_belong_together(
    exposed: Workspace, refuse: Refusal, kind: str, spoil: Callable[[Path], object], words: list[str]
) -> None:
    spoil(exposed / "raw")
    prepare(exposed, kind)
    refuse(exposed, "preprocess", *words)


@pytest.mark.parametrize("folder", ["truth", "even", "odd"])
@pytest.mark.parametrize("state", ["missing", "empty"])
def test_folders_without_images(exposed: Workspace, refuse: Refusal, folder: str, state: str) -> None:
    for path in (exposed / "raw" / folder).iterdir():
        path.unlink()
    if state == "missing":
        (exposed / "raw" / folder).rmdir()
    prepare(exposed, "truth" if folder == "truth" else "halves")
    said = f"pairs.{folder} names it" if state == "missing" else "holds no micrograph (no files at all)"
    refuse(exposed, "preprocess", str(exposed / "raw" / folder), said)


@pytest.mark.parametrize(("frames", "said"), [(1, "1 frame,"), (3, "3 frames,")])
def test_movies_without_two_halves(empty: Workspace, refuse: Refusal, frames: int, said: str) -> None:
    for name, each in EXPOSURES.items():
        write_exposure(empty / "raw", name, each, "movies")
    with mrcfile.new(empty / "raw/b.mrcs", overwrite=True) as stream:
        stream.set_data(B.frames[:frames].astype(np.int8))
        stream.set_image_stack()
    prepare(empty, "movies")
    refuse(empty, "preprocess", "b.mrcs", said, "an even number", "pairs.halves: files")


@pytest.mark.parametrize("kind", ["truth", "halves", "movies"])
def test_noise_on_top_of_noisy_inputs(exposed: Workspace, refuse: Refusal, kind: str) -> None:
    prepare(exposed, kind, {"noise": {"model": "poisson"}})
    refuse(exposed, "preprocess", "inputs are noisy already", "set `noise: {model: none}`")


def test_one_folder_for_both_halves(exposed: Workspace, refuse: Refusal) -> None:
    prepare(exposed, "halves", {"pairs": {"odd": "even"}})
    refuse(exposed, "preprocess", "name one folder twice")


def write_edited_particles(raw: Path) -> None:
    write_particles(raw, "b")
    path = raw / "particles/b.json"
    path.write_text(path.read_text().replace("10.5", "11.5"))


def write_broken_particles(raw: Path) -> None:
    (raw / "particles").mkdir()
    (raw / "particles/b.json").write_text("{")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda raw: write_particles(raw, "b", height_px=95), ["particles/b.json has 95 × 80"]),
        (lambda raw: write_particles(raw, "b", micrograph="a.mrc"), ["particles/b.json: tells of 'a.mrc'"]),
        (lambda raw: write_particles(raw, "z"), ["particles/z.json: tells of no micrograph that is there"]),
        (write_broken_particles, ["b.json: not JSON"]),
        (write_edited_particles, ["particles/b.json", "edited since it was written"]),
    ],
    ids=["other-shape", "other-micrograph", "no-micrograph", "no-json", "edited"],
)
@pytest.mark.parametrize("kind", ["truth", "halves", "added_noise"])
def test_unsound_particles(
    exposed: Workspace, refuse: Refusal, kind: str, write: Callable[[Path], object], words: list[str]
) -> None:
    write(exposed / "raw")
    prepare(exposed, kind)
    refuse(exposed, "preprocess", *words)


@pytest.fixture
def downloaded(exposed: Workspace) -> Workspace:
    """The same with particles and a gain reference, and a download.json that names all of it."""
    write_particles(exposed / "raw", "b")
    mrc.write(exposed / "raw/gain.mrc", np.random.default_rng(0).uniform(0.9, 1.1, (96, 80)), 1.0)
    record_download(exposed / "raw", gain="gain")
    return exposed


GAIN = {"gain": {"file": "gain.mrc"}}


@pytest.mark.parametrize("kind", ["truth", "halves", "added_noise"])
def test_a_gain_reference_of_a_download_is_no_micrograph(downloaded: Workspace, kind: str) -> None:
    prepare(downloaded, kind, GAIN)
    assert downloaded.run("preprocess") == 0


def test_halves_of_a_download_need_no_micrographs(downloaded: Workspace) -> None:
    for name in "abcd":
        (downloaded / f"raw/{name}.mrc").unlink()
    prepare(downloaded, "halves", GAIN)
    assert downloaded.run("preprocess") == 0


@pytest.mark.parametrize(("kind", "folder"), [("truth", "truth"), ("halves", "even"), ("halves", "odd"),
                                              ("halves", "truth"), ("added_noise", "truth")])  # fmt: skip
def test_a_file_that_the_download_does_not_name(downloaded: Workspace, refuse: Refusal, kind: str, folder: str) -> None:
    mrc.write(downloaded / f"raw/{folder}/z.mrc", B.truth, 1.5)
    prepare(downloaded, kind, GAIN)
    refuse(downloaded, "preprocess", f"holds {folder}/z.mrc, which download.json does not name")


@pytest.mark.parametrize(("kind", "folder"), [("truth", "truth"), ("halves", "even"), ("halves", "odd"),
                                              ("halves", "truth"), ("added_noise", "truth")])  # fmt: skip
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_files_that_are_not_those_of_the_download(
    downloaded: Workspace, refuse: Refusal, kind: str, folder: str, damage: str
) -> None:
    path = downloaded / f"raw/{folder}/b.mrc"
    image = micrographs.read(path)
    path.unlink()
    if damage == "altered":
        image[0, 0] += 1
        mrc.write(path, image, 1.5)
    prepare(downloaded, kind, {**GAIN, "on_bad_micrograph": "skip"})
    said = "missing, though download.json names it" if damage == "missing" else "not those that download.json names"
    refuse(downloaded, "preprocess", f"{path}: ", said, "remove the folder")


def test_a_movie_that_is_not_the_one_downloaded(empty: Workspace, refuse: Refusal) -> None:
    for name, each in EXPOSURES.items():
        write_exposure(empty / "raw", name, each, "movies")
    record_download(empty / "raw")
    prepare(empty, "movies")
    assert empty.run("preprocess") == 0
    for path in (empty / "data").iterdir():
        path.unlink()
    with mrcfile.mmap(empty / "raw/c.mrcs", "r+") as stream:
        stream.data[1, 5, 5] += 1
    refuse(empty, "preprocess", "c.mrcs: its pixels are not those that download.json names")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_pixel_beyond_what_the_stored_type_holds(exposed: Workspace, refuse: Refusal, dtype: str) -> None:
    image = B.whole.copy()
    image[3, 4] = {"float16": 1e7, "float32": 3e38}[dtype]
    mrc.write(exposed / "raw/b.mrc", image, 1.5)
    mrc.write(exposed / "raw/truth/b.mrc", np.full((96, 80), image.mean(dtype="f8")), 1.5)
    prepare(exposed, "truth", {"normalization": "p1_p99", "dtype": dtype})
    if dtype == "float32":  # a scale below 1 takes it out of range
        for name, each in EXPOSURES.items():
            mrc.write(exposed / f"raw/{name}.mrc", each.whole / np.float32(1e3), 1.5)
            mrc.write(exposed / f"raw/truth/{name}.mrc", each.truth / np.float32(1e3), 1.5)
        small = image / np.float32(1e3)
        small[3, 4] = image[3, 4]
        mrc.write(exposed / "raw/b.mrc", small, 1.5)
        mrc.write(exposed / "raw/truth/b.mrc", np.full((96, 80), small.mean(dtype="f8")), 1.5)
    refuse(exposed, "preprocess", "b.mrc: a pixel of it", f"beyond what {dtype} holds")


def test_an_altered_truth_of_a_dataset_is_found(
    exposed: Workspace, refuse: Refusal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exposed.run("preprocess", "train") == 0
    path = exposed / "data/test_truth.bin"
    flip_byte(path, 3 * 4096 + 1)
    capsys.readouterr()
    assert main(["check", str(exposed / "data")]) == 1
    assert "test_truth.bin: sample 3 " in capsys.readouterr().out
    refuse(exposed, "test", "test_truth.bin: sample 3 ", "altered")
    path.unlink()
    refuse(exposed, "train", f"{path}: missing")


def in_segment(number: int, **values: object) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["segments"][number].update(values)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document.update(pairs="truth"), "pairs: not that of the run file"),
        (in_segment(0, half=None), "half: "),
        (lambda document: document["segments"][-1]["sha256"].pop("truth"), "sha256: of a truth"),
        (lambda document: document["segments"][0]["sha256"].update(truth="0" * 64), "sha256: of a truth"),
        (lambda document: document["files"].pop(), "files: not those of the segments"),
    ],
    ids=["other-kind", "no-half", "truth-lost", "truth-in-train", "file-lost"],
)
def test_contradictions_about_pairs_are_found(
    exposed: Workspace, change: Callable[[dict[str, Any]], object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(exposed, "halves")
    assert exposed.run("preprocess") == 0
    edit(exposed / "data/dataset.json", change)
    capsys.readouterr()
    assert main(["check", str(exposed / "data")]) == 1
    assert words in capsys.readouterr().out


def test_edited_scores_against_the_truth_are_found(exposed: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    exposed.write("train", {"epochs": 1, "batch_size": 20})
    assert exposed.run("preprocess", "train", "test") == 0
    edit(exposed / "results/report.json", lambda report: report["against_truth"]["denoised"].update(psnr_db=99.0))
    capsys.readouterr()
    assert main(["check", str(exposed / "results")]) == 1
    assert "against_truth.denoised.psnr_db: 99.0" in capsys.readouterr().out
