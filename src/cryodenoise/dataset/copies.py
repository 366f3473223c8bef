"""Batches on their way to a GPU, copied on a stream of their own while it computes."""

from collections.abc import Sequence
from typing import Any

import torch


def laid_out(images: torch.Tensor) -> torch.Tensor:
    """Images of shape (n, h, w) as (n, 1, h, w), channels last: the same memory under other strides."""
    return images.unsqueeze(-1).permute(0, 3, 1, 2)


class Copies:
    """Two places on the device: the computation has the one while the other is filled.

    Both are float32. Images of another type travel as they are and are converted on the device. A batch is valid until
    the next is taken: what was launched before then still gets it whole, since streams wait for one another's events;
    the processor waits for none. Where the device is the processor, streams do nothing and copies are made at once.
    """

    def __init__(self, device: torch.device, roles: int, shape: tuple[int, int, int], stored: torch.dtype) -> None:
        """Allocate the places.

        Args:
            device: Where they are.
            roles: Images of a sample.
            shape: Most samples of a batch, rows, columns.
            stored: Type of the images that come.
        """
        self._device, self._backend = device, torch.get_device_module(device)
        self._stream = self._backend.Stream(device)
        self._places = [
            [torch.empty(shape, dtype=torch.float32, device=device) for _ in range(roles)] for _ in range(2)
        ]
        self._staged = None
        if stored != torch.float32:
            self._staged = [torch.empty(shape, dtype=stored, device=device) for _ in range(roles)]
        self._free = [self._after(self._backend.current_stream(device)) for _ in range(2)]
        self._begun: tuple[int, Any] | None = None
        self._taken = 1

    def begin(self, batch: Sequence[torch.Tensor]) -> Any:
        """Begin to copy a batch, once the one that was begun before is taken.

        Args:
            batch: Images of each role, shape (n, h, w), in pinned memory where the device is a GPU.

        Returns:
            The event after which the memory of `batch` may be written again.
        """
        assert self._begun is None, "the batch before was not taken"
        place = 1 - self._taken
        count = len(batch[0])
        with self._backend.stream(self._stream):
            self._stream.wait_event(self._free[place])
            for role, images in enumerate(batch):
                arriving = images
                if self._staged:
                    arriving = self._staged[role][:count].copy_(images, non_blocking=True)
                self._places[place][role][:count].copy_(arriving, non_blocking=True)
            copied = self._after(self._stream)
        self._begun = count, copied
        return copied

    def take(self) -> tuple[torch.Tensor, ...]:
        """The batch that was begun, each role (n, 1, h, w); the one taken before is given back."""
        assert self._begun is not None, "no batch was begun"
        (count, copied), self._begun = self._begun, None
        computing = self._backend.current_stream(self._device)
        computing.wait_event(copied)
        self._free[self._taken] = self._after(computing)
        self._taken = 1 - self._taken
        return tuple(laid_out(images[:count]) for images in self._places[self._taken])

    def close(self) -> None:
        """Let what is computed from now on wait for copies under way, so that it may get their memory."""
        self._backend.current_stream(self._device).wait_stream(self._stream)

    def _after(self, stream: Any) -> Any:
        """An event once the stream has done what it was given so far; whoever waits for it sleeps."""
        event = self._backend.Event(**({"blocking": True} if self._device.type == "cuda" else {}))
        event.record(stream)
        return event
