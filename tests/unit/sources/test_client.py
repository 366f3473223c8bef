import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.config.sources import TransferParameters
from cryodenoise.sources import client
from cryodenoise.sources.client import Client, PermanentError, StoppedError, TransientError, persist, retry_after_s

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
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_within_bounds(value: str, expected: float) -> None:
    assert retry_after_s(value, NOW) == expected


@given(st.text())
def test_no_retry_after_whatever_breaks_the_reading(value: str) -> None:
    assert 0 <= retry_after_s(value, NOW) <= 600


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
