"""A moving average of the weights, which is often better than the last of them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class AveragedWeights:
    """An exponential moving average of a network's weights, under the names of its state.

    Weights are averaged, buffers copied: running statistics of a batch normalisation are averages over steps already,
    and counters are whole numbers. The decay follows from the number of the step, so the averages are all that a
    checkpoint has to carry: `tensors` and `load`.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Begin with the network's weights; `decay` in (0, 1) is that of the later steps."""
        self._decay = decay
        self._tensors = _copied(network.state_dict())
        # A weight that has two names in the state has two averages, which stay equal.
        named = network.named_parameters(remove_duplicate=False)
        self._weights = {name for name, value in named if value.is_floating_point()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after a step of the optimizer: average ← average + (1 − d) · (weights − average).

        d = min(decay, (1 + k) / (10 + k)) at step k: the first averages forget the initial weights soon, however slow
        the decay (the rule of TensorFlow's ExponentialMovingAverage). Weights that do not change stay as they are, bit
        for bit.

        Args:
            network: Holds the weights.
            step: Steps before this one since the start of the run.
        """
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if name in self._weights:
                self._tensors[name].lerp_(value, 1 - decay)
            else:
                self._tensors[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of the averages, as a network's state."""
        return _copied(self._tensors)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        _copy_into(self._tensors, tensors)


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _copy_into(tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Write values into tensors of the same names, in place, whatever device or layout either has."""
    assert tensors.keys() == values.keys()
    for name, tensor in tensors.items():
        assert tensor.shape == values[name].shape
        tensor.copy_(values[name])
