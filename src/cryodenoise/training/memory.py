"""How many samples a process can compute at a time within its memory limit."""

from collections.abc import Callable

import psutil
import torch

from cryodenoise import devices
from cryodenoise.config.training import TrainParameters
from cryodenoise.dataset.loader import buffers_within
from cryodenoise.errors import UserError
from cryodenoise.training.footprint import Work, compute, counted_bytes

TAKEN_PER_COUNTED = {"cpu": 1.75, "cuda": 1.1}
"""Memory that a process takes for each byte that its tensors count: on the processor because freed blocks lie between
those in use, as benchmarks/RESULTS.md tells; on a GPU an assumption, for rounded sizes and what cuDNN works in."""


def micro_batch(
    parameters: TrainParameters, sample_shape: tuple[int, int], batch_size: int, attempt: Callable[[int], None]
) -> int:
    """Samples at a time: what the run file says, else the fewest that need no more parts of a batch than the most do.

    Args:
        parameters: The run file.
        sample_shape: Rows and columns of a sample.
        batch_size: Samples of a batch that are this process's.
        attempt: As `largest_micro_batch` takes it.

    Raises:
        UserError: If not one sample fits, or less than the run file says.
    """
    wanted = min(parameters.micro_batch_size or batch_size, batch_size)
    fitting = largest_micro_batch(wanted, attempt, parameters.memory_limit_gib, sample_shape)
    if parameters.micro_batch_size and fitting < wanted:
        raise UserError(
            f"micro_batch_size: {parameters.micro_batch_size}: only {fitting} patches at a time fit into the "
            f"{parameters.memory_limit_gib:g} GiB of memory_limit_gib: lower the one or raise the other"
        )
    if parameters.micro_batch_size:
        return fitting
    parts = -(-batch_size // fitting)
    return -(-batch_size // parts)


def largest_micro_batch(
    batch_size: int, attempt: Callable[[int], None], memory_limit_gib: float, sample_shape: tuple[int, int]
) -> int:
    """The most samples that fit into the memory at a time, `batch_size` at most.

    Args:
        batch_size: Tried first.
        attempt: Computes so many samples forward and backward, or counts what that takes; raises torch.OutOfMemoryError
            if it does not fit. Where some samples fit, fewer do.
        memory_limit_gib: The limit, for the message.
        sample_shape: Rows and columns of a sample, likewise.

    Raises:
        UserError: If not even one sample fits.
    """
    fitting, failing, trying = 0, batch_size + 1, batch_size
    while fitting + 1 < failing:
        try:
            attempt(trying)
            fitting = trying
        except torch.OutOfMemoryError:
            failing = trying
        trying = (fitting + failing) // 2
    if fitting:
        return fitting
    height, width = sample_shape
    raise UserError(
        f"memory_limit_gib: {memory_limit_gib:g}: not even one patch of {height} × {width} fits with this network: "
        "make smaller patches, raise the limit, take a smaller network, or set `precision: bf16`"
    )


def held_bytes(
    parameters: TrainParameters, sample_shape: tuple[int, int], batch_size: int, device: torch.device
) -> int:
    """What batches take on the device, the one in use and those read or copied ahead of it: inputs and targets.

    Args:
        parameters: The run file.
        sample_shape: Rows and columns of a sample.
        batch_size: Samples of a batch that are this process's.
        device: Where training computes; on a GPU the next batch arrives while one is in use.
    """
    batch_bytes = 2 * batch_size * sample_shape[0] * sample_shape[1] * 4
    return batch_bytes * (2 if device.type == "cuda" else buffers_within(parameters.read_ahead_mib, batch_bytes))


def needed_bytes(work: Work, samples: int, device: torch.device, held_bytes: int) -> int:
    """Memory of the device that this process will take, by counting.

    Args:
        work: The network is on any device.
        samples: Computed at a time.
        device: Where training computes; beside tensors it takes a GPU's context, or what the process takes now.
        held_bytes: What else it will hold there.
    """
    beside_bytes = devices.RESERVE_BYTES if device.type == "cuda" else psutil.Process().memory_info().rss
    return beside_bytes + round(TAKEN_PER_COUNTED[device.type] * counted_bytes(work, samples)) + held_bytes


def trial(work: Work, device: torch.device, most_bytes: int, held_bytes: int = 0) -> Callable[[int], None]:
    """An attempt for `largest_micro_batch`: computed on a GPU, whose allocator is capped; counted on the processor.

    Args:
        work: The network is on the device.
        device: Where training computes.
        most_bytes: What tensors may take, as `devices.cap_memory` tells.
        held_bytes: What else the process will hold there, such as batches read ahead.
    """
    if device.type != "cuda":
        return counting(work, device, most_bytes, held_bytes)

    def attempt(samples: int) -> None:
        fits = _computes(work, samples, device, held_bytes)
        torch.cuda.empty_cache()  # blocks of one attempt's sizes could be in the way of the next
        if not fits:
            raise torch.OutOfMemoryError(f"{samples} samples do not fit")

    return attempt


def counting(work: Work, device: torch.device, most_bytes: int, held_bytes: int = 0) -> Callable[[int], None]:
    """An attempt for `largest_micro_batch` that counts, also for a device that is not there: the same on every machine.

    Args:
        work: The network is on any device.
        device: Where training would compute.
        most_bytes: What tensors may take there.
        held_bytes: What else the process would hold there.
    """
    left_bytes = (most_bytes - held_bytes) / TAKEN_PER_COUNTED[device.type]

    def attempt(samples: int) -> None:
        counted_bytes(work, samples, left_bytes)

    return attempt


def _computes(work: Work, samples: int, device: torch.device, held_bytes: int) -> bool:
    """Whether memory suffices; what was allocated is free again, since no exception that knows of it is left."""
    try:
        held = torch.empty(held_bytes, dtype=torch.uint8, device=device)
        compute(work, samples, device)
        del held
    except torch.OutOfMemoryError:
        return False
    return True
