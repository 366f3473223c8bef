"""Energy used between two moments, from counters of the hardware; where there is none, nothing is told.

A GPU's counter is NVML's (https://docs.nvidia.com/deploy/nvml-api, nvmlDeviceGetTotalEnergyConsumption: Volta and
later), the processor's is Linux's powercap (https://docs.kernel.org/power/powercap/powercap.html), which mostly root
alone can read. Both count what the whole GPU and all processor packages use, whoever else is at work there; the
machine's memory, disks, fans and the losses of its power supply are left out.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from cryodenoise import devices

POWERCAP = Path("/sys/class/powercap")
Part = Literal["gpu", "processor"]
_MOST_W = 1000.0
"""More than a processor package draws: in less time than its counter's range over this, it cannot go round unseen."""
_POLL_S = 10.0


class Counter:
    """Energy since the counter was made, of one part of the machine whose own count only rises and may start anew."""

    def __init__(
        self,
        count: Callable[[], int],
        joules_per_count: float,
        range_counts: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at the count of now.

        Args:
            count: Reads the count; raises OSError where that fails.
            joules_per_count: Its unit.
            range_counts: The count after which it starts anew at 0; None if it never does.
            clock: Seconds.

        Raises:
            OSError: If the count cannot be read.
        """
        self._count, self._unit_j, self._range, self._clock = count, joules_per_count, range_counts, clock
        self._sum: int | None = 0
        self._last, self._last_s = count(), clock()

    def joules(self) -> float | None:
        """Energy so far.

        To be called more often than the count goes round. None from then on if it may have gone round more than once
        since the last call, or could not be read.
        """
        if self._sum is None:
            return None
        now_s = self._clock()
        try:
            value = self._count()
        except OSError:
            self._sum = None
            return None
        used = value - self._last
        if self._range is not None:
            used += self._range * (used < 0)
            if (now_s - self._last_s) * _MOST_W >= self._range * self._unit_j:
                used = -1
        self._sum = None if used < 0 else self._sum + used
        self._last, self._last_s = value, now_s
        return None if self._sum is None else self._sum * self._unit_j


def counters(device: torch.device, powercap: Path = POWERCAP, nvml: Any = None) -> dict[Part, list[Counter]]:
    """The counters of what computes: of the GPU if the device is one, and of all packages of the processor.

    Args:
        device: Where the work is done.
        powercap: Linux's folder of counters.
        nvml: NVIDIA's library; None loads it.

    Returns:
        Counters by part of the machine, which add up; a part is missing where one of its counters cannot be read.
    """
    found: dict[Part, list[Counter]] = {}
    if device.type == "cuda" and (of_gpu := gpu_counter(str(torch.cuda.get_device_properties(device).uuid), nvml)):
        found["gpu"] = [of_gpu]
    if of_packages := processor_counters(powercap):
        found["processor"] = of_packages
    return found


def gpu_counter(uuid: str, nvml: Any = None) -> Counter | None:
    """The counter of a GPU; None where the driver has none for it, as for a part of a GPU (MIG).

    Args:
        uuid: As PyTorch tells it. NVML numbers GPUs otherwise than CUDA_VISIBLE_DEVICES does.
        nvml: NVIDIA's library; None loads it.
    """
    try:
        library = nvml or ctypes.CDLL("libnvidia-ml.so.1")
        handle = ctypes.c_void_p()
        _call(library.nvmlInit_v2)
        _call(library.nvmlDeviceGetHandleByUUID, f"GPU-{uuid.removeprefix('GPU-')}".encode(), ctypes.byref(handle))

        def millijoules() -> int:
            value = ctypes.c_ulonglong()
            _call(library.nvmlDeviceGetTotalEnergyConsumption, handle, ctypes.byref(value))
            return value.value

        return Counter(millijoules, 1e-3)
    except (OSError, AttributeError):  # no library, a failed call, or a library without these functions
        return None


def _call(function: Callable[..., int], *arguments: object) -> None:
    if code := function(*arguments):
        raise OSError(f"NVML failed with code {code}")


def processor_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """The counters of all processor packages; none if one cannot be read, since the others would pass for the whole."""
    found = []
    try:
        for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's processors have this name, too
            if (zone / "name").read_text().startswith("package"):  # others are parts of a package, or hold it
                found.append(Counter(_reader(zone / "energy_uj"), 1e-6, _reader(zone / "max_energy_range_uj")()))
    except OSError:
        return []
    return found


def _reader(path: Path) -> Callable[[], int]:
    def read() -> int:
        try:
            return int(path.read_text())
        except ValueError as error:
            raise OSError(f"{path}: no number") from error

    return read


@dataclass
class Energy:
    """What `measured` found.

    Attributes:
        joules: Energy by part of the machine, once the block is done; only what was counted from its start to its end.
    """

    joules: dict[Part, float] = field(default_factory=dict)


@contextmanager
def measured(
    device: torch.device, powercap: Path = POWERCAP, nvml: Any = None, poll_s: float = _POLL_S
) -> Iterator[Energy]:
    """Measure the energy of a block, from and to moments at which the device has done what it was given.

    GPUs renew their counter some ten times a second, so a block should take seconds.

    Args:
        device: Where the block computes.
        powercap: Linux's folder of counters.
        nvml: NVIDIA's library; None loads it.
        poll_s: How often a thread looks whether a counter started anew.
    """
    energy, ended = Energy(), threading.Event()
    devices.synchronize(device)
    found = counters(device, powercap, nvml)

    def total(part: list[Counter]) -> float | None:
        values = [counter.joules() for counter in part]
        return None if None in values else sum(value for value in values if value is not None)

    def watch() -> None:
        while not ended.wait(poll_s):
            for part in found.values():
                total(part)

    watcher = threading.Thread(target=watch, daemon=True)
    if found:
        watcher.start()
    try:
        yield energy
        devices.synchronize(device)
    finally:
        ended.set()
        if found:
            watcher.join()
    energy.joules = {name: joules for name, part in found.items() if (joules := total(part)) is not None}
