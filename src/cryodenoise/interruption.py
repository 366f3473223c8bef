"""Signals become exceptions, or a flag where stopping between two steps matters."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cryodenoise.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on SIGINT and SIGTERM; explicit handlers also work for process 1 of a container."""
    before = {number: signal.signal(number, _raise) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """Let nothing interrupt the rest of an `interruptible` block."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Signals that arrive within the block end the process at once, also within a library that does not return."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that arrive within the block take effect at its end; processes started in it never see any."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def deferred() -> Iterator[Callable[[], Interrupted | None]]:
    """Within the block a signal only sets what the yielded function returns; the block decides when to stop."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda n, _frame: received.append(n)) for number in SIGNALS}
    try:
        yield lambda: Interrupted(received[0]) if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
