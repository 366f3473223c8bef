"""The device that computes: chosen, named, made repeatable, and asked for its memory."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from cryodenoise.environment import processor_name
from cryodenoise.errors import UserError

T = TypeVar("T", torch.Tensor, nn.Module)


def choose(name: str) -> torch.device:
    """The device that a run file asks for; sets PyTorch to full float32 and repeatable results.

    The peak memory figures start anew.

    Args:
        name: `auto`, `cpu` or `cuda`.

    Raises:
        UserError: If a GPU is asked for and none can be used.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found 'cuda', but PyTorch sees no GPU: use `device: auto`, or see `cryodenoise info`")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")
    _start_memory_figures_anew(device)
    return device


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


def peak_host_memory_bytes() -> int:
    """Largest resident memory that this process has had since `choose`.

    Linux keeps it as VmHWM, which can be started anew; getrusage's figure also counts what the process was before exec.
    """
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def peak_device_memory_bytes(device: torch.device) -> int | None:
    """Largest memory that PyTorch's allocator has reserved on a GPU since `choose`; None on the processor."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def _start_memory_figures_anew(device: torch.device) -> None:
    with suppress(OSError):  # where /proc is read-only the figure is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


@contextmanager
def told_if_memory_runs_out(batch_size: int) -> Iterator[None]:
    """Turn running out of memory within the block into a UserError that names the batch size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
            raise
        raise UserError(
            f"batch_size: {batch_size} patches at a time do not fit into the memory: set fewer in the run file and run "
            "again"
        ) from error
