"""Make src/cryodenoise/signal/noise_tables.safetensors, as docs/FORMATS.md specifies: python tools/noise_tables.py.

Every entry is rounded once from 50 decimal digits, so the file is the same wherever it is made. Its SHA-256 stands in
src/cryodenoise/signal/noise_tables.py.
"""

import hashlib
from pathlib import Path

import mpmath
import numpy as np
from safetensors.numpy import save

from cryodenoise.signal.noise_tables import (
    CELL_SHIFT,
    FRACTIONS,
    HIGHEST_RATE,
    NORMAL_BITS,
    NORMAL_CELLS,
    PATH,
    TAIL_SHIFT,
)

mpmath.mp.dps = 50


def thresholds(rate: mpmath.mpf) -> tuple[int, list[int]]:
    """Poisson's distribution function in units of 2⁻³².

    Returns:
        How many counts have a threshold of 0, and the thresholds from there to the last below 2³².
    """
    skipped, found = 0, []
    term = mpmath.exp(-rate)
    total, count = term, 0
    while (threshold := int(mpmath.nint(total * 2**32))) < 2**32:
        if threshold == 0:
            skipped += 1
        else:
            found.append(threshold)
        count += 1
        term *= rate / count
        total += term
    return skipped, found


def table_of_rates(rates: list[mpmath.mpf]) -> dict[str, np.ndarray]:
    """Thresholds of several rates, one row after the other."""
    rows = [thresholds(rate) for rate in rates]
    return {
        "skipped": np.array([skipped for skipped, _ in rows], "<u4"),
        "start": np.cumsum([0, *(len(row) for _, row in rows)]).astype("<u4"),
        "thresholds": np.array([threshold for _, row in rows for threshold in row], "<u4"),
    }


def quantile(word: int) -> int:
    """The standard normal quantile at (word + ½) / 2³², in units of 2⁻²⁴."""
    probability = mpmath.mpf(2 * word + 1) / 2**33
    return int(mpmath.nint(mpmath.sqrt(2) * mpmath.erfinv(2 * probability - 1) * 2**NORMAL_BITS))


def main() -> None:
    """Write the file and print its digest."""
    tables = {
        **{
            f"integer.{name}": table
            for name, table in table_of_rates([mpmath.mpf(k) for k in range(HIGHEST_RATE + 1)]).items()
        },
        **{
            f"fraction.{name}": table
            for name, table in table_of_rates([mpmath.mpf(f) / FRACTIONS for f in range(FRACTIONS)]).items()
        },
        "normal.body": np.array([quantile(i << CELL_SHIFT) for i in range(NORMAL_CELLS + 1)], "<i4"),
        "normal.tail": np.array([quantile(i << TAIL_SHIFT) for i in range(NORMAL_CELLS + 1)], "<i4"),
    }
    content = save(tables, {"about": "inversion tables of cryodenoise's noise, specified in docs/FORMATS.md"})
    Path(PATH).write_bytes(content)
    print(f"{PATH}: {len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
