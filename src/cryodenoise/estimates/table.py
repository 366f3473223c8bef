"""What tasks will take, as a table for a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_HEADER = ("", "to fetch", "disk", "memory", "time", "")


@dataclass(frozen=True)
class Row:
    """One task.

    Attributes:
        task: Its name.
        what: What it will do, in words.
        fetch_bytes: What comes over the network.
        disk_bytes: What it writes to the disk to stay.
        memory_bytes: Peak of the memory of all its processes; None where it is not known.
        memory: The same in words, where there is more to say.
        elapsed_s: Seconds; None where they are not known.
    """

    task: str
    what: str
    fetch_bytes: int = 0
    disk_bytes: int = 0
    memory_bytes: int | None = None
    memory: str | None = None
    elapsed_s: float | None = None


def render(rows: Sequence[Row]) -> str:
    """A line for each task, and one for all of them."""
    memories = [row.memory_bytes for row in rows if row.memory_bytes is not None]
    times = [row.elapsed_s for row in rows if row.elapsed_s is not None]
    total = Row(
        "in all",
        "" if len(times) == len(rows) else "of what is known",
        sum(row.fetch_bytes for row in rows),
        sum(row.disk_bytes for row in rows),
        max(memories, default=None),
        elapsed_s=sum(times) if times else None,
    )
    cells = [_HEADER, *map(_cells, [*rows, total])]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEADER) - 1)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:-1], widths[1:]), line[-1]]).rstrip()
        for line in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    memory = "–" if row.memory_bytes is None else gibibytes(row.memory_bytes)
    time = "–" if row.elapsed_s is None else duration(row.elapsed_s)
    return row.task, size(row.fetch_bytes), size(row.disk_bytes), row.memory or memory, time, row.what


def size(count_bytes: float) -> str:
    """Bytes in decimal units, as disks are sold; a dash for none."""
    for unit_bytes, unit in _UNITS:
        if count_bytes >= unit_bytes:
            digits = 1 if unit in ("kB", "MB") else 2
            return f"{count_bytes / unit_bytes:.{digits}f} {unit}"
    return f"{count_bytes:.0f} B" if count_bytes else "–"


def gibibytes(count_bytes: int) -> str:
    """Bytes in binary units, as memory is sold."""
    return f"{count_bytes / 2**30:.1f} GiB"


def duration(elapsed_s: float) -> str:
    """Seconds in two units at most."""
    if elapsed_s < 1:
        return "< 1 s"
    if elapsed_s < 100:
        return f"{elapsed_s:.0f} s"
    minutes = round(elapsed_s / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.1f} days"
