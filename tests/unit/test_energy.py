"""Energy counters, read from a stand-in of Linux's folder and of NVIDIA's library."""

import ctypes
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise import devices, energy
from cryodenoise.energy import Counter, counters, gpu_counter, measured, processor_counters

CPU = torch.device("cpu")
UUID = "01234567-89ab-cdef-0123-456789abcdef"
RANGE_UJ = 262_143_328_850  # of a processor


def zone(powercap: Path, number: str, name: str, energy_uj: object = 0, range_uj: object = RANGE_UJ) -> Path:
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    for file, value in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", range_uj)):
        (folder / file).write_text(f"{value}\n")
    return folder


def count(folder: Path, energy_uj: object) -> None:
    (folder / "energy_uj").write_text(f"{energy_uj}\n")


class Nvml:
    """A stand-in of NVIDIA's library with one GPU."""

    def __init__(self, millijoules: int = 0, failing: str = "") -> None:
        self.millijoules, self.failing = millijoules, failing

    def nvmlInit_v2(self) -> int:  # noqa: N802
        return 9 if self.failing == "init" else 0

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes, handle: Any) -> int:  # noqa: N802
        handle._obj.value = 77
        return 0 if uuid == f"GPU-{UUID}".encode() else 6

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, value: Any) -> int:  # noqa: N802
        assert handle.value == 77
        value._obj.value = self.millijoules
        return 3 if self.failing == "energy" else 0


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    first, second = zone(tmp_path, "0", "package-0", 5_000_000), zone(tmp_path, "1", "package-1", 7_000_000)
    core, whole = zone(tmp_path, "0:0", "core", 1), zone(tmp_path, "2", "psys", 1)
    with measured(CPU, tmp_path) as found:
        count(first, 8_500_000)
        count(second, 7_250_000)
        count(core, 10**9)
        count(whole, 10**9)
    assert found.joules == {"processor": pytest.approx(3.75)}


def test_a_counter_that_starts_anew_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "0", "package-0", RANGE_UJ - 1_000_000)
    (counter,) = processor_counters(tmp_path)
    count(package, 2_000_000)
    assert counter.joules() == pytest.approx(3.0)
    count(package, 2_500_000)
    assert counter.joules() == pytest.approx(3.5)
    count(package, 500_000)
    assert counter.joules() == pytest.approx(1.5 + RANGE_UJ * 1e-6)


@settings(deadline=None)
@given(st.lists(st.integers(0, 999), max_size=40), st.integers(0, 999))
def test_what_was_used_is_the_sum_whatever_the_range(used: list[int], start: int) -> None:
    total = start
    counter = Counter(lambda: total % 1000, 2.0, 1000, lambda: 0.0)
    for step in used:
        total += step
        found = counter.joules()
        assert found is not None
        assert found == pytest.approx(2.0 * (total - start))


def test_a_counter_that_may_have_gone_round_unseen_tells_nothing_any_more() -> None:
    clock = Clock()
    counter = Counter(lambda: 0, 1e-6, 65_532_610_987, clock)
    for clock.now_s in (60.0, 120.0, 180.0):
        assert counter.joules() == 0.0
    clock.now_s = 246.0  # 66 s at a kilowatt are more than the range
    assert counter.joules() is None
    clock.now_s = 247.0
    assert counter.joules() is None


def test_a_counter_that_never_starts_anew_may_be_read_seldom_and_must_not_fall() -> None:
    clock, value = Clock(), 5
    counter = Counter(lambda: value, 1e-3, None, clock)
    clock.now_s, value = 1e6, 7005
    assert counter.joules() == pytest.approx(7.0)
    value = 7004
    assert counter.joules() is None


def remove(folder: Path) -> None:
    (folder / "energy_uj").unlink()


def garble(folder: Path) -> None:
    count(folder, "")


@pytest.mark.parametrize("spoil", [remove, garble])
def test_what_cannot_be_read_is_absent(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    assert counters(CPU, tmp_path) == {}
    assert counters(CPU, tmp_path / "none") == {}
    zone(tmp_path, "0", "package-0")
    second = zone(tmp_path, "1", "package-1")
    with measured(CPU, tmp_path) as found:
        spoil(second)
    assert found.joules == {}
    with measured(CPU, tmp_path) as found:  # one of two packages is not the processor
        pass
    assert found.joules == {}


def test_a_counter_without_a_range_is_not_used(tmp_path: Path) -> None:
    (zone(tmp_path, "0", "package-0") / "max_energy_range_uj").unlink()
    assert processor_counters(tmp_path) == []


def test_a_block_that_fails_is_not_measured(tmp_path: Path) -> None:
    zone(tmp_path, "0", "package-0")
    with pytest.raises(ZeroDivisionError), measured(CPU, tmp_path) as found:
        raise ZeroDivisionError
    assert found.joules == {}


def test_long_blocks_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread reads again and again, so that the count may go round more than once within a block."""
    value, reads = 0, 0
    reached = threading.Event()

    def half_a_round_more() -> int:
        nonlocal value, reads
        reads += 1
        value += 500
        if reads == 20:
            reached.set()
        return value % 1000

    counter = Counter(half_a_round_more, 1.0, 1000, lambda: 0.0)
    monkeypatch.setattr(energy, "counters", lambda *_: {"processor": [counter]})
    with measured(CPU, tmp_path, poll_s=1e-4) as found:
        assert reached.wait(60)
    assert found.joules == {"processor": 500.0 * (reads - 1)}


@pytest.mark.parametrize("uuid", [UUID, f"GPU-{UUID}"])
def test_a_gpu_is_known_by_its_uuid(uuid: str) -> None:
    library = Nvml(12_345_678_901_234)
    counter = gpu_counter(uuid, library)
    assert counter is not None
    library.millijoules += 2500
    assert counter.joules() == pytest.approx(2.5)


@pytest.mark.parametrize("library", [Nvml(failing="init"), Nvml(failing="energy"), object()])
def test_a_gpu_whose_driver_has_no_counter_has_none(library: object) -> None:
    assert gpu_counter(UUID, library) is None


def test_another_gpu_is_not_taken_for_it() -> None:
    assert gpu_counter(UUID.replace("0", "1"), Nvml()) is None


def test_gpu_and_processor_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        uuid = UUID

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: Properties)
    monkeypatch.setattr(devices, "synchronize", lambda _: None)
    library, package = Nvml(), zone(tmp_path, "0", "package-0")
    with measured(torch.device("cuda"), tmp_path, library) as found:
        library.millijoules = 4000
        count(package, 1_000_000)
    assert found.joules == {"gpu": pytest.approx(4.0), "processor": pytest.approx(1.0)}
    library.failing = "energy"
    with measured(torch.device("cuda"), tmp_path, library) as found:
        count(package, 3_000_000)
    assert found.joules == {"processor": pytest.approx(2.0)}
