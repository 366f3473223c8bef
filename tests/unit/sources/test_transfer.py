from io import FileIO
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryodenoise.sources.transfer import write_all


class Hesitant(FileIO):
    """Takes a few bytes at a time, as the system may."""

    def __init__(self, path: Path, takes_bytes: int) -> None:
        super().__init__(path, "w")
        self.takes_bytes = takes_bytes

    def write(self, content: Any) -> int:
        return super().write(content[: self.takes_bytes])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.binary(max_size=200), takes_bytes=st.integers(1, 250))
def test_a_write_that_is_cut_short_is_gone_on_with(tmp_path: Path, content: bytes, takes_bytes: int) -> None:
    with Hesitant(tmp_path / "a", takes_bytes) as stream:
        write_all(stream, content)
    assert (tmp_path / "a").read_bytes() == content
