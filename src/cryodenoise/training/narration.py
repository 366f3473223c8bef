"""What a person sees of a training: a table that grows by a line an epoch."""

import math

from cryodenoise.config.training_record import Epoch

_WIDTHS = (9, 10, 10, 9, 9, 6, 9, 11)  # with two spaces between, 87 characters a line
_ABSENT = "-"


def header(on_gpu: bool) -> str:
    """The head of the table, two lines.

    Args:
        on_gpu: Whether `row` is given the memory of a GPU or that of the machine.
    """
    memory = "GPU peak" if on_gpu else "host peak"
    first = ("", "training", "validation", "gain over", "", "read", memory, "time")
    second = ("epoch", "loss", "PSNR/dB", "input/dB", "patches/s", "MB/s", "GiB", "remaining")
    return f"{_line(first)}\n{_line(second)}"


def row(epoch: Epoch, epochs: int, memory_bytes: int) -> str:
    """The line of a finished epoch.

    The time that remains is that of the epochs to come at the mean time of those so far, interruptions left out.

    Args:
        epoch: The epoch.
        epochs: How many the run has.
        memory_bytes: The largest memory so far, of the GPU or of the machine.
    """
    remaining_s = epoch.elapsed_s / epoch.epoch * (epochs - epoch.epoch)
    return _line(
        (
            f"{epoch.epoch}/{epochs}",
            _loss(epoch.train_loss),
            _ABSENT if epoch.validation_psnr_db is None else f"{epoch.validation_psnr_db:.2f}",
            _ABSENT if epoch.gain_over_input_db is None else f"{epoch.gain_over_input_db:+.2f}",
            _rate(epoch.train_patches_per_s),
            _rate(epoch.read_mb_per_s),
            f"{memory_bytes / 2**30:.2f}",
            _duration(remaining_s),
        )
    )


def _line(cells: tuple[str, ...]) -> str:
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _loss(value: float) -> str:
    return f"{value:.6f}" if 1e-3 <= value < 1000 else f"{value:.3e}"


def _rate(value: float) -> str:
    """Three digits, or all before the point."""
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def _duration(duration_s: float) -> str:
    seconds = math.ceil(duration_s)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
