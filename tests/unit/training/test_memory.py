"""The largest micro-batch within a limit; the allocator's limit has stand-ins here, and a test for a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cryodenoise import devices
from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError
from cryodenoise.models import cnn3
from cryodenoise.training.footprint import Work, counted_bytes
from cryodenoise.training.memory import TAKEN_PER_COUNTED, counting, largest_micro_batch, micro_batch, trial

SHAPE = (24, 16)
CPU = torch.device("cpu")
GIB = 2**30


def mean_squares(denoised: Tensor, targets: Tensor) -> Tensor:
    return (denoised.float() - targets).square().mean(dim=(1, 2, 3))


def work(shape: tuple[int, int] = SHAPE) -> Work:
    return Work(cnn3.build(), mean_squares, shape, "fp32")


def limited(most_samples: int, tried: list[int] | None = None) -> Callable[[int], None]:
    """Room for so many samples."""

    def attempt(samples: int) -> None:
        if tried is not None:
            tried.append(samples)
        if samples > most_samples:
            raise torch.OutOfMemoryError

    return attempt


@settings(deadline=None)
@given(batch_size=st.integers(1, 300), most_samples=st.integers(1, 400))
def test_the_most_samples_that_fit_are_found(batch_size: int, most_samples: int) -> None:
    tried: list[int] = []
    found = largest_micro_batch(batch_size, limited(most_samples, tried), 8.0, SHAPE)
    assert found == min(batch_size, most_samples)
    assert tried[0] == batch_size
    assert len(set(tried)) == len(tried) <= 2 + batch_size.bit_length()


def test_a_batch_that_fits_is_tried_once() -> None:
    tried: list[int] = []
    assert largest_micro_batch(64, limited(64, tried), 8.0, SHAPE) == 64
    assert tried == [64]


def test_a_limit_below_one_sample_is_told() -> None:
    with pytest.raises(UserError, match=r"memory_limit_gib: 1.5: not even one patch of 24 × 16 fits.*raise the limit"):
        largest_micro_batch(64, limited(0), 1.5, SHAPE)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def attempt(_: int) -> None:
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape"):
        largest_micro_batch(4, attempt, 8.0, SHAPE)


def test_the_run_files_micro_batch_is_taken_if_it_fits() -> None:
    parameters = TrainParameters(batch_size=16, micro_batch_size=4)
    assert micro_batch(parameters, SHAPE, 16, limited(10)) == 4
    assert micro_batch(parameters, SHAPE, 3, limited(10)) == 3
    with pytest.raises(UserError, match="micro_batch_size: 4: only 3 patches at a time fit into the 8 GiB"):
        micro_batch(parameters, SHAPE, 16, limited(3))


@settings(deadline=None)
@given(batch_size=st.integers(1, 300), most_samples=st.integers(1, 400))
def test_parts_of_a_batch_are_as_few_as_fit_and_of_even_size(batch_size: int, most_samples: int) -> None:
    found = micro_batch(TrainParameters(batch_size=batch_size), SHAPE, batch_size, limited(most_samples))
    parts = -(-batch_size // found)
    assert found <= most_samples
    assert parts == -(-batch_size // min(batch_size, most_samples))
    assert found * parts - batch_size < parts


class Allocator:
    """A stand-in for an allocator with a limit: what autograd keeps counts, and too much of it raises."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes, self.taken_bytes = most_bytes, 0

    def attempt(self, network: nn.Module) -> Callable[[int], None]:
        def pack(tensor: Tensor) -> Tensor:
            self.taken_bytes += tensor.nbytes
            if self.taken_bytes > self.most_bytes:
                raise torch.OutOfMemoryError("Tried to allocate")
            return tensor

        def unpack(tensor: Any) -> Any:
            self.taken_bytes -= tensor.nbytes
            return tensor

        def compute(samples: int) -> None:
            self.taken_bytes = 0
            with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
                images = torch.zeros(samples, 1, *SHAPE)
                mean_squares(network(images), images).sum().backward()  # type: ignore[no-untyped-call]

        return compute


def test_a_cap_below_the_batch_gives_a_smaller_micro_batch_and_one_below_a_sample_an_error() -> None:
    network, weights = cnn3.build(), 4 * (16 * 1 * 9 + 16 * 16 * 9 + 1 * 16 * 9)
    # Of a sample autograd keeps the three convolutions' inputs, both of ReLU's results, and the difference.
    a_sample = 4 * SHAPE[0] * SHAPE[1] * (1 + 16 + 16 + 16 + 16 + 1)
    for cap, expected in ((weights + 8 * a_sample, 8), (weights + 8 * a_sample - 1, 7), (weights + a_sample, 1)):
        assert largest_micro_batch(8, Allocator(cap).attempt(network), 8.0, SHAPE) == expected
    with pytest.raises(UserError, match="not even one patch"):
        largest_micro_batch(8, Allocator(weights + a_sample - 1).attempt(network), 8.0, SHAPE)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_counting_fits_what_it_counts_and_what_is_held(device: str) -> None:
    needed = TAKEN_PER_COUNTED[device] * counted_bytes(work(), 5)
    for held in (0, 1 << 20):
        for most_bytes, expected in ((needed + held + 8, 5), (needed + held - 8, 4)):
            attempt = counting(work(), torch.device(device), int(most_bytes), held)
            assert largest_micro_batch(8, attempt, 8.0, SHAPE) == expected


def test_on_the_processor_the_limit_decides_over_the_micro_batch() -> None:
    patches = work((256, 256))
    a_sample = counted_bytes(patches, 2) - counted_bytes(patches, 1)
    for samples in (3, 40):
        limit_gib = 1 + (TAKEN_PER_COUNTED["cpu"] * (samples + 0.5) * a_sample + 2e5) / GIB
        attempt = trial(patches, CPU, devices.cap_memory(CPU, limit_gib))
        assert largest_micro_batch(64, attempt, limit_gib, patches.sample_shape) == samples


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_the_allocator_is_capped_and_the_micro_batch_fits() -> None:
    device = devices.choose("cuda")
    patches = Work(devices.place(cnn3.build(), device), mean_squares, (1024, 1024), "fp32")
    try:
        most_bytes = devices.cap_memory(device, 3.0)
        assert most_bytes == 2 * GIB
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(most_bytes + 1, dtype=torch.uint8, device=device)
        state, before_bytes = torch.cuda.get_rng_state(device), torch.cuda.memory_allocated(device)
        found = largest_micro_batch(64, trial(patches, device, most_bytes, 100 << 20), 3.0, patches.sample_shape)
        assert 1 <= found < 12
        assert torch.equal(torch.cuda.get_rng_state(device), state)
        assert torch.cuda.memory_allocated(device) == before_bytes
        peak_bytes = devices.peak_device_memory_bytes(device)
        assert peak_bytes is not None
        assert GIB < peak_bytes <= 3 * GIB
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, torch.cuda.current_device())
