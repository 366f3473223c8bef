"""How much memory a call takes."""

import tracemalloc
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def peak_bytes() -> Callable[[Callable[[], object]], int]:
    """A function that calls another and returns the most memory that was allocated at once meanwhile."""

    def measure(call: Callable[[], object]) -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure
