"""The processes that train together: what they agree on, by torch.distributed; one process agrees with itself.

`torchrun` starts them and tells each its place. Tensors of a GPU travel by NCCL, all else by gloo.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cryodenoise.errors import UserError
from cryodenoise.interruption import ended_by_signals
from cryodenoise.ranks import Rank

_PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others: to start, and in each exchange."""


@dataclass(frozen=True)
class Group:
    """One of the processes that train together.

    Attributes:
        rank: Its number; 0 writes all files and speaks for all.
        world: How many there are.
        device: Where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether it writes and speaks."""
        return self.rank == 0

    def distributed(self, network: nn.Module) -> nn.Module:
        """The network, so that gradients become the mean over all processes with each backward pass."""
        if self.world == 1:
            return network
        indices = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=indices)

    def highest(self, *values: int) -> list[int]:
        """The highest of each value over all processes."""
        return [round(value) for value in self._reduced(values, dist.ReduceOp.MAX)]

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Sum of float64 arrays over all processes; exact where all but one hold zero."""
        return np.array(self._reduced(values, dist.ReduceOp.SUM)).reshape(values.shape)

    def told_by_first(self, value: Any) -> Any:
        """What the first process gives here, in all of them."""
        box = [value]
        if self.world > 1:
            with told_if_another_ends(), nullcontext() if self.first else ended_by_signals():
                dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def average_buffers(self, network: nn.Module) -> None:
        """Give all processes the mean of their running statistics."""
        if self.world > 1:
            with told_if_another_ends():
                for buffer in network.buffers():
                    if buffer.is_floating_point():
                        dist.all_reduce(buffer)
                        buffer /= self.world

    def _reduced(self, values: Any, operation: Any) -> list[float]:
        tensor = torch.as_tensor(np.array(values, dtype=np.float64).ravel())
        if self.world > 1:
            with told_if_another_ends():
                dist.all_reduce(tensor, operation)
        return tensor.tolist()


@contextmanager
def joined(place: Rank, device: torch.device) -> Iterator[Group]:
    """Meet the other processes; within the block, their end becomes a UserError.

    Raises:
        UserError: If they cannot be met.
    """
    if place.world == 1:
        yield Group(0, 1, device)
        return
    backend = "gloo"
    if device.type == "cuda":
        backend = "cpu:gloo,cuda:nccl"
        if place.local_world > (gpus := torch.cuda.device_count()):
            raise UserError(
                f"environment: {place.local_world} processes on a machine of {gpus} GPUs: start one for each at most"
            )
    try:
        with ended_by_signals():  # while nothing can be lost
            dist.init_process_group(backend, timeout=_PATIENCE, rank=place.rank, world_size=place.world)
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"environment: {place.world} processes cannot meet ({' '.join(str(error).split())}): start them with "
            "torchrun, or set MASTER_ADDR and MASTER_PORT in the job script"
        ) from error
    try:
        with told_if_another_ends():
            yield Group(place.rank, place.world, device)
    finally:
        dist.destroy_process_group()


_SIGNS_OF_AN_END = (
    "closed by peer", "Connection reset", "Broken pipe", "Timed out waiting", "communicator was aborted",
)  # fmt: skip


@contextmanager
def told_if_another_ends() -> Iterator[None]:
    """Turn a failing exchange into a UserError: another process is gone, and has said why."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or any(sign in str(error) for sign in _SIGNS_OF_AN_END)):
            raise
        raise UserError(
            f"another process of this run has ended or cannot be reached ({' '.join(str(error).split())[:200]}): see "
            "what the others say, and run all of them again to go on"
        ) from error
