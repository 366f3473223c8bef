"""A real HTTP server on loopback that misbehaves on request, and counts what it serves."""

import hashlib
import random
import re
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

_BLOCK_BYTES = 1 << 20
CERTIFICATE = Path(__file__).parent / "data/loopback_certificate.pem"


@dataclass
class Answer:
    """What the server is about to send; a fault changes it."""

    content: bytes | Path
    start: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """Close the connection after so many bytes of the body."""
    reset: bool = False
    """Reset the connection instead of closing it."""
    stall: bool = False
    """After these bytes, send nothing more and keep the connection."""

    @property
    def size(self) -> int:
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


Fault = Callable[[Answer], None]


def cut(after: int, reset: bool = False, stall: bool = False) -> Fault:
    def change(answer: Answer) -> None:
        answer.cut_at, answer.reset, answer.stall = after, reset, stall

    return change


def status(code: int, **headers: str) -> Fault:
    def change(answer: Answer) -> None:
        answer.status, answer.start, answer.content = code, 0, b"trouble"
        answer.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        answer.headers["Content-Length"] = "7"

    return change


def page(content_type: str = "text/html") -> Fault:
    def change(answer: Answer) -> None:
        answer.status, answer.start = 200, 0
        answer.content = b"<!DOCTYPE html><html><body>Down for maintenance</body></html>"
        answer.headers |= {"Content-Length": str(len(answer.content)), "Content-Type": content_type}

    return change


def page_of_the_right_length(answer: Answer) -> None:
    answer.content = b"<html>".ljust(answer.size, b"x")


def ignore_range(answer: Answer) -> None:
    answer.status, answer.start = 200, 0
    answer.headers["Content-Length"] = str(answer.size)
    answer.headers.pop("Content-Range", None)


def wrong_range(answer: Answer) -> None:
    if answer.status == 206:
        answer.headers["Content-Range"] = f"bytes 0-{answer.size - 1}/{answer.size}"


def longer(answer: Answer) -> None:
    """More than HEAD announced, said in the head."""
    assert isinstance(answer.content, bytes)
    answer.content += b"surplus"
    answer.headers["Content-Length"] = str(answer.size - answer.start)


def longer_unsaid(answer: Answer) -> None:
    """More than HEAD announced, without a length in the head; the end of the connection ends the body."""
    longer(answer)
    del answer.headers["Content-Length"]
    answer.headers["Connection"] = "close"


def shorter_unsaid(answer: Answer) -> None:
    shorter(answer)
    del answer.headers["Content-Length"]
    answer.headers["Connection"] = "close"


def shorter(answer: Answer) -> None:
    assert isinstance(answer.content, bytes)
    answer.content = answer.content[:-5]
    answer.headers["Content-Length"] = str(answer.size - answer.start)


def redirect(to: str) -> Fault:
    return status(302, Location=to)


@dataclass
class Site:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes | Path] = field(default_factory=dict)
    """By path, percent-decoded, such as /10025/data/x/a.mrc; each folder of them has an index page."""
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    """By path: what befalls the next GET requests of it, one after the other."""
    always: dict[str, Fault] = field(default_factory=dict)
    """By path: what befalls every GET request of it."""
    failing: float = 0.0
    """Share of all requests that fail in a way of their own, the same whatever the order of the requests; never more
    than two of a path in a row, so that one that the system's own timing adds stays below what is worth a warning."""
    links: str = ""
    """HTML that every index page also has."""
    validators: bool = True
    """Whether answers have an ETag."""
    head: Fault | None = None
    """What befalls every HEAD request."""
    before: Callable[[str], object] = lambda _: None
    """Told the path of each GET request before it is answered."""
    asked: Counter[str] = field(default_factory=Counter)
    """GET requests by path."""
    heads: Counter[str] = field(default_factory=Counter)
    """HEAD requests by path."""
    ranges: list[str] = field(default_factory=list)
    codings: set[str | None] = field(default_factory=set)
    """What the requests said that they accept."""
    served: Counter[str] = field(default_factory=Counter)
    """Bytes of bodies by path, as far as they were sent."""
    at_once: int = 0
    most_at_once: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def trouble(self, method: str, path: str) -> Fault | None:
        """What befalls this request."""
        count = (self.asked if method == "GET" else self.heads)[path]
        if method == "HEAD" and self.head:
            return self.head
        if method == "GET" and self.faults.get(path):
            return self.faults[path].pop(0)
        if method == "GET" and path in self.always:
            return self.always[path]
        if not self._fails(method, path, count) or all(self._fails(method, path, count - back) for back in (1, 2)):
            return None
        rng = random.Random(f"kind of {method} {path} {count}")
        kinds = [cut(rng.randrange(2000)), cut(rng.randrange(2000), reset=True), status(503), status(500), status(429)]
        return rng.choice(kinds)

    def _fails(self, method: str, path: str, count: int) -> bool:
        return random.Random(f"{method} {path} {count}").random() < self.failing

    def answer(self, path: str) -> Answer | None:
        """The sound answer to a request without a range."""
        if path in self.files:
            content = self.files[path]
            mark = content if isinstance(content, bytes) else str(content).encode()
            headers = {"ETag": f'"{hashlib.sha1(mark).hexdigest()}"'} if self.validators else {}  # noqa: S324
            answer = Answer(content, headers=headers)
        elif path.endswith("/") and any(name.startswith(path) for name in self.files):
            answer = Answer(self.index(path).encode(), headers={"Content-Type": "text/html;charset=UTF-8"})
        else:
            return None
        answer.headers["Content-Length"] = str(answer.size)
        return answer

    def index(self, folder: str) -> str:
        """A page like Apache's."""
        names = sorted({name.removeprefix(folder).split("/")[0] for name in self.files if name.startswith(folder)})
        slashed = [name if folder + name in self.files else name + "/" for name in names]
        rows = "".join(
            f'<tr><td><a href="{quote(name)}">{name[:20]}..&gt;</a></td><td>217M</td></tr>' for name in slashed
        )
        sort = '<a href="?C=N;O=D">Name</a> <a href="?C=S;O=A">Size</a> <a href="../">Parent Directory</a>'
        return f"<!DOCTYPE HTML><html><body><table>{sort}{rows}</table>{self.links}</body></html>"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self._serve("GET")

    def do_HEAD(self) -> None:
        self._serve("HEAD")

    def _serve(self, method: str) -> None:
        site, path = self.site, unquote(self.path.partition("?")[0])
        with site.lock:
            (site.asked if method == "GET" else site.heads)[path] += 1
            site.codings.add(self.headers.get("Accept-Encoding"))
            site.at_once += 1
            site.most_at_once = max(site.at_once, site.most_at_once)
            fault = site.trouble(method, path)
        try:
            if method == "GET":
                site.before(path)
            answer = site.answer(path)
            if answer is None:
                answer = Answer(b"", status=404, headers={"Content-Length": "0"})
            elif method == "GET":
                self._cut_to_range(answer)
            if fault:
                fault(answer)
            with suppress(ConnectionError):
                self._send(method, path, answer)
        finally:
            with site.lock:
                site.at_once -= 1

    def _cut_to_range(self, answer: Answer) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not wanted:
            return
        self.site.ranges.append(self.headers["Range"])
        if self.headers.get("If-Range") not in (None, answer.headers.get("ETag")):
            return
        answer.start, size = int(wanted[1]), answer.size
        if answer.start >= size:
            answer.status, answer.content, answer.start = 416, b"", 0
            answer.headers |= {"Content-Length": "0", "Content-Range": f"bytes */{size}"}
        else:
            content_range = f"bytes {answer.start}-{size - 1}/{size}"
            answer.status = 206
            answer.headers |= {"Content-Length": str(size - answer.start), "Content-Range": content_range}

    def _send(self, method: str, path: str, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        left = answer.size - answer.start if answer.cut_at is None else answer.cut_at
        for block in _blocks(answer) if method == "GET" else ():
            self.wfile.write(block[:left])
            with self.site.lock:
                self.site.served[path] += len(block[:left])
            left -= len(block[:left])
        self.close_connection = answer.cut_at is not None or answer.headers.get("Connection") == "close"
        if answer.stall:
            self.wfile.flush()
            self.site.over.wait()
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *_: Any) -> None:
        pass


def _blocks(answer: Answer) -> Iterator[bytes]:
    if isinstance(answer.content, bytes):
        yield answer.content[answer.start :]
        return
    with answer.content.open("rb") as stream:
        stream.seek(answer.start)
        while block := stream.read(_BLOCK_BYTES):
            yield block


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


@contextmanager
def serving(site: Site, tls: bool = False) -> Iterator[Site]:
    """Serve a site on a port of its own within the block."""
    handler = type("Handler", (_Handler,), {"site": site})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("loopback_key.pem"))
            # The handshake is for the thread that serves the connection: here it would keep all others waiting.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        site.url = f"http{'s' * tls}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.over.set()
            server.shutdown()
            thread.join()
