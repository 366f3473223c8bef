"""Source `synthetic`: files that are lost, altered, strange or in the way."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryodenoise.cli import main
from cryodenoise.simulation.exposure import expose
from downloads_simulated import FULL, KINDS, findings, made
from refusals import Refusal, WriteMrc, contents, flip_byte, noisy
from workspaces import Workspace


def test_a_first_exposure_that_failed_leaves_nothing(empty: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, *_: Any) -> None:
        path.with_name(path.name + ".partial").touch()
        raise OSError(28, "No space left on device", str(path))

    empty.write("download", {"synthetic": FULL})
    with monkeypatch.context() as patched:
        patched.setattr("cryodenoise.micrographs.mrc.write", full_disk)
        assert empty.run("download") == 2
    assert not (empty / "raw").exists()
    empty.write("download", {"synthetic": {**FULL, "seed": 1}})
    assert empty.run("download") == 0


@pytest.mark.parametrize("name", KINDS)
def test_a_lost_file_is_made_again(full: Workspace, capsys: pytest.CaptureFixture[str], name: str) -> None:
    before = contents(full / "raw")
    (full / "raw" / name).unlink()
    (full / "raw/truth/synthetic_0000.mrc").write_bytes(b"cut")
    assert full.run("download") == 0
    assert contents(full / "raw") == before
    assert "2 of 13 files brought again" in capsys.readouterr().out


def test_a_lost_movie_and_a_lost_folder_are_made_again(tmp_path: Path) -> None:
    workspace = made(tmp_path, micrographs=1, movies=True)
    before = contents(workspace / "raw")
    (workspace / "raw/synthetic_0000.mrc").unlink()
    shutil.rmtree(workspace / "raw/particles")
    assert workspace.run("download") == 0
    assert contents(workspace / "raw") == before


@pytest.mark.parametrize("movies", [False, True])
@pytest.mark.parametrize("name", ["synthetic_0000.mrc", "truth/synthetic_0000.mrc", "particles/synthetic_0000.star"])
def test_another_file_does_not_take_the_place_of_a_lost_one(
    tmp_path: Path, refuse: Refusal, monkeypatch: pytest.MonkeyPatch, name: str, movies: bool
) -> None:
    workspace = made(tmp_path / "workspace", micrographs=1, movies=movies)
    monkeypatch.setattr(
        "cryodenoise.sources.synthetic.expose", lambda section, _, on_frame: expose(section, 1, on_frame)
    )
    (workspace / "raw" / name).unlink()
    message = refuse(workspace, "download", str(workspace / "raw" / name), "digest", "remove the folder")
    assert not (workspace / "raw" / name).exists()
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("name", KINDS)
def test_an_altered_file_is_found(full: Workspace, name: str) -> None:
    path = full / "raw" / name
    flip_byte(path, path.stat().st_size // 2)
    assert findings(full) == [f"RAW-2 {name}"]
    assert main(["download", "--verify", f"--raw_dir={full / 'raw'}"]) == 1


@pytest.mark.parametrize("name", KINDS)
def test_a_missing_file_is_found(full: Workspace, name: str) -> None:
    (full / "raw" / name).unlink()
    assert findings(full) == [f"RAW-1 {name}"]


@pytest.mark.parametrize("name", ["mine.mrc", "truth/mine.mrc", "odd/mine.tif", "particles/mine.json"])
def test_a_stray_is_found(full: Workspace, name: str) -> None:
    (full / "raw" / name).write_text("mine")
    assert findings(full) == [f"RAW-3 {name}"]


def test_nothing_is_written_through_a_link_to_a_folder(refuse: Refusal, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    workspace = made(tmp_path / "linked", micrographs=1)
    shutil.rmtree(workspace / "raw/truth")
    (workspace / "raw/truth").symlink_to(tmp_path / "elsewhere")
    refuse(workspace, "download", str(workspace / "raw/truth"), "a link")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_preset_and_its_values_spelled_out_are_the_same_download(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "download.yaml"
    rest = "height_px: 64, width_px: 64, specimen: {particles: 0}, detector: {frames: 2}"
    words = ["download", f"--parameters_file={path}", f"--raw_dir={tmp_path / 'raw'}"]
    path.write_text(f"source: synthetic\nsynthetic: {{preset: smoke, {rest}}}\n")
    assert main(words) == 0
    path.write_text(f"source: synthetic\nsynthetic: {{micrographs: 4, pixel_size_angstrom: 2.63, {rest}}}\n")
    assert main(words) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("gain", [None, {"file": "ones.mrc"}, {"file": "gain.mrc", "flip": "rows"}])
@pytest.mark.parametrize("kind", ["added_noise", "truth", "halves"])
def test_counts_that_are_not_corrected_do_not_pass_for_corrected_ones(
    full: Workspace, refuse: Refusal, write_mrc: WriteMrc, kind: str, gain: dict[str, str] | None
) -> None:
    write_mrc(full / "raw/ones.mrc", np.ones((96, 80), np.float32))
    keys = {"pairs": {"kind": kind}, "noise": {"model": "none"}}
    full.write("preprocess", {**keys, "gain": gain})
    refuse(full, "preprocess", str(full / "raw/gain.mrc"), "gain: {file: gain.mrc}")
    (full / "raw/ones.mrc").unlink()
    full.write("preprocess", {**keys, "gain": {"file": "gain.mrc"}})
    assert full.run("preprocess") == 0


def test_given_pairs_beside_counts_need_no_gain_reference(full: Workspace, write_mrc: WriteMrc) -> None:
    for number in range(3):
        write_mrc(full / f"raw/noisy/{number}.mrc", noisy(number))
        write_mrc(full / f"raw/clean/{number}.mrc", noisy(number + 3))
    full.write("preprocess", {"pairs": {"kind": "given"}, "noise": {"model": "none"}})
    assert full.run("preprocess") == 0


def test_plan_tells_of_the_gain_reference_before_anything_is_made(
    empty: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    empty.write("download", {"synthetic": FULL})
    empty.write("preprocess", {"pairs": {"kind": "truth"}, "noise": {"model": "none"}})
    assert main(["plan", str(empty / "run"), "--workspace", str(empty.root)]) == 2
    assert "gain: {file: gain.mrc}" in capsys.readouterr().err
