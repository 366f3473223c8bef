import importlib.util
from pathlib import Path
from types import ModuleType

import mpmath
import numpy as np
import pytest

from cryodenoise.signal import noise_tables
from cryodenoise.signal.noise_tables import CELL_SHIFT, NORMAL_CELLS, TAIL_SHIFT, tables

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/noise_tables.py, which makes the tables."""
    specification = importlib.util.spec_from_file_location("tool", ROOT / "tools/noise_tables.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("rate", [0, 1, 2, 17, 100, 399, 400])
def test_integer_rates_are_what_the_tool_makes(tool: ModuleType, rate: int) -> None:
    table = tables().integer
    row = table.thresholds[table.start[rate] : table.start[rate + 1]].tolist()
    assert (int(table.skipped[rate]), row) == tool.thresholds(mpmath.mpf(rate))


@pytest.mark.parametrize("part", [0, 1, 512, 1023])
def test_fractions_are_what_the_tool_makes(tool: ModuleType, part: int) -> None:
    table = tables().fraction
    row = table.thresholds[table.start[part] : table.start[part + 1]].tolist()
    assert (int(table.skipped[part]), row) == tool.thresholds(mpmath.mpf(part) / 1024)


@pytest.mark.parametrize("cell", [0, 1, 100, 4000, NORMAL_CELLS])
def test_quantiles_are_what_the_tool_makes(tool: ModuleType, cell: int) -> None:
    assert tables().body[cell] == tool.quantile(cell << CELL_SHIFT)
    assert tables().tail[cell] == tool.quantile(cell << TAIL_SHIFT)


def test_the_interpolated_normal_law_has_variance_one_to_two_in_a_hundred_thousand() -> None:
    def share(quantiles: np.ndarray, weight: float) -> float:
        """E[z²] over cells of equal weight, between whose edges z is uniform."""
        edges = quantiles.astype(np.float64) / 2**24
        low, high = edges[:-1], edges[1:]
        return float(weight * ((low * low + low * high + high * high) / 3).sum())

    body = share(tables().body[1:], 1 / NORMAL_CELLS)
    tail = share(tables().tail, 1 / NORMAL_CELLS**2)
    assert body + tail == pytest.approx(1, abs=2e-5)


def test_altered_tables_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytearray(noise_tables.PATH.read_bytes())
    content[-1] ^= 1
    (tmp_path / "tables").write_bytes(content)
    monkeypatch.setattr(noise_tables, "PATH", tmp_path / "tables")
    noise_tables.tables.cache_clear()
    with pytest.raises(RuntimeError, match="altered since it was installed"):
        tables()
    noise_tables.tables.cache_clear()
