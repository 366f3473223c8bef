import pytest

from cryodenoise.estimates.table import Row, duration, render, size


@pytest.mark.parametrize(
    ("count_bytes", "expected"),
    [(0, "–"), (392, "392 B"), (52_500, "52.5 kB"), (4_198_400, "4.2 MB"), (44_653_641_984, "44.65 GB"),
     (1.25e12, "1.25 TB")],
)  # fmt: skip
def test_sizes_are_in_decimal_units(count_bytes: float, expected: str) -> None:
    assert size(count_bytes) == expected


@pytest.mark.parametrize(
    ("elapsed_s", "expected"),
    [(0.2, "< 1 s"), (59.6, "60 s"), (150, "2 min"), (5_000, "83 min"), (6_000, "1 h 40 min"), (7_199, "2 h 00 min"),
     (3 * 86_400, "3.0 days")],
)  # fmt: skip
def test_durations_have_two_units_at_most(elapsed_s: float, expected: str) -> None:
    assert duration(elapsed_s) == expected


def test_the_last_line_adds_up_bytes_and_time_and_takes_the_greatest_memory() -> None:
    rows = [
        Row("download", "a", 2_000_000, 2_000_000, None, None, 60.0),
        Row("train", "b", 0, 1_000_000, 2**31, None, 30.0),
        Row("test", "c", 0, 0, 2**30, None, None),
    ]
    total = render(rows).splitlines()[-1]
    assert total.split() == [
        "in",
        "all",
        "2.0",
        "MB",
        "3.0",
        "MB",
        "2.0",
        "GiB",
        "90",
        "s",
        "of",
        "what",
        "is",
        "known",
    ]


def test_columns_are_aligned() -> None:
    lines = render(
        [Row("download", "|"), Row("preprocess", "|", 10**9, 10**10, 2**30, "12 × 0.4 GiB", 5.0)]
    ).splitlines()
    assert lines[1].index("|") == lines[2].index("|")
