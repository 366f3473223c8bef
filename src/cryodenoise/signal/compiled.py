"""Whether numba can keep what it compiles: beside the program or in the user's cache, one of which must be writable."""

from numba import njit


def can_keep() -> bool:
    """Whether there is a place; without one each process compiles anew, which takes it seconds."""
    try:
        njit(cache=True)(can_keep)  # looks for the place, and compiles nothing yet
    except RuntimeError:
        return False
    return True


KEEP = can_keep()
