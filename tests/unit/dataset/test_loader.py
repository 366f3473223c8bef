import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryodenoise.config.documents import SampleDtype
from cryodenoise.dataset import loader as loading
from cryodenoise.dataset.layout import ROLES, Role
from cryodenoise.dataset.loader import Loader, buffers_within
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.errors import UserError
from small_datasets import Images, random_images, write_dataset

SHAPE = (12, 20)
PAIR_BYTES = 2 * 12 * 20 * 4
CPU = torch.device("cpu")
LARGEST = 3
plans = st.lists(st.lists(st.integers(0, 4), max_size=LARGEST).map(lambda batch: np.array(batch, np.int64)), max_size=9)


@pytest.fixture(params=[False, True], ids=["views", "copies"])
def apart(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether batches are copied as to a GPU, though to the processor's own memory, where streams do nothing."""
    monkeypatch.setattr(loading, "_is_apart", lambda _: request.param)
    return bool(request.param)


@pytest.fixture
def images() -> Images:
    return random_images(SHAPE)


@pytest.fixture
def data_dir(tmp_path: Path, images: Images) -> Path:
    write_dataset(tmp_path, images)
    return tmp_path


@pytest.fixture
def reader(data_dir: Path) -> Iterator[SplitReader]:
    with SplitReader(data_dir, open_dataset(data_dir), "train") as opened:
        yield opened


@pytest.fixture(params=["<f4", "<f2"])
def stored(request: pytest.FixtureRequest, tmp_path: Path, images: Images) -> Iterator[tuple[SplitReader, Images]]:
    """A reader of either type, and what it must read."""
    dtype: SampleDtype = request.param
    write_dataset(tmp_path, images, dtype)
    with SplitReader(tmp_path, open_dataset(tmp_path), "train") as opened:
        yield opened, {key: samples.astype(dtype).astype(np.float32) for key, samples in images.items()}


class Observed(SplitReader):
    """Counts samples read, and lets a test wait for them."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, open_dataset(data_dir), "train")
        self.read_samples, self._changed = 0, threading.Condition()

    def read_into(self, role: Role, index: int, slot: np.ndarray) -> None:
        super().read_into(role, index, slot)
        with self._changed:
            self.read_samples += 1
            self._changed.notify_all()

    def wait_for(self, samples: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.read_samples >= samples, timeout=60)


def reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("reader")]


def of(samples: np.ndarray, indices: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(samples[indices])[:, None]


@pytest.mark.usefixtures("apart")
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=plans, buffers=st.integers(2, 5))
def test_every_batch_comes_whole_and_in_order(
    stored: tuple[SplitReader, Images], plan: list[np.ndarray], buffers: int
) -> None:
    reader, expected = stored
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loading, "buffers_within", lambda *_: buffers)
        loader = Loader(reader, CPU, 1, LARGEST)
    with loader:
        count = 0
        for batch, indices in zip(loader.batches(plan), plan, strict=True):
            for role, found in zip(ROLES, batch, strict=True):
                assert (found.dtype, found.shape) == (torch.float32, (len(indices), 1, *SHAPE))
                assert found.is_contiguous(memory_format=torch.channels_last)
                assert torch.equal(found, of(expected["train", role], indices))
            count += len(indices)
        assert loader.read_bytes == count * 2 * reader.sample_bytes


def test_a_batch_stays_as_it_is_while_all_buffers_but_its_own_are_read_into(
    data_dir: Path, images: Images, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffers = 3
    monkeypatch.setattr(loading, "buffers_within", lambda *_: buffers)
    plan = [np.array([number % 5, (number + 2) % 5]) for number in range(12)]
    with Observed(data_dir) as reader, Loader(reader, CPU, 1, 2) as loader:
        for number, (inputs, targets) in enumerate(loader.batches(plan)):
            filled = min(number + buffers + apart, len(plan))  # a batch that was copied leaves its buffer
            reader.wait_for(filled * 4)
            assert reader.read_samples == filled * 4
            assert torch.equal(inputs, of(images["train", "input"], plan[number]))
            assert torch.equal(targets, of(images["train", "target"], plan[number]))


def test_memory_does_not_grow_with_the_number_of_batches(reader: SplitReader, monkeypatch: pytest.MonkeyPatch) -> None:
    buffers = 3
    monkeypatch.setattr(loading, "buffers_within", lambda *_: buffers)
    made = []
    make = Loader._buffer

    def observed(loader: Loader) -> loading._Buffer:
        made.append(make(loader))
        return made[-1]

    monkeypatch.setattr(Loader, "_buffer", observed)
    with Loader(reader, CPU, 1, 2) as loader:
        places = {inputs.data_ptr() for inputs, _ in loader.batches(np.array([number % 5]) for number in range(100))}
    assert len(places) == len(made) == buffers


@pytest.mark.parametrize(
    ("read_ahead_mib", "batch_bytes", "buffers"),
    [(128, 64 << 20, 2), (128, 128 << 20, 2), (1, 1 << 30, 2), (192, 64 << 20, 3), (128, 1 << 10, 32)],
)
def test_buffers_are_those_that_fit_two_at_least(read_ahead_mib: int, batch_bytes: int, buffers: int) -> None:
    assert buffers_within(read_ahead_mib, batch_bytes) == buffers


def test_the_buffers_of_a_loader_are_measured_in_its_own_batches(
    reader: SplitReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def observed(*question: int) -> int:
        asked.append(question)
        return 2

    monkeypatch.setattr(loading, "buffers_within", observed)
    Loader(reader, CPU, 7, 5)
    assert asked == [(7, 5 * PAIR_BYTES)]


@pytest.mark.usefixtures("apart")
def test_damage_is_told_with_its_batch_and_not_before(data_dir: Path, images: Images) -> None:
    path = data_dir / "train_target.bin"
    with path.open("r+b") as binary:
        binary.seek(3 * 12 * 20 * 4 + 5)
        binary.write(b"\xff\xff")
    with SplitReader(data_dir, open_dataset(data_dir), "train") as reader:
        with Loader(reader, CPU, 1, 2) as loader:
            coming = loader.batches([np.array([0, 1]), np.array([2]), np.array([4, 3]), np.array([1])])
            for expected in ([0, 1], [2]):
                assert torch.equal(next(coming)[0], of(images["train", "input"], np.array(expected)))
            with pytest.raises(UserError, match=r"train_target\.bin: sample 3 \(bytes 2880 to 3839\) was altered"):
                next(coming)
        assert loader.read_bytes == 3 * PAIR_BYTES
    assert not reading_threads()


@pytest.mark.usefixtures("apart")
@pytest.mark.parametrize("leave", [lambda coming: coming.close(), lambda _: None], ids=["closed", "left"])
def test_a_consumer_may_leave_at_any_time(reader: SplitReader, leave: Callable[[Iterator[object]], None]) -> None:
    with Loader(reader, CPU, 1, 2) as loader:
        coming = loader.batches(np.array([number % 5]) for number in itertools.count())
        for _ in range(3):
            next(coming)
        leave(coming)
    assert not reading_threads()
    assert loader.read_bytes == 3 * PAIR_BYTES


@pytest.mark.usefixtures("apart")
def test_an_interruption_or_a_faulty_plan_leaves_no_thread(reader: SplitReader) -> None:
    def faulty() -> Iterator[np.ndarray]:
        yield np.array([0])
        raise ValueError("no more")

    with pytest.raises(KeyboardInterrupt), Loader(reader, CPU, 1, 2) as loader:
        for _ in loader.batches([np.array([0])] * 50):
            raise KeyboardInterrupt
    assert not reading_threads()
    with Loader(reader, CPU, 1, 2) as loader, pytest.raises(ValueError, match="no more"):
        list(loader.batches(faulty()))
    assert not reading_threads()


@pytest.mark.usefixtures("apart")
def test_a_loader_serves_one_epoch_after_the_other(reader: SplitReader, images: Images) -> None:
    with Loader(reader, CPU, 1, 2) as loader:
        first = loader.batches([np.array([0, 1])] * 9)
        next(first)
        second = loader.batches([np.array([2, 3])])
        assert list(first) == []
        assert torch.equal(next(second)[0], of(images["train", "input"], np.array([2, 3])))
        assert list(second) == []
        assert list(loader.batches([])) == []


def test_waiting_is_timed_for_each_batch(reader: SplitReader, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 0.5, 10.0, 10.25, 20.0, 20.0])
    monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(ticks)))
    with Loader(reader, CPU, 1, 2) as loader:
        for _ in loader.batches([np.array([0]), np.array([1, 2]), np.array([], np.int64)]):
            pass
        assert loader.waited_s == 0.75


def test_small_samples_are_read_in_groups(reader: SplitReader, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three samples a task, the last with what is left."""
    monkeypatch.setattr(loading, "_TASK_BYTES", 3 * reader.sample_bytes + 1)
    order = np.array([4, 0, 3, 1, 2])
    with Loader(reader, CPU, 1, 5) as loader:
        ((inputs, targets),) = ([image.clone() for image in batch] for batch in loader.batches([order]))
    assert torch.equal(inputs, of(images["train", "input"], order))
    assert torch.equal(targets, of(images["train", "target"], order))


def test_conversion_goes_by_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_SERIAL_PIXELS", 7)
    images = random_images(SHAPE)
    write_dataset(tmp_path, images, "<f2")
    with (
        SplitReader(tmp_path, open_dataset(tmp_path), "validation") as reader,
        Loader(reader, CPU, 1, 2) as loader,
    ):
        for inputs, _ in loader.batches([np.array([1, 0])]):
            assert torch.equal(inputs, of(images["train", "input"][5:].astype("f2").astype("f4"), np.array([1, 0])))


def test_samples_larger_than_the_cache_go_past_it(tmp_path: Path) -> None:
    images = random_images((512, 512))
    write_dataset(tmp_path, images)
    with (
        SplitReader(tmp_path, open_dataset(tmp_path), "train", direct=True) as reader,
        Loader(reader, CPU, 1, 2) as loader,
    ):
        plan = [np.array([3, 1]), np.array([4]), np.array([0, 2])]
        for (inputs, targets), indices in zip(loader.batches(plan), plan, strict=True):
            assert torch.equal(inputs, of(images["train", "input"], indices))
            assert torch.equal(targets, of(images["train", "target"], indices))
