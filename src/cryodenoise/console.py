"""What a task tells: lines on the terminal and in its log, progress as a bar or as a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

PROGRESS_INTERVAL_S = 30.0
_SCALED = {"bytes": "B", "pixels": "pixel"}
"""Units that are shown with a prefix, and their short form."""
_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit}, {rate_fmt}, {remaining} left"


class Console:
    """Terminal and log of one task."""

    def __init__(
        self,
        stream: TextIO | None = None,
        log_path: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._log = log_path.open("a", encoding="utf-8") if log_path else None
        self._clock = clock
        self._hushed = False

    def close(self) -> None:
        """Close the log."""
        with suppress(OSError):
            if self._log:
                self._log.close()

    def say(self, message: str) -> None:
        """A line for the user."""
        if not self._hushed:
            self._write(message)
        self.log(message)

    def _write(self, message: str) -> None:
        tqdm.write(message, file=self._stream)
        self._stream.flush()

    def hushed(self) -> "Console":
        """One that shows progress on the same terminal, and of what is said tells the log alone."""
        console = Console(self._stream, clock=self._clock)
        console._log, console._hushed = self._log, True
        return console

    def log(self, message: str) -> None:
        """Lines for the log alone; a log that cannot be written is given up, said so, and costs no result."""
        if self._log:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            try:
                self._log.write("".join(f"{now} {line}\n" for line in message.splitlines()))
                self._log.flush()
            except OSError as error:
                name = self._log.name
                self.close()
                self._log = None
                self.say(f"{name}: {error.strerror}: nothing more is logged")

    @contextmanager
    def progress(self, label: str, total: int, unit: str, done: int = 0) -> Iterator[Callable[[int], None]]:
        """Show progress through `total` units, of which `done` were done before; yields `advance(count)`.

        A terminal gets a bar with rate and remaining time, anything else a line each PROGRESS_INTERVAL_S. The unit
        "bytes" is shown as GB and MB/s, "pixels" as Mpixel.
        """
        on_terminal = self._stream.isatty()
        short = _SCALED.get(unit)
        with tqdm(
            total=total, initial=done, desc=label, unit=short or f" {unit}", unit_scale=bool(short),
            file=self._stream, disable=not on_terminal, bar_format=_BAR, leave=False, dynamic_ncols=True,
        ) as bar:  # fmt: skip
            started_s = spoke_s = self._clock()
            at = done

            def advance(count: int) -> None:
                nonlocal at, spoke_s
                at += count
                bar.update(count)
                now_s = self._clock()
                if now_s - spoke_s >= PROGRESS_INTERVAL_S:
                    spoke_s = now_s
                    line = _progress_line(label, at, done, total, unit, now_s - started_s)
                    if not on_terminal:
                        self._write(line)
                    self.log(line)

            yield advance


def _progress_line(label: str, at: int, done_before: int, total: int, unit: str, elapsed_s: float) -> str:
    rate = (at - done_before) / elapsed_s
    remaining = tqdm.format_interval((total - at) / rate) if rate else "?"
    if unit == "bytes":
        return f"{label}: {at / 1e9:.2f}/{total / 1e9:.2f} GB, {rate / 1e6:.1f} MB/s, {remaining} left"
    if unit == "pixels":
        return f"{label}: {at / 1e6:.1f}/{total / 1e6:.1f} Mpixel, {rate / 1e6:.3g} Mpixel/s, {remaining} left"
    return f"{label}: {at}/{total} {unit}, {rate:.3g} {unit}/s, {remaining} left"
