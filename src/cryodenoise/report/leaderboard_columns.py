"""What a leaderboard tells of a submission, column by column, on the page and in Markdown alike."""

from collections.abc import Callable
from dataclasses import dataclass

from cryodenoise.config.submission import Entry
from cryodenoise.report import wording
from cryodenoise.report.wording import NOTHING, interval, number, of_a_stranger

TRACKS = {
    "added_noise": ("Added noise", "PSNR against recorded images, which show noise of their own"),
    "truth": ("Truth", "PSNR against noise-free images"),
    "halves": ("Halves", "PSNR against the other half of the frames, which shows noise of its own"),
}
"""Tracks in words, and what their scores are against."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        heading: What stands above it.
        value: What it is sorted by; None sorts last.
        text: What it shows.
        below: What stands below that, in smaller letters; may be empty.
        first: The order that one asks for first.
        words: Whether it holds words rather than numbers.
    """

    heading: str
    value: Callable[[Entry], str | float | None]
    text: Callable[[Entry], str]
    below: Callable[[Entry], str] = lambda _: ""
    first: str = "ascending"
    words: bool = False


def _training(entry: Entry) -> str:
    return NOTHING if entry.training_s is None else wording.duration(entry.training_s)


def _submitter(entry: Entry) -> str:
    return f"{of_a_stranger(entry.organization)} · {of_a_stranger(entry.system)}"


SUBMISSION = "submission"
COLUMNS = (
    Column("place", lambda each: each.place, lambda each: wording.count(each.place)),
    Column(
        SUBMISSION,
        lambda each: " ".join(map(of_a_stranger, (each.descriptor, each.organization, each.system))),
        lambda each: of_a_stranger(each.descriptor),
        _submitter,
        words=True,
    ),
    Column("division", lambda each: each.division, lambda each: each.division, words=True),
    Column(
        "PSNR/dB",
        lambda each: each.psnr_db,
        lambda each: number(each.psnr_db, 3),
        lambda each: interval(each.psnr_interval_db, 3),
        "descending",
    ),
    Column(
        "gain/dB",
        lambda each: each.gain_db,
        lambda each: wording.gain(each.gain_db),
        lambda each: f"over {of_a_stranger(each.best_baseline)}",
        "descending",
    ),
    Column("SSIM", lambda each: each.ssim, lambda each: number(each.ssim, 4), first="descending"),
    Column("training", lambda each: each.training_s, _training, lambda each: wording.pieces(len(each.seeds), "seed")),
    Column(
        "patches/s", lambda each: each.patches_per_s, lambda each: number(each.patches_per_s, 2), first="descending"
    ),
    Column(
        "GPU memory",
        lambda each: each.peak_device_memory_bytes,
        lambda each: wording.bytes_of_memory(each.peak_device_memory_bytes),
    ),
    Column(
        "host memory",
        lambda each: each.peak_host_memory_bytes,
        lambda each: wording.bytes_of_memory(each.peak_host_memory_bytes),
    ),
    Column(
        "network",
        lambda each: of_a_stranger(each.model),
        lambda each: of_a_stranger(each.model),
        lambda each: wording.pieces(each.parameters, "parameter"),
        words=True,
    ),
    Column("trained on", lambda each: of_a_stranger(each.device), lambda each: of_a_stranger(each.device), words=True),
)
"""What is told of each submission."""
