from typing import Any

import pytest
from numba.core import caching

from cryodenoise.signal import compiled


def test_a_checkout_keeps_what_was_compiled() -> None:
    assert compiled.KEEP


def test_without_a_place_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without a writable home: numba then finds no locator."""

    def nowhere(*_: Any) -> None:
        return None

    for locator in caching.CacheImpl._locator_classes:
        monkeypatch.setattr(locator, "from_function", nowhere)
    assert not compiled.can_keep()
