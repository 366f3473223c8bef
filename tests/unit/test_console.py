import io
from pathlib import Path

from cryodenoise.console import PROGRESS_INTERVAL_S, Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def clock_of(*seconds: float) -> "list[float]":
    return list(reversed(seconds))


def test_a_log_gets_a_line_now_and_then_with_rate_and_remaining_time() -> None:
    stream, seconds = io.StringIO(), clock_of(0.0, 1.0, PROGRESS_INTERVAL_S, PROGRESS_INTERVAL_S + 1)
    with Console(stream, clock=seconds.pop).progress("epoch 1/5", 300, "patches") as advance:
        advance(10)
        advance(140)
        advance(1)
    assert stream.getvalue().splitlines() == ["epoch 1/5: 150/300 patches, 5 patches/s, 00:30 left"]


def test_work_done_before_does_not_count_for_the_rate() -> None:
    stream, seconds = io.StringIO(), clock_of(0.0, 100.0)
    with Console(stream, clock=seconds.pop).progress("x", 400, "patches", done=200) as advance:
        advance(100)
    assert "300/400 patches, 1 patches/s, 01:40 left" in stream.getvalue()


def test_bytes_are_told_in_gigabytes_and_megabytes_a_second() -> None:
    stream, seconds = io.StringIO(), clock_of(0.0, 100.0)
    with Console(stream, clock=seconds.pop).progress("download", 44_650_000_000, "bytes", done=650_000_000) as advance:
        advance(4_000_000_000)
    assert stream.getvalue() == "download: 4.65/44.65 GB, 40.0 MB/s, 16:40 left\n"


def test_a_terminal_gets_a_bar_that_goes_away(tmp_path: Path) -> None:
    stream, seconds = Terminal(), clock_of(0.0, 1.0)
    console = Console(stream, tmp_path / "x.log", clock=seconds.pop)
    with console.progress("preprocess", 2, "micrographs") as advance:
        advance(1)
    console.close()
    assert "preprocess:" in stream.getvalue()
    assert "0/2 micrographs, ? micrographs/s, ? left" in stream.getvalue()
    assert (tmp_path / "x.log").read_text() == ""


def test_a_log_that_cannot_be_written_is_given_up_and_said_so_once() -> None:
    stream = io.StringIO()
    console = Console(stream, Path("/dev/full"))
    console.say("first")
    console.say("second")
    console.close()
    assert stream.getvalue().splitlines() == [
        "first", "/dev/full: No space left on device: nothing more is logged", "second",
    ]  # fmt: skip


def test_what_is_said_is_also_logged_line_by_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    console = Console(stream, tmp_path / "x.log")
    console.say("first\nsecond")
    console.log("for the log")
    console.close()
    assert stream.getvalue() == "first\nsecond\n"
    logged = [line.split(" ", 1)[1] for line in (tmp_path / "x.log").read_text().splitlines()]
    assert logged == ["first", "second", "for the log"]
