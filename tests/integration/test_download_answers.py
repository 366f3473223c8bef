"""Odd answers of a server to `download`: headers that are none, bodies that are no micrographs, TLS, a full disk."""

import gzip
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from downloads import FIRST, FOLDER, contents, fill, from_site, interrupt, micrograph, record, served_bytes
from loopback import CERTIFICATE, Answer, Fault, Site, cut, redirect, serving, status
from refusals import Refusal
from workspaces import Workspace


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


def header(name: str, value: str) -> Fault:
    def change(answer: Answer) -> None:
        answer.headers |= {name: value, "Connection": "close"}

    return change


def beginning(start: bytes) -> Fault:
    """A body of the right length that begins so."""

    def change(answer: Answer) -> None:
        answer.content = start.ljust(answer.size, b"x")

    return change


ENDLESS_NUMBER = header("Content-Length", "9" * 5000)
NO_LENGTH = header("Content-Length", "0")
CODED = header("Content-Encoding", "gzip")
YEAR = "99999999999999999999"


# Headers


@pytest.mark.parametrize("fault", [status(503, Retry_After=f"Mon, 01 Jan {YEAR} 00:00:00 GMT"), ENDLESS_NUMBER])
def test_a_header_that_is_nonsense_is_no_header(empty: Workspace, site: Site, tmp_path: Path, fault: Fault) -> None:
    made = fill(site, tmp_path, 2)
    site.faults[FIRST] = [fault]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (redirect("http://[bad/x"), "redirects to 'http://[bad/x', no address"),
        (redirect("http://\xff\xfe/x"), "no address"),
        (redirect(f"http://{'a' * 80}.x/"), "label empty or too long"),
        (CODED, "sent with the coding 'gzip'"),
        (header("Content-Encoding", "br"), "sent with the coding 'br'"),
        (status(501), "501 Not Implemented"),
    ],
)
def test_what_no_attempt_can_mend_is_tried_once_and_keeps_no_connection(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Fault, word: str
) -> None:
    made = fill(site, tmp_path, 4)
    site.always = {FIRST: fault, FOLDER + "m001.mrc": fault}
    from_site(empty, site, transfer={"connections": 1})
    assert empty.run("download") == 2
    assert word in capsys.readouterr().err
    assert site.asked[FIRST] == 1
    assert contents(empty) == {name: made[name] for name in ("m002.mrc", "m003.mrc")}


def test_a_redirect_may_be_written_in_utf8(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 1)
    site.files["/caf\u00e9/x"] = made["m000.mrc"]
    site.always[FIRST] = redirect("/caf\u00e9/x".encode().decode("latin-1"))
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made


@pytest.mark.parametrize("fault", [NO_LENGTH, ENDLESS_NUMBER, CODED], ids=["0", "endless", "coded"])
def test_an_answer_to_head_that_cannot_be_is_asked_for_with_get(
    empty: Workspace, site: Site, tmp_path: Path, fault: Fault
) -> None:
    made = fill(site, tmp_path, 2)
    site.head = fault
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert all(entry["verified"] == "size" for entry in record(empty).values())


def test_a_compressed_file_that_is_labelled_as_such_is_stored_as_it_is(
    empty: Workspace, site: Site, tmp_path: Path
) -> None:
    content = gzip.compress(micrograph(tmp_path, 0))
    site.files[FOLDER + "m.mrc.gz"] = content
    site.always[FOLDER + "m.mrc.gz"] = site.head = header("Content-Encoding", "x-gzip")
    from_site(empty, site)
    assert empty.run("download") == 0
    assert (empty / "raw/m.mrc.gz").read_bytes() == content
    assert record(empty)["m.mrc.gz"]["pixel_digest"]


def test_no_coding_is_asked_for(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 2)
    from_site(empty, site)
    assert empty.run("download") == 0
    assert site.codings == {"identity"}


def test_a_rest_that_does_not_say_of_which_file_is_not_taken(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 1)
    newer = micrograph(tmp_path, 99)

    def rest_of_newer(answer: Answer) -> None:
        answer.content, answer.start, answer.status = newer, 1000, 206
        answer.headers = {"Content-Range": f"bytes 1000-{len(newer) - 1}/{len(newer)}"}
        answer.headers["Content-Length"] = str(len(newer) - 1000)
        site.files[FIRST] = newer

    site.faults[FIRST] = [cut(1000), rest_of_newer]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == {"m000.mrc": newer}


def test_an_index_page_without_end_is_none(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site, tmp_path, 9)
    monkeypatch.setattr("cryodenoise.sources.network._LARGEST_PAGE_BYTES", 100)
    from_site(empty, site)
    (empty / "raw").mkdir()
    refuse(empty, "download", "more than 100 bytes, no index page")


# Bodies


@pytest.mark.parametrize(
    "start",
    [
        b"\xef\xbb\xbf<!DOCTYPE html>", b'<?xml version="1.0"?><html>', b"<!-- x --><html>", b"\r\n <head>",
        b'{"error": "internal"}', "Service indisponible, r\u00e9essayez".encode(),
    ],
)  # fmt: skip
def test_a_text_in_the_place_of_a_micrograph_is_moved_aside_and_fetched_once_more(
    empty: Workspace, site: Site, tmp_path: Path, start: bytes
) -> None:
    made = fill(site, tmp_path, 2)
    site.faults[FIRST] = [beginning(start)]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert (empty / "raw/m000.mrc.rejected").read_bytes().startswith(start)


def test_a_text_under_the_name_of_a_text_is_welcome(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 1)
    site.files |= {FOLDER + "meta.json": b'{"dose": 53}', FOLDER + "meta.xml": b"<?xml version='1.0'?><x/>"}
    from_site(empty, site)
    assert empty.run("download") == 0
    assert sorted(record(empty)) == ["m000.mrc", "meta.json", "meta.xml"]


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """Within the block, writes beyond this length are short, and then fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_a_part_of_a_block_makes_no_whole_file(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 1, height_px=3000)
    from_site(empty, site)
    with largest_file(200_000):
        assert empty.run("download") == 2
    assert "File too large" in capsys.readouterr().err
    assert [path.name for path in (empty / "raw").glob("m*")] == ["m000.mrc.partial"]
    assert (empty / "raw/m000.mrc.partial").stat().st_size == 200_000
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert site.ranges == ["bytes=200000-"]


# Several runs


def test_failures_between_arrivals_do_not_add_up(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 24)
    site.always = {FOLDER + name: status(403) for name in sorted(made)[::2]}
    from_site(empty, site, transfer={"connections": 1})
    assert empty.run("download") == 2
    assert "12 of 24 files did not come" in capsys.readouterr().err
    assert sorted(contents(empty)) == sorted(made)[1::2]


def test_a_file_that_is_no_longer_listed_is_the_users_to_keep_or_not(
    empty: Workspace, site: Site, tmp_path: Path, refuse: Refusal
) -> None:
    fill(site, tmp_path, 3)
    from_site(empty, site)
    interrupt(empty, site)
    del site.files[FOLDER + "m001.mrc"]
    refuse(empty, "download", "no longer lists or selects m001.mrc, which an earlier run brought", "move it elsewhere")
    (empty / "raw/m001.mrc").unlink()
    assert empty.run("download") == 0
    assert sorted(record(empty)) == ["m000.mrc", "m002.mrc"]


def test_what_came_of_a_file_that_is_no_longer_listed_goes(empty: Workspace, site: Site, tmp_path: Path) -> None:
    fill(site, tmp_path, 2)
    from_site(empty, site)
    interrupt(empty, site)
    del site.files[FIRST]
    assert empty.run("download") == 0
    assert sorted(path.name for path in (empty / "raw").iterdir()) == ["download.json", "m001.mrc"]


def test_a_servers_journal_is_neither_fetched_nor_read(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 2)
    forged = {"name": "m001.mrc", "size_bytes": 5120, "sha256": "0" * 64, "pixel_digest": None, "verified": "sha256"}
    for name in ("journal.1.jsonl", "Journal.JSONL", "Download.json"):
        site.files[FOLDER + name] = json.dumps({"finished": forged}).encode() + b"\n"
    from_site(empty, site)
    interrupt(empty, site)
    assert capsys.readouterr().out.count("left out: ") == 3
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert {entry["verified"] for entry in record(empty).values()} == {"size"}


# TLS


def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(
    empty: Workspace, tmp_path: Path, refuse: Refusal
) -> None:
    with serving(Site(), tls=True) as site:
        fill(site, tmp_path, 1)
        from_site(empty, site)
        (empty / "raw").mkdir()
        refuse(empty, "download", "certificate cannot be verified: ", "self-signed")
        assert not site.asked
        assert served_bytes(site) == 0


def test_a_certificate_that_the_machine_is_told_to_trust_is_accepted(
    empty: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with serving(Site(), tls=True) as site:
        made = fill(site, tmp_path, 2)
        from_site(empty, site)
        assert empty.run("download") == 0
        assert contents(empty) == made
        assert all(entry["url"].startswith("https://") for entry in record(empty).values())
