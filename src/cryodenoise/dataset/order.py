"""The order in which an epoch visits its samples: a function of seed and epoch alone."""

from collections.abc import Iterator

import numpy as np

from cryodenoise import seeds


def shuffled(samples: int, seed: int, epoch: int) -> np.ndarray:
    """Indices 0 … samples − 1 in the order of one epoch, int64."""
    return seeds.permutation(samples, seed, "order", epoch)


def batches(order: np.ndarray, batch_size: int, first: int = 0) -> Iterator[np.ndarray]:
    """Cut an order into batches, from batch number `first` on; the last one may be smaller."""
    for start in range(first * batch_size, len(order), batch_size):
        yield order[start : start + batch_size]
