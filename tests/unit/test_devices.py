import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from cryodenoise import devices
from cryodenoise.errors import UserError

MIB, GIB = 2**20, 2**30
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
needs_glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no mallopt in this C library")


def test_peak_memory_is_that_of_the_task_not_of_what_was_before() -> None:
    np.ones(400 * MIB, np.uint8).sum()
    before = devices.peak_host_memory_bytes()
    devices.choose("cpu")
    after = devices.peak_host_memory_bytes()
    assert after < before - 200 * MIB
    np.ones(300 * MIB, np.uint8).sum()
    assert devices.peak_host_memory_bytes() > after + 200 * MIB


def test_the_memory_bandwidth_is_that_of_a_machine() -> None:
    assert 1e7 < devices.memory_bandwidth_bytes_per_s(CPU) < 1e14


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_memory_of_a_gpu_is_faster_than_any_processors() -> None:
    assert 1e10 < devices.memory_bandwidth_bytes_per_s(CUDA) < 1e14


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


def test_the_processors_limit_is_that_of_the_process_less_a_constant() -> None:
    assert devices.tensor_bytes(CPU, 8.0) == 7 * GIB
    assert devices.cap_memory(CPU, 1.25) == GIB // 4


@pytest.mark.parametrize("limit_gib", [0.5, 1.0])
def test_a_limit_that_leaves_nothing_for_tensors_is_refused(limit_gib: float) -> None:
    with pytest.raises(UserError, match=f"memory_limit_gib: {limit_gib:g}: 1 GiB are set aside for Python.*: set more"):
        devices.cap_memory(CPU, limit_gib)


class Card:
    """A stand-in for torch.cuda with a card of so many bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, total: int) -> None:
        self.total = self.free = total
        self.reserved = self.most_reserved = self.allocated = 0
        self.fraction = 1.0
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: type("", (), {"total_memory": self.total}))
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (self.free, self.total))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: self.reserved)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: self.allocated)
        monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: self.most_reserved)
        monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", self._cap)

    def _cap(self, fraction: float, index: int) -> None:
        assert index == 0
        self.fraction = fraction


def test_a_gpus_allocator_is_capped_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, 80 * GIB)
    assert devices.cap_memory(CUDA, 8.0) == 7 * GIB
    assert card.fraction == 7 / 80


def test_a_gpu_smaller_than_the_limit_counts_with_its_own_size(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, 6 * GIB)
    assert devices.cap_memory(CUDA, 8.0) == 5 * GIB
    assert card.fraction == 5 / 6
    card.total = GIB
    with pytest.raises(UserError, match=r"memory_limit_gib: 8, on a GPU of 1.0 GiB: .*context"):
        devices.cap_memory(CUDA, 8.0)


def test_what_a_gpus_process_took_includes_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, 80 * GIB)
    card.most_reserved, card.reserved = 5 * GIB, 3 * GIB
    card.free = card.total - card.reserved - GIB // 2
    assert devices.peak_device_memory_bytes(CUDA) == 5 * GIB + GIB // 2
    card.free -= 20 * GIB  # another process
    assert devices.peak_device_memory_bytes(CUDA) == 6 * GIB


def test_what_a_gpus_allocator_does_not_use_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, 80 * GIB)
    card.free, card.reserved, card.allocated = 10 * GIB, 3 * GIB, 1 * GIB
    assert devices.available_memory_bytes(CUDA) == 12 * GIB


def test_a_containers_limit_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "_CGROUP", tmp_path)
    of_the_machine = devices.available_memory_bytes(CPU)
    assert 0 < of_the_machine <= devices.total_memory_bytes(CPU)
    (tmp_path / "memory.max").write_text(f"{64 * MIB}\n")
    (tmp_path / "memory.current").write_text(f"{50 * MIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 1\ninactive_file {20 * MIB}\n")
    assert devices.available_memory_bytes(CPU) == 34 * MIB
    (tmp_path / "memory.max").write_text("max\n")
    assert devices.available_memory_bytes(CPU) > 34 * MIB


@needs_glibc
def test_freed_memory_stays_until_it_is_more_than_the_limit() -> None:
    program = f"""
import psutil, torch
from cryodenoise import devices
def mib():
    return psutil.Process().memory_info().rss >> 20
device = devices.choose("cpu")
before = mib()
torch.ones({300 * MIB}, dtype=torch.uint8)
kept = mib()
devices.hand_back_memory_above(device, 64.0)
still = mib()
devices.hand_back_memory_above(device, 0.1)
print(before, kept, still, mib())
"""
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    before, kept, still, after = map(int, said.split())
    assert min(kept, still) > before + 290
    assert after < before + 50


@pytest.mark.parametrize("name", ["mallopt", "malloc_trim"])
def test_other_c_libraries_go_without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    if name == "mallopt":
        assert not devices.keep_freed_memory()
    else:
        devices.hand_back_memory_above(CPU, psutil.Process().memory_info().rss / 2 / GIB)


def test_fp32_is_slow_nowhere() -> None:
    assert devices.slow_precision(CPU, "fp32") is None
    assert devices.slow_precision(CUDA, "fp32") is None


@pytest.mark.parametrize(
    ("flags", "slow"), [({"avx2"}, True), ({"avx2", "avx512_bf16"}, False), ({"amx_bf16"}, False), ({"bf16"}, False)]
)
def test_bf16_is_slow_on_a_processor_without_its_instructions(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], slow: bool
) -> None:
    monkeypatch.setattr(devices, "processor_flags", lambda: frozenset(flags))
    said = devices.slow_precision(CPU, "bf16")
    assert (said is not None) == slow
    assert not slow or "lacks bf16" in str(said)
    assert "meant for GPUs" in str(devices.slow_precision(CPU, "fp16"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_bf16_is_slow_on_old_gpus() -> None:
    old = torch.cuda.get_device_capability() < (8, 0)
    assert (devices.slow_precision(CUDA, "bf16") is not None) == old
    assert devices.slow_precision(CUDA, "fp16") is None
