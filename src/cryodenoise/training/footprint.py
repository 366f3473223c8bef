"""What a micro-batch takes in tensors, counted operation by operation."""

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from cryodenoise import devices
from cryodenoise.models.live_bytes import LiveBytes

PASSES = 2
"""Micro-batches that are computed: the second adds to the gradients of the first."""
_MOMENTS = 2  # that an optimizer keeps of each weight, at most
_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Work:
    """What is computed of each micro-batch.

    Attributes:
        network: In training mode, not compiled; nothing here changes its weights, gradients and statistics.
        losses: Denoised images and targets, each (n, 1, h, w), to a loss a sample, (n,).
        sample_shape: Rows and columns of a sample.
        precision: `fp32`, `bf16` or `fp16`.
    """

    network: nn.Module
    losses: Callable[[Tensor, Tensor], Tensor]
    sample_shape: tuple[int, int]
    precision: str


def counted_bytes(work: Work, samples: int, most_bytes: float = math.inf) -> int:
    """The largest sum of all tensors' bytes while samples are computed forward and backward.

    Weights, gradients, two moments of the optimizer, inputs and targets are among them; what a single operation takes
    and gives back within itself is not. Operations are followed without being computed. A network that cannot be
    followed so, since it looks at values, computes its samples on the processor.

    Args:
        work: The network is on any device.
        samples: Samples at a time.
        most_bytes: Where to stop.

    Raises:
        torch.OutOfMemoryError: If there would be more than `most_bytes`.
    """
    try:
        return _counted_bytes(work, samples, most_bytes, FakeTensorMode(allow_non_fake_inputs=True))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # noqa: BLE001  whatever a network of one's own does; if it is wrong, computing it tells
        return _counted_bytes(work, samples, most_bytes, nullcontext())


def _counted_bytes(work: Work, samples: int, most_bytes: float, mode: AbstractContextManager[Any]) -> int:
    with mode, LiveBytes(most_bytes) as count:
        compute(work, samples, torch.device("cpu"))
    peak_bytes: int = count.peak_bytes
    return peak_bytes


def compute(work: Work, samples: int, device: torch.device) -> None:
    """Forward and backward, `PASSES` times, with zeros for images and copies of weights and statistics.

    Random numbers go on as if nothing had been computed.
    """

    def copied(values: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        return {name: value.clone().detach().to(device) for name, value in values}

    dtype = _AUTOCAST[work.precision]
    with torch.random.fork_rng(devices=[_index(device)] if device.type == "cuda" else []):
        weights, statistics = copied(work.network.named_parameters()), copied(work.network.named_buffers())
        moments = [torch.zeros_like(value) for value in weights.values() for _ in range(_MOMENTS)]
        for name, value in work.network.named_parameters():
            weights[name].requires_grad_(value.requires_grad)
        images = devices.place(torch.zeros(samples, 1, *work.sample_shape, device=device), device)
        targets = torch.zeros_like(images)
        for _ in range(PASSES):
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                denoised = functional_call(work.network, weights | statistics, (images,))
            loss = work.losses(denoised, targets).sum()
            del denoised
            loss.backward()  # type: ignore[no-untyped-call]
            del loss
        del moments


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
