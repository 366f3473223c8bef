"""The error on the validation split, whose micrographs training never sees."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from cryodenoise.dataset.loader import Loader
from cryodenoise.dataset.order import batches, share
from cryodenoise.training.checkpoints import predict
from cryodenoise.training.processes import Group
from cryodenoise.training.step import computing


def validate(
    module: nn.Module,
    loader: Loader,
    samples: int,
    batch_size: int,
    precision: str,
    group: Group,
    advance: Callable[[int], None],
) -> tuple[float, float]:
    """Mean squared errors of the network's output and of the noisy inputs.

    Each process computes its share of the samples; sums are over all samples in their order, so they are the same for
    any number of processes.

    Args:
        module: The network.
        loader: Reads the split.
        samples: How many it holds.
        batch_size: Samples computed at a time.
        precision: In which convolutions compute.
        group: The processes.
        advance: Is told how many samples are done; may raise to stop.
    """
    errors = np.zeros((2, samples))
    plan = list(batches(share(np.arange(samples), group.rank, group.world), batch_size))
    # All take part in as many batches as the first, which has the largest share: so they can agree to stop.
    most = len(list(batches(share(np.arange(samples), 0, group.world), batch_size)))
    plan += [np.array([], np.int64)] * (most - len(plan))
    for indices, (inputs, targets) in zip(plan, loader.batches(plan), strict=True):
        if len(indices):
            errors[1, indices] = _squared(inputs, targets)  # first: code of one's own may work in place
            with computing(group.device, precision):
                denoised = predict(module, inputs)
            errors[0, indices] = _squared(denoised, targets)
        advance(len(indices))
    of_network, of_inputs = group.summed(errors)
    return math.fsum(of_network) / samples, math.fsum(of_inputs) / samples


def _squared(images: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Mean squared difference of each sample, float64."""
    means: np.ndarray = (images.double() - targets).square().mean(dim=(1, 2, 3)).cpu().numpy()
    return means
