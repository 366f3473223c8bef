import numpy as np
import pytest
import torch

from cryodenoise import devices
from cryodenoise.errors import UserError

MIB = 2**20


def test_peak_memory_is_that_of_the_task_not_of_what_was_before() -> None:
    np.ones(400 * MIB, np.uint8).sum()
    before = devices.peak_host_memory_bytes()
    devices.choose("cpu")
    after = devices.peak_host_memory_bytes()
    assert after < before - 200 * MIB
    np.ones(300 * MIB, np.uint8).sum()
    assert devices.peak_host_memory_bytes() > after + 200 * MIB


def test_the_processor_has_no_device_memory() -> None:
    assert devices.peak_device_memory_bytes(devices.choose("cpu")) is None


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("can't allocate memory: 9")]
)
def test_running_out_of_memory_names_the_batch_size(error: Exception) -> None:
    with pytest.raises(UserError, match="batch_size: 8 patches"), devices.told_if_memory_runs_out(8):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shape"), devices.told_if_memory_runs_out(8):
        raise RuntimeError("shape mismatch")
