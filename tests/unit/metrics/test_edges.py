import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cryodenoise.metrics.edges import edge_preservation
from each_device import DEVICES


def pair(seed: int, samples: int = 5, height: int = 33, width: int = 47) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    target = torch.rand(samples, 1, height, width, generator=rng)
    return target + 0.2 * torch.randn(target.shape, generator=rng), target


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(4, 3), (16, 40), (65, 64)])
def test_the_index_is_the_correlation_of_scipys_laplacians(size: tuple[int, int], device: str) -> None:
    images, targets = pair(1, 3, *size)
    filtered = [
        [ndimage.laplace(one)[1:-1, 1:-1].ravel() for one in values.double().numpy()[:, 0]]
        for values in (images, targets)
    ]
    expected = [np.corrcoef(one, other)[0, 1] for one, other in zip(*filtered, strict=True)]
    assert edge_preservation(images.to(device), targets.to(device)).tolist() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_index_does_not_depend_on_the_batch_size(batch_size: int) -> None:
    images, targets = pair(2)
    cut = [
        value
        for start in range(0, len(images), batch_size)
        for value in edge_preservation(*(all_[start : start + batch_size] for all_ in (images, targets))).tolist()
    ]
    assert cut == pytest.approx(edge_preservation(images, targets).tolist(), rel=1e-12)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4), st.floats(0.1, 10), st.floats(-5, 5), st.floats(-5, 5))
def test_offset_scale_and_slope_leave_the_index_as_it_is(
    offset: float, scale: float, down: float, right: float
) -> None:
    """A plane has no Laplacian."""
    images, targets = (values.double() for values in pair(3, 2))
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in (33, 47))
    plane = down * rows[:, None] + right * columns + offset
    plain = edge_preservation(images, targets)
    assert torch.allclose(edge_preservation(scale * images + plane, targets), plain, rtol=0, atol=1e-8)
    assert torch.allclose(edge_preservation(-images, targets), -plain, rtol=0, atol=1e-12)


def test_the_target_keeps_all_its_edges_and_blur_loses_some() -> None:
    _, targets = pair(4)
    blurred = torch.from_numpy(ndimage.gaussian_filter(targets.numpy(), (0, 0, 1, 1)))
    assert edge_preservation(targets, targets).tolist() == pytest.approx([1.0] * 5, abs=1e-12)
    assert edge_preservation(blurred, targets).max() < 0.9


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6 / 3])
def test_a_constant_image_keeps_none(value: float) -> None:
    _, targets = pair(5)
    constant = torch.full_like(targets.double(), value)
    assert edge_preservation(constant, targets).tolist() == [0.0] * 5
    assert edge_preservation(targets, constant).tolist() == [0.0] * 5
