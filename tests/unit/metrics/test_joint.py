from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.metrics.joint import BINS, JointCounts
from each_device import DEVICES

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """As `devices.choose` sets it: what a device cannot repeat raises."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(before)


def images(seed: int, samples: int = 5) -> list[np.ndarray]:
    """Denoised, noisy and target, with values beyond [0, 1]."""
    rng = np.random.default_rng(seed)
    target = rng.normal(0.5, 0.25, (samples, 1, 33, 20))
    return [(target + rng.normal(0, sigma, target.shape)).astype("f4") for sigma in (0.1, 0.4, 0.0)]


def counts_of(parts: list[np.ndarray], low: float, high: float, batch_size: int, device: str = "cpu") -> JointCounts:
    counts = JointCounts(low, high, torch.device(device))
    for start in range(0, len(parts[0]), batch_size):
        counts.add(*(torch.from_numpy(part[start : start + batch_size]).to(device) for part in parts))
    return counts


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.3, 1.1), (0.2, 0.7)])
def test_counts_are_numpys(low: float, high: float, batch_size: int, device: str) -> None:
    parts = images(1)
    found = counts_of(parts, low, high, batch_size, device)
    doubles = [part.astype("f8") for part in parts]
    denoised, noisy, target = (part.clip(low, high).ravel() for part in doubles)
    expected, edges, _ = np.histogram2d(denoised, target, bins=BINS, range=[[low, high], [low, high]])
    assert np.array_equal(found.joint(), expected)
    assert found.edges() == edges.tolist()
    for counts, values in ((found.denoised(), denoised), (found.target(), target), (found.noisy(), noisy)):
        assert np.array_equal(counts, np.histogram(values, BINS, (low, high))[0])
    residual = (doubles[1] - doubles[0]).clip(low - high, high - low)
    expected, edges = np.histogram(residual, BINS, (low - high, high - low))
    assert np.array_equal(found.residual(), expected)
    assert found.residual_edges() == edges.tolist()


@settings(deadline=None)
@given(st.integers(-3, 3), st.sampled_from([0.25, 1.0, 4.0]), st.integers(0, BINS))
def test_an_edge_belongs_to_the_bin_above_it_and_the_last_one_to_the_last_bin(low: int, span: float, edge: int) -> None:
    """Where the width of the range is a power of two nothing rounds."""
    counts = JointCounts(low, low + span, CPU)
    value = torch.tensor(counts.edges()[edge], dtype=torch.float64).view(1, 1, 1, 1)
    counts.add(value, value, value)
    last = min(edge, BINS - 1)
    assert counts.joint()[last][last] == counts.noisy()[last] == 1
    assert counts.residual()[BINS // 2] == 1


def test_what_lies_outside_goes_to_the_outer_bins() -> None:
    counts = JointCounts(0.0, 1.0, CPU)
    far = torch.tensor([-torch.inf, -0.1, 1.1, torch.inf]).view(1, 1, 2, 2)
    counts.add(far, far.flip(3), torch.zeros(1, 1, 2, 2))
    assert [sum(values) for values in (counts.denoised(), counts.noisy(), counts.target(), counts.residual())] == [
        4
    ] * 4
    assert (counts.denoised()[0], counts.denoised()[-1], counts.target()[0]) == (2, 2, 4)
    assert (counts.noisy()[0], counts.noisy()[-1]) == (2, 2)
    assert (counts.residual()[0], counts.residual()[-1]) == (2, 2)


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0.1, 5), st.floats(-10, 10))
def test_a_value_counts_between_the_edges_of_its_bin(low: float, span: float, value: float) -> None:
    counts = JointCounts(low, low + span, CPU)
    image = torch.full((1, 1, 1, 1), value, dtype=torch.float64)
    counts.add(image, image, image)
    place, edges = counts.noisy().index(1), counts.edges()
    assert place == 0 or edges[place] <= value + 1e-12
    assert place == BINS - 1 or value <= edges[place + 1] + 1e-12


def test_every_pixel_is_counted_once() -> None:
    parts = images(2)
    found = counts_of(parts, 0.0, 1.0, 2)
    pixels = parts[0].size
    assert np.sum(found.joint()) == sum(found.noisy()) == sum(found.residual()) == sum(found.target()) == pixels


def test_a_range_without_width_is_refused() -> None:
    for high in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="range from 1"):
            JointCounts(1.0, high, CPU)
