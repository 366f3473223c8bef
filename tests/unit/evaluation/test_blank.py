import math

import numpy as np
import pytest
import torch

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.scores import BlankProbe
from cryodenoise.evaluation import blank

CPU, SHAPE = torch.device("cpu"), (96, 96)
WHITE = [0.01] * 48
FREE = (-math.inf, math.inf)


def probed(
    denoise: Denoise, baselines: dict[str, Denoise] | None = None, power: list[float] = WHITE, **keys: object
) -> BlankProbe:
    given = {"mean": 0.5, "bounds": FREE, "shape": SHAPE, "seed": 1, "device": CPU, **keys}
    return blank.probe(denoise, baselines or {}, noise_power=power, **given)  # type: ignore[arg-type]


def box(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(images, 5, 1, 2)


def planting(images: torch.Tensor) -> torch.Tensor:
    """A particle where there is none."""
    planted = box(images)
    planted[..., 40:56, 40:56] += 0.2
    return planted


def test_noise_that_passes_keeps_its_energy_and_nothing_in_common() -> None:
    found = probed(lambda images: images)
    assert found.noise_power == pytest.approx(0.01, rel=0.05)
    assert found.energy == pytest.approx(1.0)
    assert abs(found.correlation) < 5 * found.correlation_error
    assert found.correlation_error == pytest.approx(1 / math.sqrt(72 * 72 * blank.IMAGES), rel=0.15)


def test_a_filter_leaves_what_it_lets_through() -> None:
    found = probed(box, {"box": box, "all": lambda images: images})
    assert found.energy == pytest.approx(1 / 25, rel=0.2)
    assert found.energy_of_baselines == {"box": pytest.approx(found.energy), "all": pytest.approx(1.0)}
    assert abs(found.correlation) < 5 * found.correlation_error


def test_what_is_planted_is_found_in_both() -> None:
    found = probed(planting)
    assert found.correlation > 0.5 > 5 * found.correlation_error
    assert max(found.frc[:5]) > 0.5


def test_structure_made_of_noise_has_more_energy_than_the_noise() -> None:
    found = probed(lambda images: 0.5 + 3 * (images - 0.5))
    assert found.energy == pytest.approx(9.0)


def test_a_constant_has_neither() -> None:
    found = probed(torch.zeros_like)
    assert (found.energy, found.correlation) == (0.0, 0.0)


def test_the_noise_has_the_power_of_each_ring() -> None:
    seen: list[torch.Tensor] = []

    def look(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return images

    power = [0.02 if ring <= 10 else 0.001 for ring in range(1, 49)]
    probed(look, power=power)
    spectrum = np.abs(np.fft.fft2(torch.cat(seen)[:, 0].double().numpy() - 0.5)) ** 2 / (96 * 96)
    ring = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(96), np.fft.fftfreq(96))) * 96)
    assert spectrum[:, (ring >= 2) & (ring <= 9)].mean() == pytest.approx(0.02, rel=0.1)
    assert spectrum[:, (ring >= 13) & (ring <= 47)].mean() == pytest.approx(0.001, rel=0.1)


def test_inputs_are_clipped_where_those_of_the_data_are() -> None:
    def within(images: torch.Tensor) -> torch.Tensor:
        assert images.amin() >= 0
        assert images.amax() <= 1
        return images

    assert probed(within, mean=0.95, bounds=(0.0, 1.0)).noise_power < 0.008


def test_a_constant_in_double_precision_has_nothing_in_common_either() -> None:
    """The mean of equal values may differ from them by a rounding: that is no structure."""
    found = probed(lambda images: torch.full_like(images, 0.1, dtype=torch.float64), shape=(90, 96))
    assert found.correlation == 0.0


def test_inputs_without_noise_draw_nothing() -> None:
    found = probed(lambda images: images, power=[0.0] * 48)
    assert (found.noise_power, found.energy, found.correlation) == (0.0, 0.0, 0.0)
