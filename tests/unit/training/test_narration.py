import pytest

from cryodenoise.config.training_record import Epoch
from cryodenoise.training.narration import header, row

GIB = 2**30
KNOWN = Epoch(
    epoch=1,
    train_loss=0.0123456,
    validation_mse=0.00696,
    validation_psnr_db=21.574,
    gain_over_input_db=7.608,
    learning_rate=1e-3,
    samples_seen=100,
    elapsed_s=1000.0,
    train_patches_per_s=56.34,
    read_mb_per_s=450.2,
    waiting_fraction=0.1,
    skipped_steps=0,
)
NEGATIVE = {"gain_over_input_db": -0.125, "train_patches_per_s": 1234.5, "read_mb_per_s": 9.876}
LONG = {"epoch": 4, "elapsed_s": 36_000.5, "train_loss": 1.5e-7, "validation_psnr_db": None, "gain_over_input_db": None}


def test_the_table_of_a_known_run() -> None:
    lines = [
        *header(on_gpu=True).splitlines(),
        row(KNOWN, 5, int(6.87 * GIB)),
        row(KNOWN.model_copy(update={"epoch": 2, "elapsed_s": 1500.0, "train_loss": 12345.0, **NEGATIVE}), 5, 7 * GIB),
        row(KNOWN.model_copy(update=LONG), 100, 120 * GIB),
    ]
    assert lines == [
        "             training  validation  gain over               read   GPU peak         time",
        "    epoch        loss     PSNR/dB   input/dB  patches/s    MB/s        GiB    remaining",
        "      1/5    0.012346       21.57      +7.61       56.3     450       6.87      1:06:40",
        "      2/5   1.234e+04       21.57      -0.12       1234    9.88       7.00      0:37:30",
        "    4/100   1.500e-07           -          -       56.3     450     120.00    240:00:12",
    ]


def test_the_head_says_whose_memory_it_is() -> None:
    assert "GPU peak" in header(on_gpu=True)
    assert "host peak" in header(on_gpu=False)
    assert "GPU" not in header(on_gpu=False)


@pytest.mark.parametrize("changes", [{}, NEGATIVE, LONG, {"train_loss": 1e-3}, {"train_loss": 999.9999}])
@pytest.mark.parametrize("epochs", [1, 30, 9999])
def test_lines_are_aligned_and_fit_a_terminal(changes: dict[str, float | None], epochs: int) -> None:
    epoch = KNOWN.model_copy(update=changes)
    line = row(epoch, max(epochs, epoch.epoch), GIB)
    widths = {len(text) for text in (line, *header(on_gpu=False).splitlines())}
    assert len(widths) == 1
    assert widths.pop() <= 100


def test_the_last_epoch_leaves_no_time() -> None:
    assert row(KNOWN.model_copy(update={"epoch": 5}), 5, GIB).endswith(" 0:00:00")


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0.123, "0.12"), (9.994, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (99.96, "100"), (5e3, "5000")],
)
def test_rates_have_three_digits(rate: float, shown: str) -> None:
    assert f" {shown} " in row(KNOWN.model_copy(update={"train_patches_per_s": rate}), 5, GIB)
