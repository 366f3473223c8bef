"""Warnings: none at home, one sentence for each thing that is otherwise."""

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from cryodenoise.config.training_record import TrainedOn
from cryodenoise.inference.model import Model
from cryodenoise.inference.suits import dose_warnings, warnings
from trained import TRAINED_ON

NOISE = np.random.default_rng(1).normal(0.5, 0.22, (256, 256)).astype(np.float32)


def smoothed(kernel: list[float]) -> np.ndarray:
    """Noise of standard deviation 0.22 whose neighbours correlate by what the kernel says."""
    image = ndimage.convolve1d(NOISE - 0.5, np.array(kernel) / np.linalg.norm(kernel), axis=1)
    return np.asarray(0.5 + image, np.float32)


HOME = smoothed([0.5, 1.0])  # a correlation of 0.4


def model(trained_on: TrainedOn | None = TRAINED_ON, clipped: bool = False) -> Model:
    return Model(
        name="unet8", digest="ab" * 32, denoise=lambda images: images, normalization="p1_p99", clipped=clipped,
        multiple_px=1, reach_px=0, bytes_per_px=4.0, trained_on=trained_on,
    )  # fmt: skip


def of(image: np.ndarray = HOME, size: float | None = 1.3, dose: float | None = 25.0, **changes: Any) -> list[str]:
    trained = model(TRAINED_ON.model_copy(update=changes))
    return [*warnings(trained, image, size), *dose_warnings(trained, dose)]


@pytest.mark.parametrize("size", [1.2 / 1.0999, 1.2, 1.5, 1.5 * 1.0999])
@pytest.mark.parametrize("dose", [20 / 1.4999, 30 * 1.4999, None])
def test_nothing_is_said_at_home(size: float, dose: float | None) -> None:
    assert of(size=size, dose=dose) == []


@pytest.mark.parametrize("size", [1.2 / 1.1001, 1.5 * 1.1001, 8.0])
def test_another_pixel_size(size: float) -> None:
    (said,) = of(size=size)
    assert said.startswith(f"the pixel size is {size:.4g} Å, in training it was 1.2 to 1.5 Å: ")


def test_an_unknown_pixel_size() -> None:
    (said,) = of(size=None, pixel_size_angstrom=(1.2, 1.2))
    assert said.startswith("the pixel size is unknown, in training it was 1.2 Å: ")
    assert of(size=None, pixel_size_angstrom=None) == of(size=1000.0, pixel_size_angstrom=None) == []


@pytest.mark.parametrize(("dose", "may"), [(20 / 1.5001, "leave noise in"), (30 * 1.5001, "smooth away detail")])
def test_another_dose(dose: float, may: str) -> None:
    (said,) = of(dose=dose)
    assert said.startswith(f"the dose is {dose:.4g} e/Å², in training it was 20 to 30 e/Å²: ")
    assert may in said
    assert of(dose=dose, dose_e_per_a2=None) == []


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_another_spread(factor: float) -> None:
    image = np.asarray(HOME * np.float32(factor))
    (said,) = of(image)
    found = float(image.std(dtype=np.float64))
    assert said.startswith(
        f"the standard deviation of the normalised pixels is {found:.4g}, in training it was 0.2 to 0.25: "
    )
    assert of(np.asarray(HOME * np.float32(1.3))) == []


@pytest.mark.parametrize(
    ("kernel", "what"), [([1.0], "the noise is rougher"), ([1.0, 2.0, 2.0, 1.0], "the noise is smoother")]
)
def test_another_correlation_of_neighbours(kernel: list[float], what: str) -> None:
    (said,) = of(smoothed(kernel))
    assert said.startswith("pixels next to each other correlate by ")
    assert ", in training by 0.3 to 0.5: " in said
    assert what in said


def test_of_a_model_that_knows_clipped_intensities_the_share_at_both_ends_is_told() -> None:
    image = np.full((10, 100), 0.5, np.float32)
    image[:, :5], image[0, 5:10] = 1.0, 0.0
    (said, _) = warnings(model(None, clipped=True), image, None)
    assert said.startswith("unet8 was trained on intensities clipped to [0, 1], and 5 % of the pixels lie at the ")
    assert "0.5 % at the lower" in said
    assert any("clipped" in line for line in warnings(model(clipped=True), HOME, 1.3))


def test_where_nothing_is_known_of_the_training_one_sentence_says_so() -> None:
    (said,) = warnings(model(None), HOME, 1.3)
    assert said == "nothing is recorded of what unet8 was trained on, so whether it suits is not known"


def test_everything_at_once_is_a_sentence_each() -> None:
    image = np.asarray(NOISE * np.float32(3))
    assert len(warnings(model(clipped=True), image, 5.0)) == 4
