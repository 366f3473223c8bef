"""HTTP as downloads need it: TLS verified, redirects that keep their scheme, and whether another attempt may help."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import IncompleteRead
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from cryodenoise import __version__
from cryodenoise.config.sources import TransferParameters
from cryodenoise.sources.listing import Announced

LONGEST_BACKOFF_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0
_REDIRECTS = 10
_REDIRECTING = {301, 302, 303, 307, 308}
_USABLE = {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}
_MAY_PASS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_NEVER_PASS = {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED}
_CODED_FILES = {"gzip": ".gz", "x-gzip": ".gz", "bzip2": ".bz2", "x-bzip2": ".bz2"}
"""Content codings by which servers call the compression of a file itself, and how its name then ends."""
_MOST_DIGITS = 18
_PROGRESS_BYTES = 8 << 20
_WORRYING = 4  # failures in a row: a server that fails every fifth request gets there once in 600
_LONG_S = 30.0

T = TypeVar("T")


class TransientError(Exception):
    """A request failed in a way that another attempt may mend."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ChangedError(TransientError):
    """The server now says something else of a file than it did."""


class PermanentError(Exception):
    """A request failed, and no further attempt at this address would help."""


class StoppedError(Exception):
    """Another thread asked this one to stop."""


class _Session(requests.Session):
    """A session that leaves every redirect to `Client`, and so does not stumble over an odd one."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


class Client:
    """The connections of one task, for several threads; never more to a host than the run file says.

    Attributes:
        transfer: How often and how long to try.
        stop: Once set, waits end and transfers break off.
        note: Told of each failed attempt, and whether it is worth a user's attention.
    """

    def __init__(
        self,
        transfer: TransferParameters,
        stop: threading.Event | None = None,
        note: Callable[[str, bool], object] = lambda _, __: None,
    ) -> None:
        self.transfer, self.stop, self.note = transfer, stop or threading.Event(), note
        self._session = _Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=transfer.connections, pool_block=True))
        # A compressed body would have another length and digest than the file.
        self._session.headers.update({"User-Agent": f"cryodenoise/{__version__}", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    @contextmanager
    def request(self, method: str, url: str, headers: Mapping[str, str] | None = None) -> Iterator[requests.Response]:
        """A response with its body still to be read within the block: 200, 206 or 416.

        Raises:
            TransientError: If the connection fails, now or within the block, or the status is one that passes.
            PermanentError: On any other status, a certificate that does not verify, or a redirect to another scheme.
            StoppedError: If told to while the response was awaited.
        """
        try:
            with self._follow(method, url, headers or {}) as response:
                _require_usable(response, url)
                if self.stop.is_set():
                    raise StoppedError
                yield response
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            urllib3.exceptions.LocationValueError,
        ) as error:
            raise PermanentError(f"{url}: {error}") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise PermanentError(f"{url}: the server's certificate cannot be verified: {_reason(error)}") from error
            raise TransientError(f"{url}: {_reason(error)}") from error

    def _follow(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        here = url
        times = (self.transfer.connect_timeout_s, self.transfer.stall_timeout_s)
        for _ in range(_REDIRECTS + 1):
            response = self._session.request(
                method, here, headers=dict(headers), timeout=times, stream=True, allow_redirects=False
            )
            if response.status_code not in _REDIRECTING or "Location" not in response.headers:
                return response
            response.close()
            there = _target(here, response.headers["Location"], url)
            if urlsplit(there).scheme != urlsplit(here).scheme:
                raise PermanentError(
                    f"{url}: redirects to {there}, another scheme: refused; give that address if it is right"
                )
            here = there
        raise PermanentError(f"{url}: redirects more than {_REDIRECTS} times")


def _target(here: str, location: str, url: str) -> str:
    """Where a redirect leads; http.client took the header's bytes for Latin-1."""
    try:
        there = urljoin(here, location.encode("latin-1").decode())
        urlsplit(there)
    except ValueError as error:
        raise PermanentError(f"{url}: redirects to {location[:200]!r}, no address ({error})") from error
    return there


def _reason(error: Exception) -> str:
    """The innermost cause: requests and urllib3 wrap it several times over."""
    while inner := next((arg for arg in (*error.args[::-1], getattr(error, "reason", None))
                         if isinstance(arg, Exception)), None):  # fmt: skip
        error = inner
    if isinstance(error, IncompleteRead):
        return f"the connection ended {error.expected} bytes early"
    text = str(error)
    return text.partition("): ")[2] or text or type(error).__name__


def _require_usable(response: requests.Response, url: str) -> None:
    status = response.status_code
    if status in _USABLE:
        return
    message = f"{url}: {status} {response.reason}"
    if status in _MAY_PASS or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _NEVER_PASS):
        raise TransientError(message, retry_after_s(response.headers.get("Retry-After", ""), datetime.now(UTC)))
    raise PermanentError(message)


def retry_after_s(value: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 if it says nothing of use."""
    seconds = 0.0
    if value.strip().isdecimal():
        seconds = float(value)
    else:
        with suppress(ValueError, TypeError, OverflowError):
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def announced(response: requests.Response, url: str) -> Announced | None:
    """What the head of a whole file's response says of it; None if it does not tell the length.

    Raises:
        TransientError: If it is a web page in the place of the file.
        PermanentError: If what comes is not the file's own bytes.
    """
    if problem := coding_problem(response, url):
        raise PermanentError(f"{url}: {problem}")
    is_page = response.headers.get("Content-Type", "").lower().startswith("text/html")
    if is_page and not urlsplit(url).path.lower().endswith((".html", ".htm")):
        raise TransientError(f"{url}: a web page in the place of the file")
    etag = response.headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified")
    length = response.headers.get("Content-Length", "")
    return Announced(int(length), validator) if length.isdecimal() and len(length) <= _MOST_DIGITS else None


def coding_problem(response: requests.Response, url: str) -> str | None:
    """What is wrong with how a response codes the file, or None where the body is the file's own bytes."""
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    of_the_file = coding in _CODED_FILES and urlsplit(url).path.lower().endswith(_CODED_FILES[coding])
    if coding in ("", "identity") or of_the_file:
        return None
    return f"sent with the coding {coding!r}, though asked for the file as it is: give another address or mirror"


def ask(client: Client, url: str) -> Announced:
    """What a server says of a file, without fetching it; with GET where it does not answer HEAD.

    Raises:
        TransientError: As `Client.request`.
        PermanentError: As `Client.request`, or if the server does not tell the file's length.
    """
    for method in ("HEAD", "GET"):
        try:
            with client.request(method, url) as response:
                if method == "HEAD":
                    response.raw.read()  # there is nothing, but the connection can then serve the next request
                told = announced(response, url)
                if told and (told.size_bytes or method == "GET"):  # to HEAD, some servers say 0 of every file
                    return told
        except PermanentError:
            if method == "GET":
                raise
    raise PermanentError(f"{url}: the server does not tell its length, so nothing would show that it arrived whole")


def pause(seconds: float, stop: threading.Event) -> None:
    """Wait, unless told to stop."""
    if stop.wait(seconds):
        raise StoppedError


def persist(client: Client, action: Callable[[], T], reached_bytes: Callable[[], int] = lambda: 0) -> T:
    """Repeat an action until it succeeds.

    Args:
        client: Says how often and with which waits.
        action: Raises TransientError where another attempt may help.
        reached_bytes: How far the action has come; an attempt that brought a good deal counts as none.

    Raises:
        PermanentError: If the action did, or failed too often.
        StoppedError: If told to.
    """
    failures, furthest = 0, reached_bytes()
    while True:
        try:
            return action()
        except TransientError as error:
            failures = failures + 1 if reached_bytes() - furthest < _PROGRESS_BYTES else 1
            furthest = max(furthest, reached_bytes())
            if failures >= client.transfer.attempts:
                raise PermanentError(f"{error} (at the last of {failures} attempts)") from error
            backoff_s = min(client.transfer.backoff_s * 2.0 ** (failures - 1), LONGEST_BACKOFF_S)
            wait_s = max(backoff_s * random.uniform(0.5, 1.0), error.retry_after_s)
            text = f"{error}: attempt {failures} of {client.transfer.attempts}, the next in {wait_s:.1f} s"
            client.note(text, failures >= _WORRYING or wait_s >= _LONG_S)
            pause(wait_s, client.stop)
