"""Task `download`: what it says, goes on from, records, verifies and mends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryodenoise import sources
from cryodenoise.cli import main
from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.estimates.disks import Rates
from cryodenoise.sources.known import known_sha256
from downloads import FIRST, FOLDER, contents, files_asked, fill, from_site, interrupt, micrograph, record, served_bytes
from loopback import Site, cut, serving
from processes import PATIENCE_S, Start
from refusals import Refusal
from workspaces import Workspace

PROJECT = Path(__file__).resolve().parents[2]
SIZE = 227_824_704
"""Length of each averaged micrograph of EMPIAR-10025."""


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


# Interruption


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_download_goes_on_and_fetches_no_byte_twice(
    empty: Workspace, site: Site, tmp_path: Path, sent: signal.Signals
) -> None:
    made = fill(site, tmp_path, 6)
    kept = {"m002.mrc": 1000, "m003.mrc": 2500, "m005.mrc": 5119}
    site.faults = {FOLDER + name: [cut(count, stall=True)] for name, count in kept.items()}
    from_site(empty, site, transfer={"connections": 3, "stall_timeout_s": 1000.0})
    command = [sys.executable, "-m", "cryodenoise", *empty.arguments("download")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        partials = {empty / f"raw/{name}.partial": count for name, count in kept.items()}
        whole = [empty / "raw" / name for name in made if name not in kept]
        deadline_s = time.monotonic() + PATIENCE_S

        def reached() -> bool:
            sizes = {path: path.stat().st_size for path in partials if path.exists()}
            return sizes == partials and all(path.exists() for path in whole)

        while not reached() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert reached()
        process.send_signal(sent)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == (-9 if sent == signal.SIGKILL else 128 + sent)
    if sent != signal.SIGKILL:
        assert errors == f"cryodenoise download: stopped by {sent.name}: run the same command again to go on\n"
    assert not (empty / "raw/download.json").exists()
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert served_bytes(site) == sum(map(len, made.values()))
    assert sorted(site.ranges) == ["bytes=1000-", "bytes=2500-", "bytes=5119-"]
    assert all(site.asked[FOLDER + name] == (2 if name in kept else 1) for name in made)
    assert sorted(path.name for path in (empty / "raw").iterdir()) == ["download.json", *made]


def test_a_file_that_changed_since_the_interruption_starts_over(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 1)
    from_site(empty, site)
    interrupt(empty, site)
    site.files[FIRST] = micrograph(tmp_path, 99, 40)
    assert empty.run("download") == 0
    assert contents(empty)["m000.mrc"] == site.files[FIRST]
    assert site.ranges == ["bytes=1000-"]  # of the interrupted run alone


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: (raw / "m000.mrc.partial").write_bytes(b"x" * 9000),
        lambda raw: (raw / "m000.mrc.partial").unlink(),
        lambda raw: (raw / "m001.mrc").write_bytes(b"short"),
        lambda raw: (raw / "m001.mrc").unlink(),
        lambda raw: (raw / "journal.jsonl").unlink(),
        lambda raw: (raw / "journal.jsonl").write_bytes((raw / "journal.jsonl").read_bytes() + b'{"begun": {"na'),
        lambda raw: (raw / "m000.mrc.partial").rename(raw / "m000.mrc"),
    ],
)
def test_a_download_goes_on_from_what_is_left(
    empty: Workspace, site: Site, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    made = fill(site, tmp_path, 3)
    from_site(empty, site)
    interrupt(empty, site)
    damage(empty / "raw")
    assert empty.run("download") == 0
    assert contents(empty) == made


def test_what_was_digested_is_not_digested_again(
    empty: Workspace, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site, tmp_path, 4)
    from_site(empty, site)
    interrupt(empty, site)
    digested = []

    def describe(raw_dir: Path, name: str, *how: Any) -> RawFile:
        digested.append(name)
        return sources.record.describe(raw_dir, name, *how)

    monkeypatch.setattr("cryodenoise.sources.gather.describe", describe)
    assert empty.run("download") == 0
    assert digested == ["m000.mrc"]


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("open journal.jsonl 1", signal.SIGKILL),
        ("open m000.mrc.partial 1", signal.SIGINT),
        ("open m000.mrc.partial 2", signal.SIGKILL),
        ("rename m002.mrc 1", signal.SIGKILL),
        ("open journal.jsonl 8", signal.SIGTERM),
        ("rename download.json 1", signal.SIGKILL),
        ("remove unfinished.json 1", signal.SIGTERM),
        ("remove journal.jsonl 1", signal.SIGKILL),
    ],
)
def test_a_download_interrupted_at_any_moment_equals_an_undisturbed_one(
    empty: Workspace, site: Site, tmp_path: Path, start: Start, moment: str, sent: signal.Signals
) -> None:
    made = fill(site, tmp_path, 8)
    from_site(empty, site)
    code, errors = start(empty.arguments("download"), moment, sent).end()
    assert code == (-9 if sent == signal.SIGKILL else 128 + sent), errors
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert sorted(path.name for path in (empty / "raw").iterdir()) == ["download.json", *made]
    assert [entry["verified"] for entry in record(empty).values()] == ["size"] * 8


def test_another_way_of_fetching_the_same_goes_on_and_another_selection_is_refused(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal
) -> None:
    made = fill(site, tmp_path, 3)
    from_site(empty, site)
    interrupt(empty, site)
    from_site(empty, site, selection={"first": 2})
    refuse(empty, "download", "holds unfinished work", "selection.first: null there, 2 now")
    with serving(Site(files=dict(site.files))) as other:
        from_site(empty, other, transfer={"connections": 1, "attempts": 3, "stall_timeout_s": 9.0})
        assert empty.run("download") == 0
        assert contents(empty) == made
        assert files_asked(other) == {"m000.mrc"}


def test_a_finished_download_asks_for_nothing(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site, tmp_path, 3)
    from_site(empty, site)
    assert empty.run("download") == 0
    before = site.asked.copy(), site.heads.copy()
    assert empty.run("download") == 0
    assert (site.asked, site.heads) == before
    assert "nothing to do" in capsys.readouterr().out


# What it says beforehand


def test_it_says_what_is_to_come_before_the_first_byte(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site, tmp_path, 4)
    from_site(empty, site)
    said: list[str] = []

    def listen(path: str) -> None:
        if path in site.files:
            said.append(capsys.readouterr().out)

    site.before = listen
    interrupt(empty, site)
    assert said[0].startswith(f"{site.url}{FOLDER}: 4 files\nwanted: 4 files, 20.48 kB; here already: 0 files; ")
    assert "to come: 4 files, 20.48 kB; free on the disk: " in said[0]
    said.clear()
    assert empty.run("download") == 0
    assert "here already: 3 files, 15.36 kB and 1.00 kB of others; to come: 1 file, 4.12 kB" in said[0]


@pytest.fixture
def empiar(site: Site, tmp_path: Path) -> Site:
    """The folder of EMPIAR-10025 with sparse files: 30 names as they are, the others like them."""
    names = {Path(url).name for url in known_sha256()}
    made_up = (f"14sep05c_{number:05d}sq_00003hl_00002es_c.mrc" for number in range(166))
    (tmp_path / "sparse").write_bytes(b"")
    os.truncate(tmp_path / "sparse", SIZE)
    site.files = {f"/10025/data/14sep05c_averaged_196/{name}": tmp_path / "sparse" for name in (*names, *made_up)}
    site.links = '<a href="14sep05c_averaged_196/">x</a>'
    return site


def published(name: str, workspace: Workspace, site: Site, **changes: Any) -> Path:
    """A run file of the project, with another mirror."""
    content = yaml.safe_load((PROJECT / "run" / name).read_text())
    content["empiar"] |= {"mirrors": [site.url], **changes}
    path = workspace.root / "run/download.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_dry_run_of_the_full_download(
    empty: Workspace, empiar: Site, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published("download.yaml", empty, empiar)
    monkeypatch.setattr("cryodenoise.files.free_bytes", lambda _: 40 * 10**9)
    monkeypatch.setattr("cryodenoise.sources.gather.free_bytes", lambda _: 40 * 10**9)
    refuse.capsys.readouterr()
    assert empty.run("download") == 2
    said = refuse.capsys.readouterr()
    assert "/10025/data/14sep05c_averaged_196/: 196 files\n" in said.out
    assert "wanted: 196 files, 44.65 GB; here already: 0 files; to come: 196 files, 44.65 GB; free on " in said.out
    assert "40.00 GB free, 44.72 GB needed: free some space" in said.err
    assert files_asked(empiar) == set()
    assert not (empty / "raw").exists()
    planned = sources.plan(DownloadParameters.load(path))
    assert (len(planned), sum(file.announced.size_bytes for file in planned)) == (196, 196 * SIZE)
    path = published("download.yaml", empty, empiar, selection={"first": 2})
    assert len(sources.plan(DownloadParameters.load(path))) == 2


def test_the_full_benchmark_is_planned_without_fetching(
    empty: Workspace, empiar: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryodenoise.tasks.plan.free_bytes", lambda _: 95 * 10**9)
    monkeypatch.setattr("cryodenoise.tasks.plan.measure", lambda _: Rates(200e6, 200e6))
    monkeypatch.setattr("cryodenoise.estimates.rows.seconds_a_patch", lambda *_: 0.03)
    run_set = published("download.yaml", empty, empiar).parent
    for task in ("preprocess", "train", "test"):
        (run_set / f"{task}.yaml").write_text((PROJECT / f"run/{task}.yaml").read_text())
    assert main(["plan", str(run_set), "--workspace", str(empty.root)]) == 1
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in lines if line}
    assert rows["download"].split()[1:5] == ["44.65", "GB"] * 2
    assert "196 micrographs" in rows["download"]
    assert "33,124 patches of 1024 × 1024 (26,871 train, 3,042 validation, 3,211 test)" in rows["preprocess"]
    assert "277.86 GB" in rows["preprocess"]
    assert f"  {29_913 * 1024 * 1024 * 4:,}  train_input.bin" in lines
    assert f"DOES NOT FIT: disk: 322.52 GB needed, 95.00 GB free at {empty.root}" in lines
    assert files_asked(empiar) == set()
    assert sorted(path.name for path in empty.root.iterdir()) == ["run"]


def test_the_afternoon_set_is_the_30_whose_digests_are_known(empty: Workspace, empiar: Site) -> None:
    planned = sources.plan(DownloadParameters.load(published("empiar30/download.yaml", empty, empiar)))
    assert sum(file.announced.size_bytes for file in planned) == 30 * SIZE
    parameters = DownloadParameters.load(PROJECT / "run/empiar30/download.yaml").empiar
    assert parameters is not None
    folder = f"{parameters.mirrors[0]}/{parameters.entry}/data/{parameters.directory}/"
    assert sorted(known_sha256()) == [folder + file.name for file in planned]
