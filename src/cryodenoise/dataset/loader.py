"""Batches of a split on the device that computes, read ahead of their use in constant memory."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import torch

from cryodenoise.config.documents import SampleDtype
from cryodenoise.dataset.copies import Copies, laid_out
from cryodenoise.dataset.layout import Role
from cryodenoise.dataset.reader import SplitReader, aligned

READING_THREADS = 4
"""Reads in flight."""
Batch = tuple[torch.Tensor, ...]
_TASK_BYTES = 1 << 22
"""What a thread is given at a time, or one sample if that is longer: less would cost more to hand over."""
_MOST_BUFFERS = 32
_SERIAL_PIXELS = (1 << 15) - 64  # PyTorch converts so few without threads of its own
_TORCH_DTYPES: dict[SampleDtype, torch.dtype] = {"<f4": torch.float32, "<f2": torch.float16}


def buffers_within(read_ahead_mib: int, batch_bytes: int) -> int:
    """Batches that are in memory at a time, the one in use among them: as many as fit, but at least two."""
    return max(2, min(_MOST_BUFFERS, (read_ahead_mib << 20) // batch_bytes))


class Loader:
    """Reads the samples of coming batches, several at a time, checks them, and brings them to the device.

    They are read into a few buffers, which are all the memory that is taken, however long files and plan are. On the
    processor a batch is a view of its buffer. For a GPU the buffers are pinned, and a batch is copied while the one
    before is computed with.

    Reading, checksums and conversions leave Python's lock. So threads do, and no shared memory is needed, of which a
    container has 64 MB unless it is given more.

    Attributes:
        waited_s: Seconds in which a batch was asked for and not yet read, summed.
        read_bytes: Bytes that the batches handed out take in the files, summed.
    """

    def __init__(self, reader: SplitReader, device: torch.device, read_ahead_mib: int, largest_batch: int) -> None:
        """Take no memory yet: buffers and threads come and go with `batches`.

        Args:
            reader: What to read from; it stays open longer than the loader.
            device: Where batches go.
            read_ahead_mib: Memory of the buffers, in MiB; there are two at least.
            largest_batch: Most samples of a batch.
        """
        self._reader, self._device = reader, device
        self._dtype: SampleDtype = reader.dtype if _is_apart(device) else "<f4"
        self._shape = (largest_batch, *reader.sample_shape)
        pixels = len(reader.roles) * int(np.prod(self._shape))
        self._most_buffers = buffers_within(read_ahead_mib, pixels * np.dtype(self._dtype).itemsize)
        self._of_thread = threading.local()
        self._running: Generator[Batch, None, None] | None = None
        self.waited_s = 0.0
        self.read_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def batches(self, plan: Iterable[np.ndarray]) -> Iterator[Batch]:
        """Hand out batches in order, reading ahead; an earlier call that was not used up has ended.

        Args:
            plan: Indices of each batch, shape (n,); n may be 0.

        Yields:
            What the reader was opened for, each float32 on the device, shape (n, 1, h, w), channels last. It is valid
            until the next batch is asked for, which takes its memory.

        Raises:
            UserError: If a sample of the batch is not what was written, or cannot be read.
        """
        self._end()
        self._running = self._batches(iter(plan))
        return self._running

    def _end(self) -> None:
        if self._running:
            self._running.close()

    def _batches(self, plan: Iterator[np.ndarray]) -> Generator[Batch, None, None]:
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(READING_THREADS, "reader")
            stack.callback(pool.shutdown, cancel_futures=True)
            copies = None
            if _is_apart(self._device):
                copies = Copies(self._device, len(self._reader.roles), self._shape, _TORCH_DTYPES[self._dtype])
                stack.callback(copies.close)
            new = (self._buffer() for _ in range(self._most_buffers))
            free: deque[_Buffer] = deque()
            pending: deque[_Buffer] = deque()

            def read_ahead() -> None:
                while buffer := free.popleft() if free else next(new, None):
                    indices = next(plan, None)
                    if indices is None:
                        free.append(buffer)
                        return
                    self._begin(pool, buffer, indices)
                    pending.append(buffer)

            read_ahead()
            while pending:
                buffer = pending.popleft()
                self._wait_for(buffer)
                self.read_bytes += buffer.count * len(self._reader.roles) * self._reader.sample_bytes
                if copies is None:
                    yield tuple(laid_out(images) for images in buffer.batch)
                    free.append(buffer)
                    read_ahead()
                else:
                    if buffer.copied is None:
                        buffer.copied = copies.begin(buffer.batch)
                    batch = copies.take()
                    free.append(buffer)
                    read_ahead()
                    if pending and pending[0].is_read:
                        pending[0].copied = copies.begin(pending[0].batch)
                    yield batch

    def _buffer(self) -> "_Buffer":
        shape = (len(self._reader.roles), *self._shape)
        if self._device.type == "cuda":
            whole = torch.empty(shape, dtype=_TORCH_DTYPES[self._dtype], pin_memory=True)
        else:
            whole = torch.from_numpy(aligned(shape, self._dtype))
        return _Buffer(whole.unbind())

    def _begin(self, pool: ThreadPoolExecutor, buffer: "_Buffer", indices: np.ndarray) -> None:
        assert len(indices) <= self._shape[0], "more samples than the largest batch has"
        buffer.count = len(indices)
        copied, buffer.copied = buffer.copied, None
        step = max(1, _TASK_BYTES // self._reader.sample_bytes)
        buffer.reading = [
            pool.submit(self._read, role, indices[first : first + step], images[first : first + step], copied)
            for first in range(0, len(indices), step)
            for role, images in zip(self._reader.roles, buffer.images, strict=True)
        ]

    def _read(self, role: Role, indices: np.ndarray, images: torch.Tensor, copied: Any) -> None:
        if copied is not None:
            copied.synchronize()  # what was in the buffer before is on its way to the GPU
        for index, image in zip(indices.tolist(), images, strict=False):
            if self._dtype == self._reader.dtype:
                self._reader.read_into(role, index, image.numpy())
            else:
                stored = self._sample_of_thread()
                self._reader.read_into(role, index, stored)
                pieces = (pixels.view(-1).split(_SERIAL_PIXELS) for pixels in (image, torch.from_numpy(stored)))
                for piece, stored_piece in zip(*pieces, strict=True):
                    piece.copy_(stored_piece)

    def _sample_of_thread(self) -> np.ndarray:
        """Memory for one sample as it is stored, this thread's alone."""
        if not hasattr(self._of_thread, "sample"):
            self._of_thread.sample = aligned(self._reader.sample_shape, self._reader.dtype)
        sample: np.ndarray = self._of_thread.sample
        return sample

    def _wait_for(self, buffer: "_Buffer") -> None:
        started_s = time.monotonic()
        for read in buffer.reading:
            read.result()
        self.waited_s += time.monotonic() - started_s


class _Buffer:
    """Memory for one batch.

    Attributes:
        images: Of each role, shape (largest batch, h, w).
        count: Samples of the batch that it holds or will hold.
        reading: Reads of that batch.
        copied: The event that its copy to the GPU is done, once that was begun.
    """

    def __init__(self, images: tuple[torch.Tensor, ...]) -> None:
        self.images = images
        self.count = 0
        self.reading: list[Future[None]] = []
        self.copied: Any = None

    @property
    def batch(self) -> Batch:
        """The batch, each role of shape (n, h, w)."""
        return tuple(images[: self.count] for images in self.images)

    @property
    def is_read(self) -> bool:
        """Whether the batch is there, without a failure."""
        return all(read.done() and read.exception() is None for read in self.reading)


def _is_apart(device: torch.device) -> bool:
    """Whether the device has memory of its own, into which batches are copied."""
    return device.type != "cpu"
