"""Batches of a split, read ahead of their use in constant memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np

from cryodenoise.dataset.reader import SplitReader

READING_THREADS = 2
"""Reading and checksums leave Python's lock, so threads overlap them with the computation and need no shared memory."""

Batch = tuple[np.ndarray, ...]


def stream(reader: SplitReader, batches: Iterable[np.ndarray], read_ahead: int) -> Iterator[Batch]:
    """Yield what the reader reads, each (n, 1, h, w) float32, for each batch of indices, in order.

    At most `read_ahead` batches are in memory beside the one in use.
    """
    with ExitStack() as stack:
        pool = ThreadPoolExecutor(READING_THREADS, "reader")
        stack.callback(pool.shutdown, cancel_futures=True)
        pending: deque[Future[Batch]] = deque()
        for indices in batches:
            pending.append(pool.submit(reader.read, indices))
            if len(pending) > read_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
