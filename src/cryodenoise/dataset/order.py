"""The order in which an epoch visits its samples: a function of seed and epoch alone, whoever shares the work."""

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


def share(batch: np.ndarray, rank: int, world: int) -> np.ndarray:
    """One process's part of a batch: consecutive samples, as many for each process as for the others or one more.

    Args:
        batch: Indices of the batch of all processes together, shape (n,).
        rank: The process, 0 … world − 1.
        world: How many processes share the batch.

    Returns:
        Its indices, which are none where there are more processes than samples. Before them come those of lower ranks.
    """
    return np.array_split(batch, world)[rank]
