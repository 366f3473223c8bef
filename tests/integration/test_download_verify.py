"""`download --verify`, and how a further download mends what was found."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryodenoise.cli import main
from downloads import FIRST, FOLDER, contents, fill, from_folder, from_site, interrupt, micrograph
from loopback import Site, serving
from refusals import Refusal, edit, flip_byte
from workspaces import Workspace


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


def verify(workspace: Workspace) -> int:
    return main(["download", "--verify", f"--raw_dir={workspace / 'raw'}"])


def test_a_sound_download_is_found_to_be_so(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(site, tmp_path, 3)
    site.files[FOLDER + "notes.txt"] = b"dose: 53"
    known = {site.url + FIRST: hashlib.sha256(made["m000.mrc"]).hexdigest()}
    monkeypatch.setattr("cryodenoise.sources.known.known_sha256", lambda: known)
    from_site(empty, site)
    assert empty.run("download") == 0
    *_, last, problem = capsys.readouterr().out.splitlines()
    held_against = "verified: 1 by SHA-256, 3 by size alone"
    assert last.endswith(f"raw: 4 micrographs, 0.0 MB; {held_against}")
    assert verify(empty) == 0
    verdict, still = capsys.readouterr().out.splitlines()
    assert verdict.endswith(f"all 4 micrographs are as they were downloaded; when they came, {held_against}")
    assert problem == still
    assert problem.startswith("notes.txt: not readable as a micrograph: its name")


def test_every_damage_is_found_and_a_further_download_mends_it(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 5)
    from_site(empty, site)
    assert empty.run("download") == 0
    raw = empty / "raw"
    flip_byte(raw / "m000.mrc", 2000)
    os.truncate(raw / "m001.mrc", 3000)
    (raw / "m002.mrc").unlink()
    edit(raw / "download.json", lambda document: document["files"][3].update(pixel_digest="0" * 64))
    (raw / "foreign.mrc").write_text("x")
    capsys.readouterr()
    assert verify(empty) == 1
    said = capsys.readouterr()
    findings = said.out.splitlines()
    assert said.err == ""
    for finding, words in zip(
        findings,
        ["m001.mrc: 3000 bytes, expected 5120", "m002.mrc: missing", "m000.mrc: digest of pixels",
         "m003.mrc: digest of pixels", "foreign.mrc: not named by download.json", "5 findings"],
        strict=True,
    ):  # fmt: skip
        assert words in finding
    (raw / "foreign.mrc").unlink()
    (raw / "m000.mrc").rename(tmp_path / "m000.mrc")
    before = site.asked.copy()
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert {Path(path).name for path in site.asked - before} - {"averaged"} == {"m000.mrc", "m001.mrc", "m002.mrc"}
    assert "3 of 5 files brought again" in capsys.readouterr().out
    assert (raw / "m001.mrc.rejected").stat().st_size == 3000
    assert verify(empty) == 1  # the document that was edited
    assert not (raw / "journal.jsonl").exists()


def test_mending_takes_only_what_was_there_before(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site, tmp_path, 2)
    from_site(empty, site)
    assert empty.run("download") == 0
    (empty / "raw/m000.mrc").unlink()
    site.files[FIRST] = micrograph(tmp_path, 99)
    assert empty.run("download") == 2
    assert "m000.mrc: twice it was not what it should be: SHA-256" in capsys.readouterr().err


def test_a_file_that_the_server_no_longer_has_cannot_be_mended(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal
) -> None:
    fill(site, tmp_path, 2)
    from_site(empty, site)
    assert empty.run("download") == 0
    (empty / "raw/m000.mrc").unlink()
    del site.files[FIRST]
    message = refuse(empty, "download", site.url, "m000.mrc is no longer there", "the other files are whole", "mirrors")
    assert "remove raw_dir" not in message


def test_linked_files_are_mended_too(empty: Workspace, tmp_path: Path) -> None:
    for number in range(3):
        content = micrograph(tmp_path, number)
        (tmp_path / "own").mkdir(exist_ok=True)
        (tmp_path / f"own/m{number}.mrc").write_bytes(content)
    from_folder(empty, tmp_path / "own")
    assert empty.run("download") == 0
    (empty / "raw/m1.mrc").unlink()
    assert empty.run("download") == 0
    assert verify(empty) == 0


@pytest.mark.parametrize("state", ["missing", "unfinished"])
def test_there_must_be_a_download_to_verify(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal, state: str
) -> None:
    (empty / "raw").mkdir(parents=True)
    if state == "unfinished":
        fill(site, tmp_path, 2)
        from_site(empty, site)
        interrupt(empty, site)
    command = ["download", "--verify", f"--raw_dir={empty / 'raw'}"]
    refuse.command(command, empty.root, "download.json", state, "cryodenoise download")


def test_without_a_run_file_there_is_only_verifying(empty: Workspace, refuse: Refusal) -> None:
    empty.root.mkdir(parents=True)
    refuse.command(["download", f"--raw_dir={empty / 'raw'}"], empty.root, "--parameters_file", "missing")


def test_a_download_is_preprocessed_as_any_other(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 4, height_px=96)
    from_site(empty, site)
    assert empty.run("download", "preprocess") == 0
    shutil.rmtree(empty / "data")
    (empty / "raw/m000.mrc").unlink()
    assert empty.run("download", "preprocess") == 0
