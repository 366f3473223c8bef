"""Fixtures of refusals."""

from collections.abc import Callable
from pathlib import Path

import pytest

from refusals import Refusal, noisy
from workspaces import Workspace

WriteMrc = Callable[..., Path]


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Sees a command refuse."""
    return Refusal(capsys)


@pytest.fixture
def own(empty: Workspace, write_mrc: WriteMrc) -> Workspace:
    """A workspace with four micrographs of one's own, `a.mrc` to `d.mrc`."""
    for number, name in enumerate("abcd"):
        write_mrc(empty / f"raw/{name}.mrc", noisy(number))
    return empty
