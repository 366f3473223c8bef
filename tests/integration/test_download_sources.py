"""Task `download`: which files it takes, from an EMPIAR entry, from anywhere, and from this machine."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from downloads import FIRST, FOLDER, contents, files_asked, fill, from_folder, from_site, micrograph, record
from loopback import Answer, Fault, Site, cut, serving, status
from refusals import Refusal
from workspaces import Workspace


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


# Which files


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["m000.mrc", "m001.mrc", "m002.mrc", "m003.mrc"]),
        ({"first": 2}, ["m000.mrc", "m001.mrc"]),
        ({"pattern": "*[13].mrc"}, ["m001.mrc", "m003.mrc"]),
        ({"pattern": "*[13].mrc", "first": 1}, ["m001.mrc"]),
        ({"names": ["m003.mrc", "m000.mrc"]}, ["m000.mrc", "m003.mrc"]),
    ],
)
def test_a_selection_is_all_that_is_fetched(
    empty: Workspace, site: Site, tmp_path: Path, selection: dict[str, Any], expected: list[str]
) -> None:
    fill(site, tmp_path, 4)
    from_site(empty, site, selection=selection)
    assert empty.run("download") == 0
    assert sorted(record(empty)) == sorted(files_asked(site)) == expected


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ({"names": ["m000.mrc", "m00.mrc"]}, ["selection.names: m00.mrc is not among its 4 files"]),
        ({"pattern": "*.tif"}, ["selection.pattern: none of its 4 files matches '*.tif'", "m000.mrc"]),
        ({"pattern": "*", "names": ["m000.mrc"]}, ["names beside pattern or first"]),
        ({"first": 0}, ["selection.first: found 0"]),
    ],
)
def test_a_selection_of_what_is_not_there_is_refused(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal, selection: dict[str, Any], words: list[str]
) -> None:
    fill(site, tmp_path, 4)
    from_site(empty, site, selection=selection)
    (empty / "raw").mkdir()
    refuse(empty, "download", *words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"directory": "../x"}, ["empiar.directory", "a folder such as"]),
        ({"directory": "averagd"}, ["404 Not Found", "EMPIAR-10025"]),
        ({"mirrors": ["ftp://x/y"]}, ["empiar.mirrors.0", "an address such as https://"]),
        ({"mirrors": ["https://me:secret@x/y"]}, ["empiar.mirrors.0", "without a user's name"]),
        ({"transfer": {"connections": 26}}, ["transfer.connections: found 26", "at most 25"]),
        ({"transfer": {"stall_timeout_s": 1e300}}, ["transfer.stall_timeout_s: found 1e+300", "at most 86400"]),
        ({"mirrors": []}, ["empiar.mirrors: found []", "at least one"]),
    ],
)
def test_a_mistake_in_the_section_is_told(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal, changes: dict[str, Any], words: list[str]
) -> None:
    fill(site, tmp_path, 1)
    from_site(empty, site, **changes)
    (empty / "raw").mkdir()
    refuse(empty, "download", *words)


def from_urls(workspace: Workspace, **section: Any) -> None:
    workspace.write("download", {"source": "urls", "synthetic": None, "urls": section, "transfer": {"backoff_s": 0.0}})


def test_a_list_of_addresses(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 2)
    site.files["/other/m%20x.mrc"] = b""
    site.files["/other/m x.mrc"] = made["m000.mrc"]
    from_urls(empty, files=[f"{site.url}/other/m%20x.mrc", f"{site.url}{FOLDER}m001.mrc?key=1#here"])
    assert empty.run("download") == 0
    assert contents(empty) == {"m x.mrc": made["m000.mrc"], "m001.mrc": made["m001.mrc"]}


@pytest.mark.parametrize("page", [FOLDER, FOLDER + "index.html"])
def test_an_index_page_anywhere(empty: Workspace, site: Site, tmp_path: Path, page: str) -> None:
    made = fill(site, tmp_path, 3)
    site.files[FOLDER + "index.html"] = b'<a href="./m000.mrc">a</a><A HREF=m001.mrc>b</A><a href="m002.mrc"></html>'
    from_urls(empty, index=site.url + page, selection={"pattern": "*.mrc"})
    site.always[FOLDER + "index.html"] = lambda answer: answer.headers.update({"Content-Type": "text/html"})
    assert empty.run("download") == 0
    assert contents(empty) == made


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"files": ["http://h/a.mrc", "http://h/b/a.mrc"]}, ["have the same name"]),
        ({"files": ["http://h/..%2fa.mrc"]}, ["the name '../a.mrc' leads out of the folder"]),
        ({"files": ["http://h/download.json"]}, ["the name 'download.json' is one that `download` itself writes"]),
        ({"files": ["http://h/"]}, ["the name '' leads out of the folder"]),
        ({"files": []}, ["urls.files: found []", "at least one"]),
        ({"files": ["http://[bad/x.mrc"]}, ["urls.files.0: found", "an address such as"]),
        ({"files": ["http://\u2100/x.mrc"]}, ["urls.files.0: found", "an address such as"]),
        ({"files": ["http://h:99999/x.mrc"]}, ["urls.files.0: found", "an address such as"]),
        ({"index": "http://h:0x1/"}, ["urls.index: found", "an address such as"]),
        ({}, ["give either files or index"]),
    ],
)
def test_a_mistake_in_a_list_of_addresses_is_told(
    empty: Workspace, refuse: Refusal, section: dict[str, Any], words: list[str]
) -> None:
    from_urls(empty, **section)
    (empty / "raw").mkdir()
    assert len(refuse(empty, "download", *words).splitlines()) == 1


def test_a_file_that_is_no_micrograph_is_fetched_and_recorded_with_the_reason(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(site, tmp_path, 3)
    site.files[FOLDER + "notes.txt"] = b"dose: 53"
    from_site(empty, site)
    assert empty.run("download") == 0
    entry = record(empty)["notes.txt"]
    assert (entry["pixel_digest"], entry["verified"]) == (None, "size")
    assert "its name ends in none of .mrc" in entry["problem"]
    assert str(empty.root) not in entry["problem"]
    assert "notes.txt: not readable as a micrograph: its name" in capsys.readouterr().out
    empty.write("preprocess", {"patches": {"size_px": 16, "stride_px": 8}})
    assert empty.run("preprocess") == 0


def cut_off_unsaid(answer: Answer) -> None:
    """Half of the page, its end told by that of the connection alone."""
    assert isinstance(answer.content, bytes)
    answer.content = answer.content[: answer.size // 2]
    del answer.headers["Content-Length"]
    answer.headers["Connection"] = "close"


@pytest.mark.parametrize("fault", [cut(200), cut_off_unsaid, status(503), cut(200, reset=True)])
def test_an_index_page_that_was_cut_off_is_read_again(
    empty: Workspace, site: Site, tmp_path: Path, fault: Fault
) -> None:
    made = fill(site, tmp_path, 20)
    site.faults[FOLDER] = [fault]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made


# Mirrors and names


@pytest.mark.parametrize("trouble", ["folder", "file", "index fails"])
def test_the_next_mirror_serves_what_the_first_does_not(
    empty: Workspace, site: Site, tmp_path: Path, trouble: str
) -> None:
    made = fill(site, tmp_path, 3)
    with serving(Site(files=dict(site.files))) as second:
        if trouble == "folder":
            site.files.clear()
        elif trouble == "file":
            site.always[FIRST] = status(404)
        else:
            site.always[FOLDER] = status(503)
        from_site(empty, site, second)
        assert empty.run("download") == 0
        assert contents(empty) == made
        hosts = {name: entry["url"].removesuffix(FOLDER + name) for name, entry in record(empty).items()}
        assert hosts == {name: second.url if trouble != "file" or name == "m000.mrc" else site.url for name in made}


@pytest.mark.parametrize("code", [403, 405, 501, 505])
def test_a_server_that_knows_no_head_is_asked_with_get(empty: Workspace, site: Site, tmp_path: Path, code: int) -> None:
    made = fill(site, tmp_path, 2)
    site.head = status(code)
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made


def test_names_that_lead_elsewhere_are_left_out_and_said_so(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 2)
    for link in ("../../../up.mrc", "..%2f..%2fup.mrc", "/etc/passwd", "http://elsewhere/x.mrc", ".hidden", "%00.mrc",
                 "download.json", "unfinished.json", "x.mrc.partial", "a%0Ab.mrc", "sub/", "%ff.mrc"):  # fmt: skip
        site.links += f'<a href="{link}">x</a>'
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    left_out = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left out: ")]
    assert len(left_out) == 11
    assert "left out: '../../../up.mrc' leads out of the folder" in left_out
    assert not list(tmp_path.rglob("up.mrc"))
    assert all(path == FOLDER or path in site.files for path in site.asked)


# Local files


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    (folder / "sub").mkdir(parents=True)
    for number in range(3):
        (folder / f"m{number}.mrc").write_bytes(micrograph(tmp_path, number))
    (folder / ".hidden").touch()
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.mark.parametrize("place", ["link", "copy"])
def test_local_files_are_linked_or_copied_and_digested(empty: Workspace, originals: Path, place: str) -> None:
    from_folder(empty, originals / "*.mrc", place=place)
    assert empty.run("download", "preprocess") == 0
    assert contents(empty) == {path.name: path.read_bytes() for path in originals.glob("*.mrc")}
    assert all((empty / "raw" / path.name).samefile(path) == (place == "link") for path in originals.glob("*.mrc"))
    assert not any(path.is_symlink() for path in (empty / "raw").iterdir())
    entries = record(empty).values()
    assert {(entry["url"], entry["verified"]) for entry in entries} == {(None, None)}
    assert all(entry["pixel_digest"] for entry in entries)


def test_a_folder_gives_all_its_files_and_a_selection_some(empty: Workspace, originals: Path) -> None:
    from_folder(empty, originals, selection={"names": ["m2.mrc", "notes.txt"]})
    assert empty.run("download") == 0
    assert sorted(record(empty)) == ["m2.mrc", "notes.txt"]


def test_a_file_may_have_brackets_in_its_name(empty: Workspace, originals: Path) -> None:
    (originals / "m[1].mrc").write_bytes((originals / "m2.mrc").read_bytes())
    from_folder(empty, originals / "m[1].mrc")
    assert empty.run("download") == 0
    assert sorted(record(empty)) == ["m[1].mrc"]


def test_an_original_that_is_cut_while_it_is_copied_makes_no_whole_file(
    empty: Workspace, originals: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_and_open(path: Path, mode: str = "r", **options: Any) -> Any:
        if path == originals / "m1.mrc":
            os.truncate(path, 3000)
        return path_open(path, mode, **options)

    path_open = Path.open
    from_folder(empty, originals / "*.mrc", place="copy")
    monkeypatch.setattr(Path, "open", cut_and_open)
    assert empty.run("download") == 2
    assert "m1.mrc: 3000 bytes copied, it had 5120" in capsys.readouterr().err
    assert sorted(contents(empty)) == ["m0.mrc", "m2.mrc"]


def test_files_on_another_disk_can_only_be_copied(
    empty: Workspace, originals: Path, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_disk(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", another_disk)
    from_folder(empty, originals)
    (empty / "raw").mkdir()
    refuse(empty, "download", "Invalid cross-device link", "set `place: copy`")
    from_folder(empty, originals, place="copy")
    assert empty.run("download") == 0


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nowhere", ["nowhere", "no such folder"]),
        ("originals/*.tif", ["no file matches"]),
        ("workspace/raw", ["no files"]),
        ("~nosuchuser/x", ["~nosuchuser/x", "give the folder of your micrographs"]),
    ],
)
def test_a_mistaken_place_is_told(
    empty: Workspace, originals: Path, tmp_path: Path, refuse: Refusal, path: str, words: list[str]
) -> None:
    (empty / "raw").mkdir(parents=True)
    from_folder(empty, path if path[0] == "~" else tmp_path / path)
    refuse(empty, "download", "local.path", *words)
    assert originals.exists()
