"""The device that computes: chosen, named, made repeatable, and asked for its memory."""

import os
import resource
from typing import TypeVar

import torch
from torch import nn

from cryodenoise.environment import processor_name
from cryodenoise.errors import UserError

T = TypeVar("T", torch.Tensor, nn.Module)


def choose(name: str) -> torch.device:
    """The device that a run file asks for; sets PyTorch to full float32 and repeatable results.

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
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


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
    """Largest resident memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peak_device_memory_bytes(device: torch.device) -> int | None:
    """Largest memory that PyTorch's allocator has reserved on a GPU; None on the processor."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None
