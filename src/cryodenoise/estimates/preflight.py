"""What a training will take, told before its first step."""

from pathlib import Path

import torch

from cryodenoise import devices
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError
from cryodenoise.estimates.networks import cost_of_training, seconds_of_training
from cryodenoise.estimates.rows import bytes_of_states
from cryodenoise.estimates.table import duration, gibibytes, size
from cryodenoise.files import free_bytes, require_space
from cryodenoise.models import Network, parameter_count
from cryodenoise.ranks import Rank
from cryodenoise.training.checkpoints import BEST_NAME, states
from cryodenoise.training.start import largest_share


def preflight(
    parameters: TrainParameters,
    network: Network,
    dataset: DatasetRecord,
    model_dir: Path,
    device: torch.device,
    place: Rank,
    trainings: int = 1,
) -> list[str]:
    """Memory, disk and time of a training, a line each; time rests on one step, and is that of all its epochs.

    Args:
        parameters: The run file.
        network: Its network.
        dataset: What is trained on.
        model_dir: Where states will be written; it is there.
        device: Where.
        place: How many processes train together, and how many of them on this machine.
        trainings: How many such trainings are to come, one after the other; disk and time are those of all.

    Raises:
        UserError: If not one patch fits into memory_limit_gib, the device has less memory than is needed, or states do
            not fit onto the disk.
    """
    states_bytes = trainings * bytes_of_states(parameters, parameter_count(network.build()))
    there = [path for path in (*states(model_dir), model_dir / BEST_NAME) if path.exists()]  # of a run that goes on
    require_space(model_dir, states_bytes - sum(path.stat().st_size for path in there))
    share = largest_share(parameters, dataset, place.world)
    cost = cost_of_training(
        parameters.model_copy(update={"batch_size": share}), network, dataset.sample_shape[0], device, quick=True
    )
    available_bytes, total_bytes = devices.available_memory_bytes(device), devices.total_memory_bytes(device)
    needed_bytes = place.local_world * cost.host_bytes if cost.device_bytes is None else cost.device_bytes
    if needed_bytes > total_bytes:
        raise UserError(
            f"memory_limit_gib: {parameters.memory_limit_gib:g}: {cost.micro_batch_size} patches at a time need about "
            f"{gibibytes(needed_bytes)}, and {gibibytes(total_bytes)} are all there is: lower it below that"
        )
    where = "GPU" if cost.device_bytes is not None else "memory"
    lines = [
        f"{where}: about {gibibytes(needed_bytes)} of memory_limit_gib {parameters.memory_limit_gib:g}, "
        f"{gibibytes(available_bytes)} free; micro-batches of {cost.micro_batch_size} patches, batches of "
        f"{parameters.batch_size}",
        f"disk: {size(states_bytes)} in {model_dir}, {size(free_bytes(model_dir))} free",
    ]
    if slow := devices.slow_precision(device, parameters.precision):
        lines.append(slow)
    if needed_bytes > available_bytes:
        lines.append(f"{where}: less is free than is needed: end other programs, or lower memory_limit_gib")
    training, validation = (dataset.splits[name].samples for name in ("train", "validation"))
    elapsed_s = trainings * seconds_of_training(cost, parameters.epochs, training, validation) / place.world
    rate = cost.patches_per_s * place.world
    of = f" for {trainings} trainings" * (trainings > 1)
    lines.append(f"time: about {duration(elapsed_s)}{of} at {rate:.3g} patches/s, reading left out")
    return lines
