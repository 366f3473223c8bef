"""Source `synthetic`: which files it leaves, what is in them, and that they come out the same however they came."""

import json
import shutil
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pytest
from gemmi import cif

from cryodenoise import micrographs
from cryodenoise.cli import main
from cryodenoise.config.documents import RawFile
from cryodenoise.config.exposure import ExposureRecord
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.errors import Interrupted
from cryodenoise.simulation.exposure import expose
from cryodenoise.sources import plan, record
from downloads_simulated import FULL, KINDS, findings, made
from refusals import Refusal, contents
from workspaces import Workspace


def named(workspace: Workspace) -> dict[str, RawFile]:
    """The entries of download.json."""
    return {file.name: file for file in record.load(workspace / "raw").files}


def pixels(workspace: Workspace, name: str) -> np.ndarray:
    return micrographs.read(workspace / "raw" / name)


def told(workspace: Workspace, number: int) -> ExposureRecord:
    return ExposureRecord.load_document(workspace / f"raw/particles/synthetic_{number:04d}.json")


def test_each_micrograph_comes_with_all_that_is_known_of_it(full: Workspace) -> None:
    files = named(full)
    expected = {"gain.mrc": "gain"}
    for name in ("synthetic_0000", "synthetic_0001"):
        expected |= {f"{name}.mrc": "micrograph", f"particles/{name}.json": "particles"}
        expected |= {f"particles/{name}.star": "particles"}
        expected |= {f"{role}/{name}.mrc": role for role in ("truth", "even", "odd")}
    assert {name: file.role for name, file in files.items()} == expected
    assert list(files) == sorted(expected)
    assert set(contents(full / "raw")) == {*expected, "download.json"}
    assert all((file.pixel_digest is None) == (file.role == "particles") for file in files.values())
    assert not any(file.problem for file in files.values())
    assert findings(full) == []


def test_without_halves_and_gain_there_are_neither(tmp_path: Path) -> None:
    roles = {file.role for file in named(made(tmp_path, micrographs=1)).values()}
    assert roles == {"micrograph", "truth", "particles"}


def test_messages_count_micrographs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = made(tmp_path)
    assert "raw: 4 micrographs and 12 files that belong to them, 0.3 MB" in capsys.readouterr().out
    assert main(["download", "--verify", f"--raw_dir={workspace / 'raw'}"]) == 0
    assert "all 4 micrographs and 12 files that belong to them are as they were" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in KINDS if name.endswith(".mrc")])
def test_images_are_valid_mrc_files_with_pixel_size_and_statistics(full: Workspace, name: str) -> None:
    assert mrcfile.validate(full / "raw" / name)
    with mrcfile.open(full / "raw" / name) as stream:
        assert stream.header.mode == 2
        assert stream.data.shape == (96, 80)
        assert float(stream.voxel_size.x) == float(stream.voxel_size.y) == pytest.approx(8.0)
        assert stream.header.dmean == pytest.approx(stream.data.mean(dtype="f8"), rel=1e-5)


def test_the_halves_add_up_to_the_micrograph_and_all_are_whole_counts(full: Workspace) -> None:
    even, odd, whole = (pixels(full, f"{folder}synthetic_0001.mrc") for folder in ("even/", "odd/", ""))
    assert np.array_equal(even + odd, whole)
    assert np.array_equal(even, np.round(even))
    assert not np.array_equal(even, odd)


def test_the_micrograph_is_the_truth_and_shot_noise(tmp_path: Path) -> None:
    workspace = made(tmp_path, micrographs=1)
    truth, counted = (pixels(workspace, f"{folder}synthetic_0000.mrc").astype("f8") for folder in ("truth/", ""))
    residue = (counted - truth) / np.sqrt(truth)
    assert abs(residue.mean()) < 5 / np.sqrt(residue.size)
    assert residue.var() == pytest.approx(1, abs=5 * np.sqrt(2 / residue.size))


def test_a_gain_reference_brings_the_counts_back(full: Workspace) -> None:
    gain = pixels(full, "gain.mrc")
    assert gain.std() == pytest.approx(0.1, rel=0.2)
    counted, truth = pixels(full, "synthetic_0001.mrc"), pixels(full, "truth/synthetic_0001.mrc")
    assert np.std(counted * gain - truth) < 0.95 * np.std(counted - truth)


def test_movies_sum_to_the_same_pixels(full: Workspace, tmp_path: Path) -> None:
    workspace = made(tmp_path / "movies", **FULL, movies=True)
    before, now = named(full), named(workspace)
    assert {name: file.pixel_digest for name, file in now.items()} == {
        name: file.pixel_digest for name, file in before.items()
    }
    path = workspace / "raw/synthetic_0001.mrc"
    assert mrcfile.validate(path)
    with mrcfile.open(path) as stream:
        assert (stream.header.mode, stream.header.ispg, stream.header.nz) == (6, 0, 4)
        assert float(stream.voxel_size.x) == pytest.approx(8.0)
        assert np.array_equal(stream.data[1::2].sum(axis=0), pixels(workspace, "odd/synthetic_0001.mrc"))
    assert {name: size for name, size in sizes(workspace).items() if now[name].role != "micrograph"} == {
        name: size for name, size in sizes(full).items() if now[name].role != "micrograph"
    }


def sizes(workspace: Workspace) -> dict[str, int]:
    return {name: file.size_bytes for name, file in named(workspace).items()}


@pytest.mark.parametrize("changes", [{}, FULL, {"movies": True}, {**FULL, "movies": True}])
def test_the_planned_images_are_those_that_come(tmp_path: Path, changes: dict[str, Any]) -> None:
    workspace = made(tmp_path, **changes)
    planned = plan(DownloadParameters.load(workspace / "run/download.yaml"))
    images = {name: (file.size_bytes, file.role) for name, file in named(workspace).items() if file.pixel_digest}
    assert {file.name: (file.announced.size_bytes, file.role) for file in planned} == images


def test_a_micrograph_is_the_same_whatever_others_there_are(full: Workspace, tmp_path: Path) -> None:
    more = made(tmp_path / "more", **{**FULL, "micrographs": 3})
    assert named(full).items() <= named(more).items()
    other = made(tmp_path / "other", **FULL, seed=7)
    differing = {name for name, file in named(full).items() if file.sha256 != named(other)[name].sha256}
    assert differing >= set(KINDS)


def test_an_interruption_at_any_file_is_gone_on_from(
    empty: Workspace, full: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe = record.describe
    empty.write("download", {"synthetic": FULL})
    left, exposed = 0, []

    def interrupted(*how: Any, **more: Any) -> RawFile:
        nonlocal left
        left -= 1
        if left == 0:
            raise Interrupted(15)
        return describe(*how, **more)

    def counted(section: Any, index: int, on_frame: Any) -> Any:
        exposed.append(index)
        return expose(section, index, on_frame)

    monkeypatch.setattr("cryodenoise.sources.synthetic.describe", interrupted)
    monkeypatch.setattr("cryodenoise.sources.synthetic.expose", counted)
    for at in range(1, 14):  # 13 files
        shutil.rmtree(empty / "raw", ignore_errors=True)
        left = at
        assert empty.run("download") == 143
        assert (empty / "raw/unfinished.json").exists()
        exposed.clear()
        assert empty.run("download") == 0
        assert exposed == [0, 1][(at > 6) + (at > 12) :]
        undisturbed, now = contents(full / "raw"), contents(empty / "raw")
        assert {name: now[name] for name in undisturbed if name != "download.json"} == {
            name: content for name, content in undisturbed.items() if name != "download.json"
        }
        assert named(empty) == named(full)


def test_the_star_file_tells_what_the_record_tells(full: Workspace) -> None:
    truth = told(full, 1)
    document = cif.read(str(full / "raw/particles/synthetic_0001.star"))
    assert [block.name for block in document] == ["optics", "particles"]
    columns = ["MicrographName", "CoordinateX", "CoordinateY", "AngleRot", "AngleTilt", "AnglePsi", "DefocusU"]
    rows = [list(row) for row in document[1].find("_rln", columns)]
    inside = [each for each in truth.particles if -0.5 <= each.x_px < 79.5 and -0.5 <= each.y_px < 95.5]
    assert len(rows) == len(inside) == 4
    for row, particle in zip(rows, inside, strict=True):
        assert row[0] == truth.micrograph == "synthetic_0001.mrc"
        expected = [particle.x_px, particle.y_px, particle.rot_deg, particle.tilt_deg, particle.psi_deg]
        assert [float(value) for value in row[1:]] == pytest.approx([*expected, truth.defocus_u_um * 1e4], abs=0.006)


def test_a_full_disk_is_told_before_the_first_file(
    empty: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"synthetic": {"micrographs": 10_000, "height_px": 16_384, "width_px": 16_384}}
    empty.write("download", wanted)
    monkeypatch.setattr("cryodenoise.files.free_bytes", lambda _: 10**12)
    refuse(empty, "download", "1000.00 GB free, 21474.9", "free some space")  # twice 4 · 16384² bytes, 10,000 times
    assert not (empty / "raw").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"height_px": 32, "width_px": 32, "pixel_size_angstrom": 1.0}, ["smaller than a particle t20s"]),
        ({"specimen": {"particles": 5000}}, ["without overlap"]),
        ({"specimen": {"species": "t20"}}, ["synthetic.specimen.species", "'t20'", "'t20s'"]),
        ({"detector": {"frames": 3}, "halves": True}, ["halves", "3 frames"]),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    empty: Workspace, refuse: Refusal, changes: dict[str, Any], words: list[str]
) -> None:
    empty.write("download", {"synthetic": changes})
    refuse(empty, "download", *words)
    assert not (empty / "raw").exists()


def test_the_record_of_an_exposure_follows_its_schema_and_is_sealed(full: Workspace) -> None:
    path = full / "raw/particles/synthetic_0001.json"
    exposure = told(full, 1)
    assert (exposure.height_px, exposure.width_px, exposure.pixel_size_angstrom) == (96, 80, 8.0)
    document = json.loads(path.read_text())
    document["particles"].pop()
    path.write_text(json.dumps(document))
    assert ExposureRecord.read_document(path)[1] is not None
