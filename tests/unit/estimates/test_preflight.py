from pathlib import Path

import pytest
import torch

from cryodenoise import devices, files
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError
from cryodenoise.estimates.preflight import preflight
from cryodenoise.estimates.rows import bytes_of_states
from cryodenoise.models import MODELS, parameter_count
from cryodenoise.ranks import Rank
from workspaces import Workspace

CPU, GIB = torch.device("cpu"), 2**30


@pytest.fixture
def dataset(made_once: Workspace) -> DatasetRecord:
    return DatasetRecord.load_document(made_once / "data/dataset.json")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A machine with much of it; a test may take some away."""
    bytes_of = {"total": 64 * GIB, "available": 32 * GIB}
    monkeypatch.setattr(devices, "total_memory_bytes", lambda _: bytes_of["total"])
    monkeypatch.setattr(devices, "available_memory_bytes", lambda _: bytes_of["available"])
    return bytes_of


def lines(dataset: DatasetRecord, model_dir: Path, place: Rank | None = None, trainings: int = 1) -> list[str]:
    parameters = TrainParameters(epochs=5, batch_size=8)
    return preflight(parameters, MODELS["cnn3"], dataset, model_dir, CPU, place or Rank(), trainings)


@pytest.mark.usefixtures("memory")
def test_memory_disk_and_time_are_told(dataset: DatasetRecord, tmp_path: Path) -> None:
    of_memory, disk, elapsed = lines(dataset, tmp_path)
    assert "memory_limit_gib 8, 32" in of_memory
    assert of_memory.endswith("micro-batches of 8 patches, batches of 8")
    assert str(tmp_path) in disk
    assert elapsed.startswith("time: about ")
    assert lines(dataset, tmp_path, Rank(0, 4, 4))[0].endswith("micro-batches of 2 patches, batches of 8")


def test_less_free_memory_than_needed_is_a_warning(
    dataset: DatasetRecord, memory: dict[str, int], tmp_path: Path
) -> None:
    memory["available"] = 1 << 20
    assert any("less is free than is needed" in line for line in lines(dataset, tmp_path))


def test_less_memory_than_needed_is_an_error(dataset: DatasetRecord, memory: dict[str, int], tmp_path: Path) -> None:
    memory["total"] = 1 << 20
    with pytest.raises(UserError, match=r"memory_limit_gib: 8: 8 patches at a time need about .* lower it"):
        lines(dataset, tmp_path)


@pytest.mark.usefixtures("memory")
def test_a_disk_that_holds_no_states_is_an_error(
    dataset: DatasetRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda _: 1000)
    with pytest.raises(UserError, match="free"):
        lines(dataset, tmp_path)


@pytest.mark.usefixtures("memory")
def test_states_of_a_run_that_goes_on_are_not_asked_for_again(
    dataset: DatasetRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = bytes_of_states(TrainParameters(), 2625)
    monkeypatch.setattr(files, "_SPARE_BYTES", 0)
    for number, name in enumerate(("last.safetensors", "last-2.safetensors", "best.safetensors")):
        monkeypatch.setattr(files, "free_bytes", lambda _, taken=1000 * number: needed - taken)
        lines(dataset, tmp_path)
        (tmp_path / name).write_bytes(bytes(1000))
    monkeypatch.setattr(files, "free_bytes", lambda _: needed - 3001)
    with pytest.raises(UserError, match="free"):
        lines(dataset, tmp_path)


@pytest.mark.usefixtures("memory")
def test_a_disk_must_hold_the_states_of_all_trainings(
    dataset: DatasetRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one = bytes_of_states(TrainParameters(), parameter_count(MODELS["cnn3"].build()))
    monkeypatch.setattr(files, "free_bytes", lambda _: files._SPARE_BYTES + 2 * of_one)
    assert " for 2 trainings at " in lines(dataset, tmp_path, trainings=2)[2]
    with pytest.raises(UserError, match="free"):
        lines(dataset, tmp_path, trainings=3)
