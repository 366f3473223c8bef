from io import BytesIO

import matplotlib.image
import numpy as np
import pytest

from cryodenoise.report.panels import PANEL_PX, binned
from cryodenoise.report.preview import preview

RNG = np.random.default_rng(0)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(BytesIO(png), format="png"))[..., :3]


def grey(shown: np.ndarray) -> np.ndarray:
    """As a panel shows it, between the ends of its scale."""
    low, high = np.percentile(shown, (0.5, 99.5))
    return np.asarray(np.clip((shown - low) / (high - low), 0, 1))


def found(picture: np.ndarray, panel: np.ndarray, tolerance: float = 0.02) -> bool:
    """Whether a panel stands somewhere in the picture, pixel by pixel, but for its lowest quarter with the ruler."""
    height, width = panel.shape
    wanted = grey(panel)[: height * 3 // 4]
    tall = wanted.shape[0]
    corner = np.abs(picture[..., 0] - wanted[0, 0]) < tolerance
    for top, left in np.argwhere(corner[: picture.shape[0] - tall + 1, : picture.shape[1] - width + 1]):
        row = picture[top, left : left + width, 0]
        if np.allclose(row, wanted[0], atol=tolerance):
            return bool(np.allclose(picture[top : top + tall, left : left + width, 0], wanted, atol=tolerance))
    return False


def test_all_of_it_is_shown_binned_and_the_middle_pixel_by_pixel() -> None:
    before = RNG.normal(20, 5, (1203, 1607)).astype(np.float32)
    after = (before + RNG.normal(0, 1, before.shape)).astype(np.float32)
    picture = pixels(preview("a.mrc", before, after, 0.885))
    for image in (before, after, before.astype(np.float64) - after):
        assert found(picture, binned(image, 4))
        assert found(picture, image[401:801, 603:1003])
    assert not found(picture, image[300:700, 603:1003])


@pytest.mark.parametrize(
    "shape", [(16, 16), (300, 200), (900, 900), (3, 9000), (1, 1)], ids=["tiny", "small", "large", "long", "one"]
)
@pytest.mark.parametrize("pixel_size", [None, 1.5])
def test_every_shape_gives_a_picture_for_a_screen_and_the_same_again(
    shape: tuple[int, int], pixel_size: float | None
) -> None:
    before = RNG.normal(20, 5, shape).astype(np.float32)
    picture = preview("title", before, before * np.float32(0.5), pixel_size)
    assert preview("title", before, before * np.float32(0.5), pixel_size) == picture
    height, width = pixels(picture).shape[:2]
    assert height <= 2 * 640 + 200
    assert 700 <= width <= 3 * 640 + 100


def test_a_constant_image_is_drawn() -> None:
    flat = np.full((64, 64), 3.0, np.float32)
    assert preview("constant", flat, flat, 1.0)


def test_a_small_micrograph_is_shown_once() -> None:
    image = RNG.normal(size=(PANEL_PX, PANEL_PX))
    once = pixels(preview("title", image, image / 2, None)).shape[0]
    assert once < PANEL_PX + 120


@pytest.mark.parametrize("factor", [1, 3, 7])
def test_binning_takes_means_of_squares(factor: int) -> None:
    image = RNG.normal(size=(1500, 2000)).astype(np.float32)
    height, width = 1500 // factor, 2000 // factor
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        square = image[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
        assert binned(image, factor)[row, column] == pytest.approx(square.mean(dtype=np.float64), rel=1e-12)
    assert binned(image, factor).shape == (height, width)
