"""A function of one variable, linear between points."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Curve:
    """Straight lines from point to point, constant before the first and beyond the last.

    Attributes:
        inputs: Where the points are, float64 of shape (m,), rising, m at least 1.
        outputs: Its values there, float64 of shape (m,).
    """

    inputs: torch.Tensor
    outputs: torch.Tensor

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Its values, computed in float64; shape, float type and device are those of what is given."""
        inputs, outputs = self.inputs.to(values.device), self.outputs.to(values.device)
        slopes = torch.cat((outputs.diff() / inputs.diff(), outputs.new_zeros(1)))
        within = values.double().clamp(inputs[0], inputs[-1])
        before = torch.searchsorted(inputs, within.contiguous(), right=True) - 1
        return (outputs[before] + slopes[before] * (within - inputs[before])).to(values.dtype)
