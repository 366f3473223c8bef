import threading
from datetime import UTC, datetime

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.config.sources import TransferParameters
from cryodenoise.sources import client
from cryodenoise.sources.client import (
    Client,
    PermanentError,
    StoppedError,
    TransientError,
    announced,
    persist,
    retry_after_s,
)
from cryodenoise.sources.listing import Announced

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", 0),
        ("17", 17),
        (" 17 ", 17),
        ("-3", 0),
        ("1e3", 0),
        ("soon", 0),
        ("9" * 400, 600),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 600),
        ("Thu, 01 Jan 2026 12:01:30", 0),
        ("Thu, 01 Jan 99999999999999999999 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 00:00:00 +999999999999999", 0),
        ("9" * 5000, 600),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_within_bounds(value: str, expected: float) -> None:
    assert retry_after_s(value, NOW) == expected


@given(st.text())
def test_no_retry_after_whatever_breaks_the_reading(value: str) -> None:
    assert 0 <= retry_after_s(value, NOW) <= 600


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Length": "7", "ETag": '"a"', "Last-Modified": "then"}, Announced(7, '"a"')),
        ({"Content-Length": "7", "ETag": 'W/"a"', "Last-Modified": "then"}, Announced(7, "then")),
        ({"Content-Length": "7", "ETag": 'W/"a"'}, Announced(7, None)),
        ({"ETag": '"a"'}, None),
        ({"Content-Length": "-7"}, None),
        ({"Content-Length": "9" * 5000}, None),
        ({"Content-Length": "7", "Content-Encoding": "identity"}, Announced(7, None)),
    ],
)
def test_only_what_identifies_a_files_bytes_is_taken_for_a_validator(
    headers: dict[str, str], expected: Announced | None
) -> None:
    response = requests.Response()
    response.headers.update(headers)
    assert announced(response, "http://h/a.mrc") == expected


@pytest.mark.parametrize(
    ("coding", "url", "right"),
    [
        ("gzip", "http://h/a.mrc.gz", True), ("x-gzip", "http://h/A.MRC.GZ?x=1", True),
        ("x-bzip2", "http://h/a.mrc.bz2", True), ("gzip", "http://h/a.mrc.bz2", False),
        ("gzip", "http://h/a.mrc", False), ("br", "http://h/a.mrc.gz", False), ("gzip, gzip", "http://h/a.gz", False),
    ],
)  # fmt: skip
def test_a_coding_is_right_only_where_it_is_the_files_own(coding: str, url: str, right: bool) -> None:
    response = requests.Response()
    response.headers["Content-Encoding"] = coding
    assert (client.coding_problem(response, url) is None) == right


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(client, "pause", lambda _seconds, _stop: None)
    return Client(TransferParameters(attempts=3))


def test_attempts_that_bring_a_good_deal_do_not_count(patient: Client) -> None:
    reached, tries = 0, 0

    def action() -> int:
        nonlocal reached, tries
        tries += 1
        if tries > 20:
            return tries
        reached += 8 << 20
        raise TransientError("again")

    assert persist(patient, action, lambda: reached) == 21


def test_attempts_that_begin_anew_each_time_come_to_an_end(patient: Client) -> None:
    reached = 0

    def action() -> None:
        nonlocal reached
        reached = 8 << 20
        raise TransientError("again")

    with pytest.raises(PermanentError, match="again"):
        persist(patient, action, lambda: reached)


def test_a_wait_ends_when_told_to_stop() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        client.pause(1e6, stop)
