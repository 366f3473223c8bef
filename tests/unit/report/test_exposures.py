from io import BytesIO

import matplotlib.image
import numpy as np
import pytest

from cryodenoise.config.exposure import Particle
from cryodenoise.report import exposures
from cryodenoise.report.exposures import Shown

PARTICLE = Particle(
    species="t20s", x_px=20.0, y_px=300.0, radius_angstrom=90.0, rot_deg=0.0, tilt_deg=0.0, psi_deg=0.0
)  # fmt: skip


def shown(*names: str, side: int = 128, pixel_size: float | None = 2.0, particles: int = 0, zeros: int = 0) -> Shown:
    rng = np.random.default_rng(0)
    images = {name: rng.poisson(20, (side, side + 16)).astype(np.float32) for name in ("micrograph", *names)}
    return Shown("title", images, pixel_size, [PARTICLE] * particles, np.linspace(0.05, 0.2, zeros))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(BytesIO(png), format="png"))


@pytest.mark.parametrize("draw", [exposures.exposure_sheet, exposures.spectrum_sheet])
@pytest.mark.parametrize(
    "of",
    [
        shown(),
        shown(pixel_size=None),
        shown("truth", "even frames", "odd frames", particles=2, zeros=3),
        shown(side=900),
        shown(side=16),
        Shown("long", {"micrograph": np.random.default_rng(0).normal(size=(3, 9000))}, 1.0, [], np.empty(0)),
        Shown("constant", {"micrograph": np.full((64, 64), 3.0)}, 1.0, [], np.empty(0)),
    ],
    ids=["alone", "no-pixel-size", "all", "large", "tiny", "long", "constant"],
)
def test_every_figure_is_a_png_and_the_same_again(draw, of: Shown) -> None:  # type: ignore[no-untyped-def]
    png = draw(of)
    image = pixels(png)
    assert image[..., :3].min() < 0.5 < image[..., :3].max()
    assert draw(of) == png


def test_each_image_has_its_panel_and_the_particles_one_more() -> None:
    sizes = [pixels(exposures.exposure_sheet(shown(*names, particles=count))).shape for names, count in (
        ((), 0), (("truth",), 0), (("truth",), 1), (("truth", "even frames"), 1),
    )]  # fmt: skip
    widths, heights = [size[1] for size in sizes], [size[0] for size in sizes]
    assert widths[0] < widths[1] < widths[2] == widths[3]
    assert heights[0] == heights[1] == heights[2] < heights[3]


def test_particles_are_marked_where_they_are() -> None:
    side = 400
    image = np.zeros((side, side), np.float32)
    place = Particle(**{**PARTICLE.model_dump(), "x_px": 100.0, "y_px": 300.0, "radius_angstrom": 80.0})
    plain, marked = (
        pixels(exposures.exposure_sheet(Shown("", {"micrograph": image}, 2.0, particles, np.empty(0))))
        for particles in ([], [place])
    )
    red = (marked[..., 0] > 0.6) & (marked[..., 1] < 0.5)
    assert not ((plain[..., 0] > 0.6) & (plain[..., 1] < 0.5)).any()
    rows, columns = np.nonzero(red)
    right = slice(marked.shape[1] // 2, None)
    assert (columns >= right.start).all()  # in the panel beside the plain one
    dark = np.nonzero((marked[:, right, :3] < 0.05).all(axis=-1))  # the panel itself
    top, bottom, left, last = dark[0].min(), dark[0].max(), dark[1].min() + right.start, dark[1].max() + right.start
    assert (rows.mean() - top) / (bottom - top) == pytest.approx(300 / side, abs=0.02)
    assert (columns.mean() - left) / (last - left) == pytest.approx(100 / side, abs=0.02)
    assert np.ptp(columns) / (last - left) == pytest.approx(2 * 40 / side, abs=0.02)
