import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.config.training_record import Epoch
from cryodenoise.errors import UserError
from cryodenoise.training import scalars

TAGS = [f"{group}/{name}" for group, names in scalars.GROUPS.items() for name in names]


def epoch(number: int, **changes: float | None) -> Epoch:
    values = {
        "epoch": number,
        "train_loss": 1 / number,
        "validation_mse": 0.5 / number,
        "validation_psnr_db": 20.0 + number,
        "gain_over_input_db": 7.0 + number,
        "learning_rate": 1e-3 / number,
        "samples_seen": 100 * number,
        "elapsed_s": 60.0 * number,
        "train_patches_per_s": 50.0 + number,
        "read_mb_per_s": 400.0 + number,
        "waiting_fraction": 0.25,
        "skipped_steps": number,
    }
    return Epoch.model_validate(values | changes)


def read_back(model_dir: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(model_dir)).Reload()


def an_hour_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of two sessions are told apart by the second at which they were begun."""
    later_s = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later_s)


def points(model_dir: Path, tag: str) -> list[tuple[int, Any]]:
    return [(event.step, pytest.approx(event.value)) for event in read_back(model_dir).Scalars(tag)]


def test_every_key_of_an_epoch_is_a_scalar_by_epoch(tmp_path: Path) -> None:
    epochs = [epoch(1), epoch(2), epoch(3)]
    with scalars.writer(tmp_path, wanted=True) as write:
        for each in epochs:
            write(each)
    found = read_back(tmp_path)
    assert sorted(found.Tags()["scalars"]) == sorted(TAGS)
    assert {tag.split("/")[1] for tag in TAGS} == Epoch.model_fields.keys() - {"epoch"}
    for tag in TAGS:
        values = [getattr(each, tag.split("/")[1]) for each in epochs]
        assert points(tmp_path, tag) == list(enumerate(values, start=1))


def test_scalars_are_there_as_soon_as_an_epoch_is_written(tmp_path: Path) -> None:
    with scalars.writer(tmp_path, wanted=True) as write:
        write(epoch(1))
        assert points(tmp_path, "quality/train_loss") == [(1, 1.0)]


def test_what_is_null_is_left_out(tmp_path: Path) -> None:
    with scalars.writer(tmp_path, wanted=True) as write:
        write(epoch(1, validation_psnr_db=None, gain_over_input_db=None))
    assert set(TAGS) - set(read_back(tmp_path).Tags()["scalars"]) == {
        "quality/validation_psnr_db",
        "quality/gain_over_input_db",
    }


@pytest.mark.parametrize("told", [1, 2, 3])
def test_a_resumed_run_shows_each_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: int) -> None:
    """The state that was saved may be behind of what was told, or ahead of it."""
    with scalars.writer(tmp_path, wanted=True) as write:
        for number in range(1, told + 1):
            write(epoch(number, train_loss=99.0))
    an_hour_passes(monkeypatch)
    with scalars.writer(tmp_path, wanted=True, history=[epoch(1), epoch(2)]) as write:
        assert points(tmp_path, "quality/train_loss") == [(1, 1.0), (2, 0.5)]
        write(epoch(3))
    assert points(tmp_path, "quality/train_loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_an_open_tensorboard_drops_what_an_interrupted_session_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scalars.writer(tmp_path, wanted=True) as write:
        write(epoch(1, train_loss=99.0))
        write(epoch(2, train_loss=99.0))
    reading = read_back(tmp_path)
    an_hour_passes(monkeypatch)
    with scalars.writer(tmp_path, wanted=True, history=[epoch(1)]) as write:
        write(epoch(2))
        reading.Reload()
    found = [(event.step, event.value) for event in reading.Scalars("quality/train_loss")]
    assert found == [(1, 1.0), (2, 0.5)]


def test_times_leave_interruptions_out(tmp_path: Path) -> None:
    with scalars.writer(tmp_path, wanted=True, history=[epoch(1), epoch(2)]) as write:
        write(epoch(4))
    first, second, last = [event.wall_time for event in read_back(tmp_path).Scalars("quality/train_loss")]
    assert (second - first, last - second) == (pytest.approx(60, abs=1e-3), pytest.approx(120, abs=1e-3))


def test_nothing_is_written_or_imported_unless_wanted(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from cryodenoise.training import scalars\n"
        "with scalars.writer(pathlib.Path(sys.argv[1]), wanted=False) as write:\n"
        "    write(None)\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'tensorboard']\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if "tensorboard" in name.split(".")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with (
        pytest.raises(UserError, match=r"pip install -r requirements-tensorboard\.txt"),
        scalars.writer(tmp_path, True),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
