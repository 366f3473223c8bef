"""One step of training: gradients of a batch, added up over micro-batches, and what the optimizer makes of them."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cryodenoise import devices
from cryodenoise.models.code_folder import faults_told

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Losses = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def computing(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Within the block convolutions compute in a precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, DTYPES[precision])


def compiled(module: nn.Module, batch_shape: tuple[int, int, int], device: torch.device, precision: str) -> nn.Module:
    """The network with its operations fused for micro-batches of so many samples, rows and columns.

    It shares the weights. Other sizes, such as that of an epoch's last batch, are compiled when they come.

    Raises:
        RuntimeError: If it cannot be compiled, for want of a compiler for one.
    """
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        with torch.random.fork_rng(), computing(device, precision):
            fused: nn.Module = torch.compile(module, dynamic=False)  # type: ignore[assignment]
            probe = devices.place(torch.zeros(batch_shape).unsqueeze(1), device)
            fused(probe).float().sum().backward()
    except Exception as error:  # compilers fail in many ways
        raise RuntimeError(" ".join(str(error).split())) from error
    finally:
        module.load_state_dict(before)  # running statistics
        module.zero_grad()
    return fused


class Step:
    """Gradients of batches for one network.

    Attributes:
        micro_batch_size: Samples computed at a time.
    """

    def __init__(
        self,
        module: nn.Module,
        losses: Losses,
        scaler: torch.amp.GradScaler,
        device: torch.device,
        precision: str,
        micro_batch_size: int,
        world: int,
        own: str | None = None,
    ) -> None:
        """Gather what a step needs; `own` is the name of a network of one's own, whose faults are told as such."""
        self.micro_batch_size = micro_batch_size
        self._module = module
        self._losses = losses
        self._scaler = scaler
        self._device = device
        self._precision = precision
        self._world = world
        self._own = own

    def gradients(self, inputs: torch.Tensor, targets: torch.Tensor, batch_size: int, seed: int) -> torch.Tensor:
        """Gradients of the mean of the objective over a batch, in the weights' `grad`, scaled by the loss scaling.

        Args:
            inputs: This process's share of the batch, shape (n, 1, h, w); n may be 0.
            targets: Likewise.
            batch_size: Samples in the batch, of all processes together.
            seed: Of random layers.

        Returns:
            Sum of the objective over the share, float64, on the device.
        """
        torch.manual_seed(seed)
        self._module.zero_grad()
        total = torch.zeros((), dtype=torch.float64, device=self._device)
        if len(inputs) == 0:  # the exchange of gradients waits for all processes
            with self._computing():
                # No constant image, since a network may divide by its standard deviation.
                ramp = torch.linspace(0, 1, math.prod(inputs.shape[1:]), device=self._device)
                nothing = self._module(ramp.view(1, *inputs.shape[1:])).sum() * 0.0
            self._scaler.scale(nothing).backward()
            return total
        size = self.micro_batch_size
        parts = list(zip(torch.split(inputs, size), torch.split(targets, size), strict=True))
        for number, (noisy, wanted) in enumerate(parts, 1):
            with self._exchanging(number == len(parts)):
                with self._computing():
                    denoised = self._module(noisy)
                loss = self._losses(denoised, wanted).sum()
                # Processes average their gradients.
                self._scaler.scale(loss * (self._world / batch_size)).backward()  # type: ignore[no-untyped-call]
                total += loss.detach()
        return total

    @contextmanager
    def _computing(self) -> Iterator[None]:
        own = faults_told(f"model: {self._own} failed in training") if self._own else nullcontext()
        with computing(self._device, self._precision), own:
            yield

    def _exchanging(self, last: bool) -> AbstractContextManager[object]:
        if last or not isinstance(self._module, DistributedDataParallel):
            return nullcontext()
        return self._module.no_sync()


def apply(
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    learning_rate: float,
    clip_norm: float | None,
) -> bool:
    """Change the weights by their gradients; whether they were changed: fp16 skips a step whose gradients overflow."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    if clip_norm is not None:
        scaler.unscale_(optimizer)
        weights = [value for group in optimizer.param_groups for value in group["params"]]
        torch.nn.utils.clip_grad_norm_(weights, clip_norm)
    scale = scaler.get_scale()
    scaler.step(optimizer)
    scaler.update()
    return not scaler.is_enabled() or scaler.get_scale() >= scale


@dataclass(frozen=True)
class Where:
    """A step, for a message."""

    epoch: int
    step: int
    samples: np.ndarray
    """Samples of the training split that this process computed."""


class LossWatch:
    """Finds the first loss that is no number, without making a GPU wait for the step under way."""

    def __init__(self) -> None:
        self._pending: tuple[torch.Tensor, torch.cuda.Event, Where] | None = None

    def see(self, loss: torch.Tensor, where: Where) -> Where | None:
        """Note the loss of a step, a scalar on the device; where one was no number: on a GPU, the step before."""
        if not loss.is_cuda:
            return None if math.isfinite(loss.item()) else where
        found = self.look()
        there = torch.empty((), dtype=loss.dtype, pin_memory=True)
        there.copy_(loss, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record()
        self._pending = (there, done, where)
        return found

    def look(self) -> Where | None:
        """Where the last loss that was noted was no number."""
        if self._pending is None:
            return None
        (loss, done, where), self._pending = self._pending, None
        done.synchronize()
        return None if math.isfinite(loss.item()) else where
