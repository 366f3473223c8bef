"""Source `graphene`: fetched from a server in the published layout, or made here."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from cryodenoise.cli import main
from cryodenoise.micrographs import hdf5
from downloads import NO_WAITS, from_folder, record, served_bytes
from downloads_simulated import findings
from graphenes import CLEAN, NAMES, NOISY, images, prepare, write_published, write_stack
from loopback import Site, cut, page, serving, status
from processes import Start
from refusals import Refusal, contents, flip_byte
from workspaces import Workspace

FOLDER = "/ms/em_graphene_sim/"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server that has a small set as it is published."""
    write_published(tmp_path / "published", {"train": 4, "test": 2})
    files = {FOLDER + name: (tmp_path / "published" / name).read_bytes() for name in NAMES}
    with serving(Site(dict(files))) as running:
        yield running


def published(site: Site, name: str) -> bytes:
    content = site.files[FOLDER + name]
    assert isinstance(content, bytes)
    return content


def from_site(workspace: Workspace, site: Site) -> None:
    section = {"address": site.url + FOLDER, "simulated": None}
    prepare(workspace, "download", {"graphene": section, "transfer": NO_WAITS})
    text = (workspace / "run/download.yaml").read_text()
    (workspace / "run/download.yaml").write_text(text.replace("simulated: null", ""))


@pytest.fixture
def fetched(empty: Workspace, site: Site) -> Workspace:
    from_site(empty, site)
    assert empty.run("download") == 0
    return empty


@pytest.fixture
def simulated(empty: Workspace) -> Workspace:
    prepare(empty, "download")
    assert empty.run("download") == 0
    return empty


def held(workspace: Workspace) -> dict[str, bytes]:
    return {name: (workspace / "raw" / name).read_bytes() for name in NAMES}


def test_the_published_files_come_with_sizes_and_digests(fetched: Workspace, site: Site) -> None:
    assert held(fetched) == {name: site.files[FOLDER + name] for name in NAMES}
    for name, entry in record(fetched).items():
        assert entry["role"] == "stack"
        assert entry["url"] == site.url + FOLDER + name
        assert entry["size_bytes"] == len(published(site, name))
        assert len(entry["sha256"]) == 64
        assert (entry["pixel_digest"], entry["problem"], entry["verified"]) == (None, None, "size")
    assert findings(fetched) == []
    assert main(["download", "--verify", f"--raw_dir={fetched / 'raw'}"]) == 0
    before = served_bytes(site)
    assert fetched.run("download") == 0
    assert served_bytes(site) == before


def test_an_interrupted_transfer_goes_on_where_it_stopped(empty: Workspace, site: Site) -> None:
    from_site(empty, site)
    path = FOLDER + NAMES[-1]
    site.faults[path] = [cut(5000), status(403)]
    assert empty.run("download") == 2
    assert (empty / f"raw/{NAMES[-1]}.partial").stat().st_size == 5000
    assert empty.run("download") == 0
    assert served_bytes(site) == sum(len(published(site, name)) for name in NAMES) + len(b"trouble")
    assert findings(empty) == []


@pytest.mark.parametrize("name", [NAMES[0], NAMES[3]])
def test_a_lost_or_cut_file_is_brought_again(fetched: Workspace, site: Site, name: str) -> None:
    before = contents(fetched / "raw")
    (fetched / "raw" / name).write_bytes(b"cut")
    assert fetched.run("download") == 0
    after = {place: content for place, content in contents(fetched / "raw").items() if not place.endswith(".rejected")}
    assert after == before
    shutil.rmtree(fetched / "raw" / name.split("/")[0])
    assert fetched.run("download") == 0
    assert held(fetched) == {each: site.files[FOLDER + each] for each in NAMES}


def test_an_altered_file_is_found(fetched: Workspace) -> None:
    flip_byte(fetched / "raw" / NAMES[1], 5000)
    assert findings(fetched) == [f"RAW-2 {NAMES[1]}"]


def test_a_stray_stack_is_found(fetched: Workspace) -> None:
    write_stack(fetched / "raw/train/mine.h5", images(0, 2)[0])
    assert findings(fetched) == ["RAW-3 train/mine.h5"]


def test_a_page_in_the_place_of_a_file_is_refused(empty: Workspace, site: Site) -> None:
    from_site(empty, site)
    site.always[FOLDER + NAMES[0]] = page("application/octet-stream")
    assert empty.run("download") == 2
    assert not (empty / "raw" / NAMES[0]).exists()


def test_a_server_without_the_files_leaves_nothing(empty: Workspace, site: Site) -> None:
    site.files.clear()
    from_site(empty, site)
    assert empty.run("download") == 2
    assert not (empty / "raw").exists()


# Made here


def test_a_simulated_set_has_the_published_layout(simulated: Workspace) -> None:
    assert sorted(record(simulated)) == sorted(NAMES)
    for part, count in (("train", 6), ("test", 3)):
        for name in (NOISY, CLEAN):
            path = simulated / "raw" / part / name
            assert hdf5.read_header(path) == hdf5.Stack(count, 32, 32, "<f4")
            assert path.stat().st_size == 2048 + 4 * count * 32**2
    assert {entry["role"] for entry in record(simulated).values()} == {"stack"}
    text = (simulated / "raw/download.json").read_text()
    assert "s3.echo" not in text


def test_the_same_parameters_give_the_same_bytes(simulated: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    prepare(other, "download")
    assert other.run("download") == 0
    assert held(other) == held(simulated)


@pytest.mark.parametrize("name", NAMES)
def test_a_lost_file_is_made_again(simulated: Workspace, name: str) -> None:
    before = contents(simulated / "raw")
    (simulated / "raw" / name).unlink()
    assert findings(simulated) == [f"RAW-1 {name}"]
    assert simulated.run("download") == 0
    assert contents(simulated / "raw") == before


def test_another_file_does_not_take_the_place_of_a_lost_one(
    simulated: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryodenoise.simulation.graphene import pair

    monkeypatch.setattr(
        "cryodenoise.sources.graphene.pair", lambda section, part, index: pair(section, part, index + 1)
    )
    (simulated / "raw" / NAMES[0]).unlink()
    refuse(simulated, "download", str(simulated / "raw" / NAMES[0]), "SHA-256", "remove the folder")


def test_an_interrupted_simulation_goes_on(
    empty: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cryodenoise.simulation.graphene import pair

    made: list[tuple[str, int]] = []

    def counted(section: Any, part: Any, index: int) -> Any:
        made.append((part, index))
        if len(made) == 6:
            raise OSError(28, "No space left on device")
        return pair(section, part, index)

    monkeypatch.setattr("cryodenoise.sources.graphene.pair", counted)
    prepare(empty, "download")
    assert empty.run("download") == 2
    place = empty / "raw/train"
    assert f"{place}: cannot be written (No space left on device): free some space" in capsys.readouterr().err
    assert (empty / "raw/test" / NOISY).exists()
    assert empty.run("download") == 0
    assert made[6:] == [("train", index) for index in range(6)]
    assert findings(empty) == []


def test_a_disk_without_room_is_told_in_a_line(empty: Workspace) -> None:
    prepare(empty, "download", {"graphene": {"simulated": {"side_px": 256}}})
    limit = (100_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    done = subprocess.run(
        [sys.executable, "-m", "cryodenoise", *empty.arguments("download")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert done.stderr == (
        f"cryodenoise download: {empty / 'raw/test'}: cannot be written (File too large): free some space or choose "
        "another disk\n"
    )
    assert empty.run("download") == 0
    assert findings(empty) == []


@pytest.mark.parametrize(
    "moment", ["rename test/graphene_img_noise.h5 1", "open journal.jsonl 3", "rename train/graphene_img_clean.h5 1"]
)
def test_a_killed_simulation_ends_as_an_undisturbed_one(simulated: Workspace, start: Start, moment: str) -> None:
    undisturbed = held(simulated)
    shutil.rmtree(simulated / "raw")
    assert start(simulated.arguments("download"), moment, SIGKILL).end()[0] == -SIGKILL
    assert simulated.run("download") == 0
    assert held(simulated) == undisturbed
    assert findings(simulated) == []
    assert {path.name for path in (simulated / "raw").iterdir()} == {"download.json", "test", "train"}


def test_clean_removes_what_was_brought(simulated: Workspace) -> None:
    shutil.copytree(simulated / "run", simulated / "set")
    assert main(["clean", str(simulated / "set"), "--workspace", str(simulated.root), "--yes"]) == 0
    assert not (simulated / "raw").exists()


def test_nothing_is_written_through_a_link_to_a_folder(simulated: Workspace, refuse: Refusal, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(simulated / "raw/test")
    (simulated / "raw/test").symlink_to(tmp_path / "elsewhere")
    refuse(simulated, "download", str(simulated / "raw/test"), "a link")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"address": "https://x/y"}, ["give either address or simulated"]),
        ({"simulated": {"train_images": 0}}, ["graphene.simulated.train_images: found 0"]),
        ({"simulated": {"pixel_size_angstrom": [0.2, 0.1]}}, ["pixel_size_angstrom is [0.2, 0.1]"]),
        ({"simulated": {"pixel_size_angstrom": [0.2, 0.6]}}, ["give lowest and highest, between 0.02 and 0.5"]),
        ({"simulated": {"vacancies_per_nm2": 1.1}}, ["vacancies_per_nm2: found 1.1"]),
        ({"adress": "https://x/y"}, ["did you mean 'address'"]),
    ],
)
def test_a_mistake_in_the_section_is_told(
    empty: Workspace, refuse: Refusal, section: dict[str, Any], words: list[str]
) -> None:
    prepare(empty, "download", {"graphene": section})
    refuse(empty, "download", *words)


def test_plan_tells_of_the_set_before_it_is_made(empty: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    for task in ("download", "preprocess"):
        prepare(empty, task)
    assert main(["plan", str(empty / "run"), "--workspace", str(empty.root)]) == 0
    said = capsys.readouterr().out
    assert "9 pairs of images of 32 × 32" in said
    assert "9 micrographs → 9 patches of 32 × 32 (5 train, 1 validation, 3 test)" in said


def test_plan_cannot_know_the_published_files(empty: Workspace, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    from_site(empty, site)
    prepare(empty, "preprocess")
    assert main(["plan", str(empty / "run"), "--workspace", str(empty.root)]) == 2
    assert "numbers and shapes of its images are not known before they are there" in capsys.readouterr().err


def test_plan_tells_of_stacks_of_this_machine_before_they_are_linked(
    empty: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, pixels in zip(("noisy.h5", "clean.h5"), images(0, 10), strict=True):
        write_stack(tmp_path / "mine" / name, pixels)
    from_folder(empty, tmp_path / "mine")
    changes = {"pairs": {"noisy": "noisy.h5", "clean": "clean.h5"}, "split": {"by": "fraction"}}
    prepare(empty, "preprocess", changes)
    assert main(["plan", str(empty / "run"), "--workspace", str(empty.root)]) == 0
    said = capsys.readouterr().out
    assert "20 images in stacks" in said
    assert "10 micrographs → 10 patches of 32 × 32 (8 train, 1 validation, 1 test)" in said
    (tmp_path / "mine/clean.h5").write_bytes(b"no stack")
    assert main(["plan", str(empty / "run"), "--workspace", str(empty.root)]) == 2
    assert f"{tmp_path / 'mine/clean.h5'}: no HDF5 file" in capsys.readouterr().err


def test_stacks_of_ones_own_are_told_from_micrographs(empty: Workspace, tmp_path: Path) -> None:
    write_stack(tmp_path / "mine/noisy.h5", images(0, 3)[0])
    (tmp_path / "mine/clean.hdf5").write_bytes(b"no stack")
    from_folder(empty, tmp_path / "mine")
    assert empty.run("download") == 0
    entries = record(empty)
    assert {entry["role"] for entry in entries.values()} == {"stack"}
    assert entries["noisy.h5"]["problem"] is None
    assert entries["clean.hdf5"]["problem"].startswith("no HDF5 file")
