"""The bytes of all tensors that live at a time, counted operation by operation."""

import math
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums the bytes of the tensors that operations return, for as long as they live.

    What a single operation takes and gives back within itself is not among them. Within a FakeTensorMode operations
    are counted without being computed.

    Attributes:
        peak_bytes: The largest sum so far.
    """

    def __init__(self, most_bytes: float = math.inf) -> None:
        """Count.

        Args:
            most_bytes: Where to stop, by torch.OutOfMemoryError.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak_bytes = 0
        self._most_bytes, self._live_bytes = most_bytes, 0
        self._storages: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        returned = func(*args, **(kwargs or {}))
        for value in tree_leaves(returned):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return returned

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size_bytes = id(storage), storage.nbytes()
        if key in self._storages:
            return

        def forget(_: object) -> None:
            del self._storages[key]
            self._live_bytes -= size_bytes

        self._storages[key] = weakref.ref(storage, forget)
        self._live_bytes += size_bytes
        self.peak_bytes = max(self.peak_bytes, self._live_bytes)
        if self._live_bytes > self._most_bytes:
            raise torch.OutOfMemoryError(f"{self._live_bytes} bytes of tensors, {self._most_bytes:.0f} are allowed")
