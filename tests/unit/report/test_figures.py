import os
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from cryodenoise.report import figures
from cryodenoise.report.figures import Patch, Words

CLIPPED = Words("clean", "noisy", clipped=True)


def patch(split: str = "train", side: int = 64, noise: float = 0.05, pixel_size: float | None = 1.5) -> Patch:
    rng = np.random.default_rng(0)
    clean = np.full((side, side), 0.5, np.float32)
    noisy = np.clip(clean + rng.normal(0, noise, clean.shape), 0, 1).astype(np.float32) if noise else clean
    return Patch(split, "a.mrc\nrow 0, column 0", noisy, clean, pixel_size)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(BytesIO(png), format="png"))


@pytest.mark.parametrize("draw", [figures.contact_sheet, figures.histograms, figures.power_spectra])
@pytest.mark.parametrize(
    "patches",
    [[patch()], [patch("train"), patch("test")], [patch(noise=0)], [patch(pixel_size=None), patch("test")],
     [patch(side=300)]],
    ids=["one", "two-splits", "no-noise", "two-pixel-sizes", "large"],
)  # fmt: skip
def test_every_figure_is_a_png_and_the_same_again(draw, patches: list[Patch]) -> None:  # type: ignore[no-untyped-def]
    png = draw(patches, "title", CLIPPED)
    image = pixels(png)
    assert image[..., :3].min() < 0.5 < image[..., :3].max()  # something is drawn
    assert draw(patches, "title", CLIPPED) == png


def test_clean_and_noisy_have_one_grey_scale_and_no_difference_is_white() -> None:
    grey = pixels(figures.contact_sheet([patch(noise=0)], "", CLIPPED))[..., :3]
    middle = grey[grey.shape[0] // 2 - 20]
    half_grey = np.isclose(middle, 0.5, atol=0.02).all(axis=-1)
    assert np.flatnonzero(np.diff(half_grey.astype(int)) == 1).size == 2  # two panels of intensity 0.5, alike
    half = slice(3 * len(middle) // 4, 3 * len(middle) // 4 + 40)
    assert np.ptp(middle[half], axis=-1).max() < 0.02  # zero is neither red nor blue


def test_figures_need_neither_a_display_nor_a_home(tmp_path: Path) -> None:
    code = (
        "import numpy as np; from cryodenoise.report import figures as f; z = np.zeros((16, 16), 'f4')\n"
        "print(len(f.histograms([f.Patch('train', 'a', z, z, None)], 'title', f.Words('a', 'b', True))) > 1000)"
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "MPLCONFIGDIR", "MPLBACKEND")}
    environment = {
        **kept,
        "HOME": "/proc",
        "XDG_CONFIG_HOME": "/proc",
        "XDG_CACHE_HOME": "/proc",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("draw", [figures.contact_sheet, figures.histograms, figures.power_spectra])
def test_what_is_not_clipped_is_drawn_on_a_scale_of_its_own(draw) -> None:  # type: ignore[no-untyped-def]
    words = Words("truth", "micrograph", clipped=False)
    rng = np.random.default_rng(0)
    noisy = rng.normal(0, 1, (64, 64)).astype(np.float32)
    flat = np.zeros_like(noisy)
    assert draw([Patch("test", "a", noisy, flat, 1.5)], "title", words).startswith(b"\x89PNG")
    assert draw([Patch("test", "a", flat, flat, 1.5)], "title", words).startswith(b"\x89PNG")


def test_the_grey_scale_of_unclipped_inputs_covers_them() -> None:
    words = Words("truth", "micrograph", clipped=False)
    ramp = np.linspace(-3, 5, 64 * 64, dtype=np.float32).reshape(64, 64)
    sheets = [
        pixels(figures.contact_sheet([Patch("test", "a", image, image, None)], "", words))[300:-160, :560, :3]
        for image in (ramp, ramp / 8)
    ]
    assert np.array_equal(sheets[0], sheets[1])  # both from black to white


def test_a_truth_is_drawn_beside_the_patches_that_have_one() -> None:
    def sheet(truth: np.ndarray | None) -> np.ndarray:
        drawn = [patch(), replace(patch("test"), truth=truth)]
        return pixels(figures.contact_sheet(drawn, "", CLIPPED))[..., :3]

    without, black, white = sheet(None), sheet(np.zeros((64, 64), "f4")), sheet(np.ones((64, 64), "f4"))
    assert black.shape[1] > without.shape[1]
    changed = np.flatnonzero((black != white).any(axis=(0, 2)))
    assert changed.size > 0
    assert changed.min() > 0.7 * black.shape[1]  # the last column alone
    rows = np.flatnonzero((black != white).any(axis=(1, 2)))
    assert rows.min() > 0.4 * len(black)  # the second patch's
