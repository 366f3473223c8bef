"""A server that misbehaves, and a network that breaks: what arrives is whole, or the message says what is wrong."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from downloads import FIRST, FOLDER, contents, fill, from_site, micrograph, record, served_bytes
from loopback import (
    Fault,
    Site,
    cut,
    ignore_range,
    longer,
    longer_unsaid,
    page,
    page_of_the_right_length,
    redirect,
    serving,
    shorter,
    shorter_unsaid,
    status,
    wrong_range,
)
from workspaces import Workspace


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits before further attempts, none of which is spent."""
    seconds: list[float] = []
    monkeypatch.setattr("cryodenoise.sources.client.pause", lambda wait_s, _stop: seconds.append(wait_s))
    return seconds


def test_200_files_arrive_whole_though_a_fifth_of_all_requests_fail(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 200)
    site.failing = 0.2
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert {entry["verified"] for entry in record(empty).values()} == {"size"}
    assert sum(site.asked.values()) + sum(site.heads.values()) > 450
    assert site.most_at_once <= 6
    assert sorted(path.name for path in (empty / "raw").iterdir()) == ["download.json", *made]
    said = capsys.readouterr()
    assert not [word for word in ("failed", "attempt", "503") if word in said.out + said.err]


@pytest.mark.parametrize(
    "faults",
    [
        [cut(0)],
        [cut(1000)],
        [cut(1000), cut(1000), cut(1000)],
        [cut(1000, reset=True)],
        [cut(1000), ignore_range],
        [cut(1000), wrong_range],
        [cut(1000), page()],
        [status(503)] * 7,
        [status(408), status(429), status(500), status(502), status(504)],
        [longer],
        [longer_unsaid],
        [shorter],
        [shorter_unsaid],
        [page()],
        [page("application/octet-stream")],
        [page_of_the_right_length],
        [cut(1000), longer],
    ],
)
def test_a_fault_that_passes_costs_nothing_but_another_attempt(
    empty: Workspace, site: Site, tmp_path: Path, faults: list[Fault]
) -> None:
    made = fill(site, tmp_path, 3)
    site.faults[FIRST] = list(faults)
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert not site.faults[FIRST]
    assert not list((empty / "raw").glob("*.partial"))


def test_a_broken_connection_costs_no_byte_twice(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 3)
    site.faults[FIRST] = [cut(1000), cut(700, reset=False), cut(3)]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert served_bytes(site) == sum(map(len, made.values()))
    assert site.ranges == ["bytes=1000-", "bytes=1700-", "bytes=1703-"]


def test_a_stalled_transfer_is_taken_up_again_where_it_stopped(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 2)
    site.faults[FIRST] = [cut(1000, stall=True)]
    from_site(empty, site, transfer={"stall_timeout_s": 0.2})
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert served_bytes(site) == sum(map(len, made.values()))


@pytest.mark.parametrize("validators", [True, False])
@pytest.mark.parametrize("height_px", [32, 40])
def test_a_file_that_changed_between_two_attempts_starts_over(
    empty: Workspace, site: Site, tmp_path: Path, validators: bool, height_px: int
) -> None:
    fill(site, tmp_path, 1)
    newer = micrograph(tmp_path, 99, height_px)
    site.validators = validators
    site.faults[FIRST] = [cut(1000)]

    def change(_: str) -> None:
        if site.asked[FIRST] == 2:
            site.files[FIRST] = newer

    site.before = change
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == {"m000.mrc": newer}


def test_without_a_validator_nothing_is_taken_up_again(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 1)
    site.validators = False
    site.faults[FIRST] = [cut(1000)]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert site.ranges == []
    assert served_bytes(site) == 1000 + len(made["m000.mrc"])


def test_retry_after_is_honoured_in_seconds_and_as_a_date(
    empty: Workspace, site: Site, tmp_path: Path, waits: list[float]
) -> None:
    fill(site, tmp_path, 1)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    site.faults[FIRST] = [
        status(429, Retry_After="17"),
        status(503, Retry_After=date),
        status(503, Retry_After="99999"),
    ]
    from_site(empty, site)
    assert empty.run("download") == 0
    assert waits[0] == 17
    assert 280 < waits[1] <= 300
    assert waits[2] == 600


def test_waits_grow_and_differ(empty: Workspace, site: Site, tmp_path: Path, waits: list[float]) -> None:
    fill(site, tmp_path, 1)
    site.faults[FIRST] = [status(503)] * 7
    from_site(empty, site, transfer={"backoff_s": 1.0})
    assert empty.run("download") == 0
    assert all(low <= wait <= 2 * low for wait, low in zip(waits, (0.5, 1, 2, 4, 8, 16, 30), strict=True))
    assert len(set(waits)) == 7


@pytest.mark.parametrize(
    ("fault", "attempts", "words"),
    [
        (status(503), 8, ["503 Service Unavailable", "8 attempts"]),
        (status(404), 1, ["404 Not Found"]),
        (status(403), 1, ["403 Forbidden"]),
        (cut(0), 8, ["connection ended"]),
        (longer, 8, ["5120 bytes announced, then 5127"]),
        (longer_unsaid, 8, ["longer than the 5120 bytes announced"]),
        (shorter_unsaid, 8, ["5115 of 5120 bytes"]),
        (page(), 8, ["a web page in the place of the file"]),
        (page_of_the_right_length, 2, ["m000.mrc", "twice", "a web page in the place of the file"]),
        (redirect("https://127.0.0.1:1/m000.mrc"), 1, ["redirects to https://127.0.0.1:1", "another scheme"]),
        (redirect("file:///etc/passwd"), 1, ["redirects to file:///etc/passwd", "another scheme"]),
        (redirect("m000.mrc"), 11, ["redirects more than 10 times"]),
    ],
)
def test_a_fault_that_stays_is_told_while_the_other_files_come(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    fault: Fault, attempts: int, words: list[str],
) -> None:  # fmt: skip
    made = fill(site, tmp_path, 3)
    site.always[FIRST] = fault
    from_site(empty, site)
    assert empty.run("download") == 2
    error = capsys.readouterr().err
    assert all(word in error for word in [*words, "1 of 3 files did not come", "run the same command again"]), error
    assert site.asked[FIRST] == attempts
    assert contents(empty) == {name: made[name] for name in ("m001.mrc", "m002.mrc")}
    assert not (empty / "raw/download.json").exists()
    before = site.asked.copy()
    del site.always[FIRST]
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert {path for path in made if site.asked[FOLDER + path] > before[FOLDER + path]} == {"m000.mrc"}


def test_a_dead_server_is_given_up_before_every_file_was_tried(
    empty: Workspace, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 40)
    site.always = {FOLDER + name: status(503) for name in made}
    from_site(empty, site, transfer={"connections": 1, "attempts": 2})
    assert empty.run("download") == 2
    assert "40 of 40 files did not come" in capsys.readouterr().err
    assert sum(count for path, count in site.asked.items() if path in site.files) <= 2 * 8


def test_a_redirect_within_the_scheme_is_followed(empty: Workspace, site: Site, tmp_path: Path) -> None:
    made = fill(site, tmp_path, 2)
    site.files["/elsewhere/x"] = made["m000.mrc"]
    site.always[FIRST] = redirect("/elsewhere/x")
    from_site(empty, site)
    assert empty.run("download") == 0
    assert contents(empty) == made


def test_a_file_of_the_wrong_sha256_is_moved_aside_and_fetched_once_more(
    empty: Workspace, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 2)
    rotten = micrograph(tmp_path, 99)
    from_site(empty, site)
    sound = hashlib.sha256(made["m000.mrc"]).hexdigest()
    monkeypatch.setattr("cryodenoise.sources.known.known_sha256", lambda: {site.url + FIRST: sound})

    def rot(path: str) -> None:
        if path == FIRST:
            site.files[FIRST] = rotten if site.asked[FIRST] == 1 else made["m000.mrc"]

    site.before = rot
    assert empty.run("download") == 0
    assert contents(empty) == made
    assert (empty / "raw/m000.mrc.rejected").read_bytes() == rotten
    assert "moved aside to m000.mrc.rejected" in capsys.readouterr().out
    assert {name: entry["verified"] for name, entry in record(empty).items()} == {
        "m000.mrc": "sha256", "m001.mrc": "size",
    }  # fmt: skip


def test_a_file_that_is_wrong_twice_is_an_error(
    empty: Workspace, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = fill(site, tmp_path, 2)
    from_site(empty, site)
    monkeypatch.setattr("cryodenoise.sources.known.known_sha256", lambda: {site.url + FIRST: "0" * 64})
    assert empty.run("download") == 2
    assert "m000.mrc: twice it was not what it should be: SHA-256" in capsys.readouterr().err
    assert site.asked[FIRST] == 2
    assert contents(empty) == {"m001.mrc": made["m001.mrc"]}
