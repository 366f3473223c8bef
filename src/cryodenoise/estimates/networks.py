"""How fast, and in how much memory, this machine trains and scores: the program's own steps on made-up patches."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch
from torch import nn

from cryodenoise import devices
from cryodenoise.config.run_files import TestParameters, TrainParameters
from cryodenoise.metrics.accumulate import AffineFit, ScoreSums
from cryodenoise.models import MODELS
from cryodenoise.training.checkpoints import predict
from cryodenoise.training.loop import OPTIMIZERS

_PIXELS_ON_PROCESSOR = 1 << 20
"""More would take seconds a step."""
_UNTIMED_STEPS = 2
_TIMED_S = 1.0


@dataclass(frozen=True)
class Cost:
    """What a network takes.

    Attributes:
        device: Name of the processor or GPU.
        patches_per_s: Patches over seconds, reading not included.
        host_bytes: Peak of the process's memory, scaled up to whole batches where fewer patches were tried.
        device_bytes: Peak on the GPU; None on the processor.
    """

    device: str
    patches_per_s: float
    host_bytes: int
    device_bytes: int | None


def cost_of_training(parameters: TrainParameters, side_px: int) -> Cost:
    """Forward, backward and the optimizer's step.

    Args:
        parameters: Network, optimizer, batch size and device.
        side_px: Side of the square patches.

    Raises:
        UserError: If the device is missing or a batch does not fit into its memory.
    """
    device = devices.choose(parameters.device)
    network = devices.place(MODELS[parameters.model](), device)
    optimizer = OPTIMIZERS[parameters.optimizer.name](network.parameters(), lr=parameters.optimizer.learning_rate)

    def step(images: torch.Tensor) -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(network(images), images).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return _cost(step, parameters.batch_size, parameters.read_ahead, side_px, device)


def cost_of_scoring(parameters: TestParameters, model: str, side_px: int, with_truth: bool) -> Cost:
    """Both passes over a patch: the fit of the affine map, then the network and the scores of it and its references.

    Args:
        parameters: Batch size and device.
        model: Name of the network.
        side_px: Side of the square patches.
        with_truth: Whether a truth is compared with, too.

    Raises:
        UserError: If the device is missing or a batch does not fit into its memory.
    """
    device = devices.choose(parameters.device)
    network = devices.place(MODELS[model](), device)

    def step(images: torch.Tensor) -> None:
        denoised = predict(network, images)
        for _ in range(1 + with_truth):
            AffineFit().add(images, images)
            sums = ScoreSums()
            for scored in (denoised, images, images.double()):
                sums.add(scored, images)

    return _cost(step, parameters.batch_size, parameters.read_ahead, side_px, device)


def _cost(
    step: Callable[[torch.Tensor], None], batch_size: int, read_ahead: int, side_px: int, device: torch.device
) -> Cost:
    """Do steps for about a second, after a few without the clock: whole batches on a GPU, less on the processor."""
    on_gpu = device.type == "cuda"
    count = batch_size if on_gpu else min(batch_size, max(1, _PIXELS_ON_PROCESSOR // side_px**2))
    before_bytes = psutil.Process().memory_info().rss
    with devices.told_if_memory_runs_out(batch_size):
        images = devices.place(torch.rand(count, 1, side_px, side_px), device)
        for _ in range(_UNTIMED_STEPS):
            step(images)
        devices.synchronize(device)
        started_s, elapsed_s, steps = time.perf_counter(), 0.0, 0
        while elapsed_s < _TIMED_S:
            step(images)
            devices.synchronize(device)
            elapsed_s, steps = time.perf_counter() - started_s, steps + 1
    grown_bytes = max(devices.peak_host_memory_bytes() - before_bytes, 0) * (1 if on_gpu else batch_size / count)
    waiting_bytes = (read_ahead + 1) * 2 * batch_size * side_px**2 * 4  # batches read ahead, inputs and targets
    host_bytes = before_bytes + round(grown_bytes) + waiting_bytes
    return Cost(
        devices.name_of(device), steps * count / elapsed_s, host_bytes, devices.peak_device_memory_bytes(device)
    )
