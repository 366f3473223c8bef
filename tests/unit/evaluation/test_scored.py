"""Images of which nothing could be reported are refused."""

import pytest
import torch

from cryodenoise.errors import UserError
from cryodenoise.evaluation.scored import finite


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    denoise = finite(lambda noisy: noisy.masked_fill(noisy > 1, value), "mine:build", "test patches")
    assert torch.equal(denoise(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))
    with pytest.raises(UserError, match="mine:build: it makes values of test patches that are not finite"):
        denoise(torch.full((1, 1, 2, 2), 2.0))
