"""What can go wrong by the user's hand, and what stops a task from outside."""

import difflib
import signal
from collections.abc import Collection


class UserError(ValueError):
    """A mistake that the user can mend.

    The message names the place, what was found, what was expected and what to do; the command line prints it without
    a traceback and exits with 2.
    """


class InputError(UserError):
    """An input turned out unusable while it was worked on, so what was made of it and its like so far is of no use."""


class Interrupted(BaseException):
    """A signal asked the program to stop; no `except Exception` swallows it.

    Attributes:
        number: The signal's number.
        exit_code: 128 + that number, as shells report it: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.number = signal_number
        self.exit_code = 128 + signal_number


def require_known(place: str, found: str, known: Collection[str]) -> None:
    """Raise a UserError unless a name is one of those known; a near miss gets a suggestion."""
    if found not in known:
        close = difflib.get_close_matches(found, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(f"{place}: found {found!r}, expected one of: {', '.join(sorted(known))}{hint}")
