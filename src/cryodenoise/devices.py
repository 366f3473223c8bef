"""The device that computes: chosen, named, made repeatable, and asked for its memory."""

import ctypes
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil
import torch
from torch import nn

from cryodenoise.environment import processor_flags, processor_name
from cryodenoise.errors import UserError

T = TypeVar("T", torch.Tensor, nn.Module)

RESERVE_BYTES = 1 << 30
"""What a process takes beside its tensors: on a GPU the context, kernels and what libraries allocate past PyTorch; on
the processor interpreter, libraries and threads. A constant: how many samples are computed at a time follows from it,
and must be the same in every run."""
_LIMIT = "memory_limit_gib"
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # numbers of glibc's malloc.h
_COPIED_BYTES, _COPIES = 1 << 26, 8
_CGROUP = Path("/sys/fs/cgroup")
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # as /proc/cpuinfo has them on x86 and on ARM


def choose(name: str, deterministic: bool = True, tf32: bool = False, index: int = 0) -> torch.device:
    """The device that a run file asks for; sets PyTorch to full float32 and repeatable results, unless told otherwise.

    The peak memory figures start anew. On the processor, memory that is freed stays with the process from now on.

    Args:
        name: `auto`, `cpu` or `cuda`.
        deterministic: Whether equal inputs must give equal bits; otherwise a GPU tries out which algorithm is fastest.
        tf32: Whether a GPU may round the factors of float32 products to 10 bits.
        index: Which GPU, of those that the process sees; with fewer than that, they are shared out in turn.

    Raises:
        UserError: If a GPU is asked for and none can be used.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found 'cuda', but PyTorch sees no GPU: use `device: auto`, or see `cryodenoise info`")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.use_deterministic_algorithms(deterministic)
    # Otherwise every new tensor is first filled, in case somebody reads it before it is written: a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    if name == "cpu" or not torch.cuda.is_available():
        device = torch.device("cpu")
        keep_freed_memory()
    else:
        device = torch.device("cuda", index % torch.cuda.device_count())
        torch.cuda.set_device(device)
    start_memory_figures_anew(device)
    return device


def compute_with(threads: int) -> None:
    """Let the processor compute with so many threads.

    Raises:
        UserError: If that is less than one.
    """
    if threads < 1:
        raise UserError(f"threads: found {threads}, expected 1 or more: leave it out to use all cores")
    torch.set_num_threads(threads)


def place(value: T, device: torch.device) -> T:
    """Images or a network on the device, channels last: so the processor convolves more than twice as fast."""
    return value.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def name_of(device: torch.device) -> str:
    """The processor's or GPU's product name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given: a clock read afterwards tells the truth."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory_bandwidth_bytes_per_s(device: torch.device) -> float:
    """Bytes read and written a second when PyTorch copies 64 MiB within the device's memory: the best of three tries.

    It takes below a second. A processor whose caches hold both blocks shows the bandwidth of these.
    """
    source = torch.ones(_COPIED_BYTES, dtype=torch.uint8, device=device)
    target = source.clone()  # its pages are there before the clock runs
    shortest_s = math.inf
    for _ in range(3):
        synchronize(device)
        began_s = time.perf_counter()
        for _ in range(_COPIES):
            target.copy_(source)
        synchronize(device)
        shortest_s = min(shortest_s, time.perf_counter() - began_s)
    return 2 * _COPIED_BYTES * _COPIES / shortest_s


def peak_host_memory_bytes() -> int:
    """Largest resident memory that this process has had since `start_memory_figures_anew`.

    Linux keeps it as VmHWM, which can be started anew; getrusage's figure also counts what the process was before exec.
    """
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def peak_device_memory_bytes(device: torch.device) -> int | None:
    """Largest memory of this process on a GPU since `start_memory_figures_anew`; None on the processor.

    It is what PyTorch's allocator reserved at most, and with it an estimate of the context, whose size CUDA does not
    tell: what the card has in use now beyond that, but no more than RESERVE_BYTES, since other processes may be among
    it.
    """
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    beside_bytes = total - free - torch.cuda.memory_reserved(device)
    return torch.cuda.max_memory_reserved(device) + min(max(beside_bytes, 0), RESERVE_BYTES)


def total_memory_bytes(device: torch.device) -> int:
    """Memory of the card, or of the machine as far as the container may take it."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return min(psutil.virtual_memory().total, _of_container("memory.max") or sys.maxsize)


def available_memory_bytes(device: torch.device) -> int:
    """Memory of the card, or of the machine as far as the container may take it, that this process could take besides.

    What PyTorch's allocator holds on a card without using it counts as available.
    """
    if device.type == "cuda":
        unused_bytes = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused_bytes
    available_bytes = psutil.virtual_memory().available
    if (limit_bytes := _of_container("memory.max")) is not None:
        cached_bytes = _of_container("memory.stat", "inactive_file") or 0  # the kernel gives it up when asked
        left_bytes = limit_bytes - (_of_container("memory.current") or 0) + cached_bytes
        available_bytes = max(0, min(available_bytes, left_bytes))
    return available_bytes


def tensor_bytes(device: torch.device, limit_gib: float) -> int:
    """Bytes that tensors may take so that the whole process stays within a limit.

    Args:
        device: A GPU smaller than the limit counts with its own size.
        limit_gib: Memory of the whole process on the device, in GiB.

    Raises:
        UserError: If the limit leaves nothing beside RESERVE_BYTES.
    """
    limit_bytes = int(limit_gib * 2**30)
    found = f"{limit_gib:g}"
    if device.type == "cuda" and (card_bytes := total_memory_bytes(device)) < limit_bytes:
        limit_bytes, found = card_bytes, f"{found}, on a GPU of {card_bytes / 2**30:.1f} GiB"
    if limit_bytes <= RESERVE_BYTES:
        of = "the GPU's context" if device.type == "cuda" else "Python and its libraries"
        raise UserError(
            f"{_LIMIT}: {found}: {RESERVE_BYTES / 2**30:g} GiB are set aside for {of}, so nothing is left for tensors: "
            "set more, such as 8"
        )
    return limit_bytes - RESERVE_BYTES


def cap_memory(device: torch.device, limit_gib: float) -> int:
    """Keep PyTorch's allocator on a GPU within what `tensor_bytes` leaves: it runs out of memory there and not later.

    On the processor nothing is capped, since no allocator there can be; see `hand_back_memory_above`.

    Returns:
        The bytes that tensors may take.

    Raises:
        UserError: If the limit leaves nothing for tensors.
    """
    most_bytes = tensor_bytes(device, limit_gib)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.set_per_process_memory_fraction(most_bytes / total_memory_bytes(device), index)
    return most_bytes


def keep_freed_memory() -> bool:
    """Have the C library keep large blocks that are freed, instead of handing them back to the kernel.

    Each training step otherwise gets its tensors page by page from the kernel, every page filled with zeros: half of
    its time. The price is memory, since freed blocks lie between those in use.

    Returns:
        Whether the C library does so: glibc does; those of macOS and Alpine have no such call.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_option is not None and bool(set_option(_M_MMAP_MAX, 0) and set_option(_M_TRIM_THRESHOLD, -1))


def hand_back_memory_above(device: torch.device, limit_gib: float) -> None:
    """On the processor, hand all freed memory back to the kernel once the process holds more than a limit.

    To be called after a step, it costs microseconds below the limit. glibc may leave a hole that a tensor of the same
    size does not fit into, so that what it keeps could grow without end.
    """
    if device.type == "cpu" and psutil.Process().memory_info().rss > limit_gib * 2**30:
        hand_back_memory()


def peak_memory_bytes(device: torch.device) -> int:
    """The figure of the memory that is scarce: of the GPU, or without one of this process."""
    return peak_device_memory_bytes(device) or peak_host_memory_bytes()


def bf16_is_native(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16."""
    if device.type != "cuda":
        return bool(_BF16_FLAGS & processor_flags())
    with torch.cuda.device(device):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def slow_precision(device: torch.device, precision: str) -> str | None:
    """A sentence if the device computes in a precision much more slowly than in fp32, else None.

    Args:
        device: Where convolutions are computed.
        precision: `fp32`, `bf16` or `fp16`.
    """
    if precision == "fp32":
        return None
    slower = f"expect {precision} to be several times slower than fp32"
    if device.type == "cuda":
        if precision == "bf16" and not bf16_is_native(device):
            return f"precision: {name_of(device)} lacks bf16 (compute capability below 8.0): {slower}"
    elif precision == "fp16":
        return f"precision: fp16 is meant for GPUs: on the processor {slower}"
    elif not bf16_is_native(device):
        return f"precision: this processor lacks bf16 (avx512_bf16, amx_bf16): {slower} and to take more memory"
    return None


def start_memory_figures_anew(device: torch.device) -> None:
    """Let the peak figures be those of what comes now."""
    hand_back_memory()  # else what an earlier task freed would count as this one's
    with suppress(OSError):  # where /proc is read-only the figure is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def _of_container(file: str, key: str = "") -> int | None:
    """A number of this process's control group of the second version; None without one, or where it is "max"."""
    try:
        lines = (_CGROUP / file).read_text().splitlines()
        return next(int(line.removeprefix(key)) for line in lines if line.startswith(key))
    except (OSError, StopIteration, ValueError):
        return None


def hand_back_memory() -> None:
    """Hand all freed memory of the process back to the kernel: between works that take blocks of other sizes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the machine."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextmanager
def told_if_memory_runs_out(batch_size: int) -> Iterator[None]:
    """Turn running out of memory within the block into a UserError that names the batch size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            f"batch_size: {batch_size} patches at a time do not fit into the memory: set fewer in the run file and run "
            "again"
        ) from error
