"""How fast, and in how much memory, this machine trains and scores: the program's own steps on made-up patches."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import torch

from cryodenoise import devices
from cryodenoise.baselines import Known
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.dataset.loader import buffers_within
from cryodenoise.evaluation import references
from cryodenoise.evaluation.comparison import DENOISED, NOISY, Comparison
from cryodenoise.metrics.spectral import spectra
from cryodenoise.models import Network
from cryodenoise.training import objectives
from cryodenoise.training.checkpoints import predict
from cryodenoise.training.footprint import PASSES, Work, compute
from cryodenoise.training.memory import counting, held_bytes, micro_batch, needed_bytes

_PIXELS_ON_PROCESSOR, _PIXELS_ON_GPU = 1 << 20, 1 << 22
"""More would take seconds a step, or would not be faster."""
_UNTIMED_STEPS = 2
_TIMED_S = 1.0


@dataclass(frozen=True)
class Cost:
    """What a network takes.

    Attributes:
        device: Name of the processor or GPU.
        patches_per_s: Patches over seconds, reading not included.
        host_bytes: Peak of the process's memory.
        device_bytes: Peak on the GPU; None on the processor.
        micro_batch_size: Patches that are computed at a time.
    """

    device: str
    patches_per_s: float
    host_bytes: int
    device_bytes: int | None
    micro_batch_size: int


def seconds_of_training(cost: Cost, epochs: int, training: int, validation: int) -> float:
    """What a training computes, by one process.

    Of each patch forward and backward, which takes twice as long; of one for validation forward alone.

    Args:
        cost: As `cost_of_training` tells it.
        epochs: How often all patches are visited.
        training: Patches.
        validation: Likewise.
    """
    return epochs * (training + validation / 3) / cost.patches_per_s


def cost_of_training(
    parameters: TrainParameters, network: Network, side_px: int, device: torch.device, quick: bool = False
) -> Cost:
    """Forward and backward, in the largest micro-batch that `memory_limit_gib` allows.

    Args:
        parameters: The run file.
        network: What is trained.
        side_px: Side of the square patches.
        device: Where.
        quick: Whether the gradients of the second step count as they are: milliseconds instead of seconds, and a
            rougher figure.

    Raises:
        UserError: If the memory does not hold a patch, or the micro-batch that the run file asks for.
    """
    with torch.random.fork_rng():
        module = devices.place(network.build(), device)
    batch_size, shape = parameters.batch_size, (side_px, side_px)
    work = Work(module, objectives.losses(parameters.objective), shape, parameters.precision)
    held = held_bytes(parameters, shape, batch_size, device)
    most_bytes = devices.tensor_bytes(device, parameters.memory_limit_gib)
    micro = micro_batch(parameters, shape, batch_size, counting(work, device, most_bytes, held))
    needed = needed_bytes(work, micro, device, held)
    tried = min(micro, max(1, (_PIXELS_ON_GPU if device.type == "cuda" else _PIXELS_ON_PROCESSOR) // side_px**2))
    with devices.told_if_memory_runs_out(tried):
        rate = tried * PASSES * _steps_per_s(lambda: compute(work, tried, device), device, quick)
    if device.type != "cuda":
        return Cost(devices.name_of(device), rate, needed, None, micro)
    waiting = held_bytes(parameters, shape, batch_size, torch.device("cpu"))
    return Cost(devices.name_of(device), rate, psutil.Process().memory_info().rss + waiting, needed, micro)


@torch.no_grad()
def cost_of_scoring(parameters: TestParameters, network: Network, side_px: int, with_truth: bool) -> Cost:
    """Both passes over a patch: fitting what is fitted to the split, then the network, filters, and all their scores.

    Args:
        parameters: Batch size and device.
        network: What is scored.
        side_px: Side of the square patches.
        with_truth: Whether a truth is compared with, too.

    Raises:
        UserError: If the device is missing or a batch does not fit into its memory.
    """
    device = devices.choose(parameters.device)
    module = devices.place(network.build(), device)

    def made_up() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        with torch.random.fork_rng(devices=[]):
            noisy, target = (devices.place(torch.rand(1, 1, side_px, side_px), device) for _ in range(2))
        yield noisy, target

    filters = references.fitted(references.chosen(False), Known(made_up, made_up, None), lambda _: None)
    comparison = Comparison(1, (side_px, side_px), device)
    ((noisy, target),) = made_up()
    comparison.fit(noisy, target)
    comparison.end_fit()

    def step(images: torch.Tensor) -> None:
        denoised = predict(module, images)
        for _ in range(1 + with_truth):
            comparison.fit(images, images)
        for number in range(len(images)):
            one = slice(number, number + 1)
            shown = {DENOISED: denoised[one], NOISY: images[one]}
            transforms = {name: spectra(image) for name, image in shown.items()}
            shown |= {name: fit.denoise(images[one]) for name, fit in filters.items()}
            for _ in range(1 + with_truth):
                comparison.add(0, shown, images[one], transforms)

    batch_size, on_gpu = parameters.batch_size, device.type == "cuda"
    tried = batch_size if on_gpu else min(batch_size, max(1, _PIXELS_ON_PROCESSOR // side_px**2))
    before_bytes = psutil.Process().memory_info().rss
    with devices.told_if_memory_runs_out(batch_size):
        images = devices.place(torch.rand(tried, 1, side_px, side_px), device)
        rate = tried * _steps_per_s(lambda: step(images), device)
    grown_bytes = max(devices.peak_host_memory_bytes() - before_bytes, 0) * (1 if on_gpu else batch_size / tried)
    batch_bytes = 2 * batch_size * side_px**2 * 4  # inputs and targets
    waiting_bytes = buffers_within(parameters.read_ahead_mib, batch_bytes) * batch_bytes
    host_bytes = before_bytes + round(grown_bytes) + waiting_bytes
    return Cost(devices.name_of(device), rate, host_bytes, devices.peak_device_memory_bytes(device), batch_size)


def _steps_per_s(step: Callable[[], None], device: torch.device, quick: bool = False) -> float:
    """Do steps for about a second, after a few without the clock.

    Of a network that takes seconds a step, the last within about ten seconds counts. A quick look does two steps, and
    the second counts.
    """
    least_steps, untimed_steps = (2, 1) if quick else (1, _UNTIMED_STEPS)
    timed_s, most_s = (0.0, 0.0) if quick else (_TIMED_S, 10 * _TIMED_S)
    steps_s: list[float] = []
    while len(steps_s) < least_steps or (sum(steps_s[untimed_steps:]) < timed_s and sum(steps_s) < most_s):
        started_s = time.perf_counter()
        step()
        devices.synchronize(device)
        steps_s.append(time.perf_counter() - started_s)
    timed = steps_s[untimed_steps:] or steps_s[-1:]
    return len(timed) / sum(timed)
