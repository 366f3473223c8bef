from pathlib import Path

import numpy as np
import pytest

from cryodenoise.errors import InputError
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.preprocessing.labels import fine_noise, require_noisier


@pytest.mark.parametrize("sigma", [0.1, 3.0])
def test_of_white_noise_the_estimate_is_its_deviation(sigma: float) -> None:
    image = np.random.default_rng(0).normal(0, sigma, (301, 200)).astype(np.float32)
    assert fine_noise(image) == pytest.approx(sigma, rel=0.02)


def test_a_plane_has_no_noise() -> None:
    y, x = np.mgrid[:64, :65]
    assert fine_noise((3 * y - 2 * x).astype(np.float32)) == 0


def candidates(folder: Path, noise: tuple[float, float], count: int = 3, factor: float = 1.0) -> list[Candidate]:
    """Waves under noise of two strengths, the second times a factor."""
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        wave = np.sin(np.mgrid[:64, :64].sum(axis=0) / 5)
        paths = [folder / f"{side}-{number}.mrc" for side in ("noisy", "clean")]
        for path, sigma, times in zip(paths, noise, (1.0, factor), strict=True):
            mrc.write(path, (times * (wave + rng.normal(0, sigma, wave.shape))).astype(np.float32), 1.0)
        target = Source(paths[1], paths[1].name)
        found.append(Candidate(paths[0], paths[0].name, target=target))
    return found


@pytest.mark.parametrize(("noise", "factor"), [((0.5, 0.0), 1.0), ((0.5, 0.5), 1.0), ((0.5, 0.1), 100.0)])
def test_clean_images_may_be_in_other_units_and_no_noisier(
    tmp_path: Path, noise: tuple[float, float], factor: float
) -> None:
    require_noisier(candidates(tmp_path, noise, factor=factor))


def test_exchanged_pairs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"clean-0\.mrc: the clean images are noisier than the noisy ones \(by 3 pairs"
    ):
        require_noisier(candidates(tmp_path, (0.0, 0.5)))
