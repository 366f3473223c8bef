import math

import numpy as np
import pytest

from cryodenoise.config.run_files import SyntheticParameters
from cryodenoise.sources import synthetic

PLAIN = SyntheticParameters(micrographs=2, height_px=200, width_px=300, mean_electrons=16.1)


def test_without_discs_pixels_are_white_poisson_counts() -> None:
    image = synthetic.micrograph(PLAIN, 0).astype("f8")
    assert image.shape == (200, 300)
    assert np.array_equal(image, np.round(image))
    assert abs(image.mean() - 16.1) < 5 * math.sqrt(16.1 / image.size)
    assert abs(image.var() / image.mean() - 1) < 5 * math.sqrt(2 / image.size)


def test_a_micrograph_is_a_function_of_seed_and_index() -> None:
    first, second = (synthetic.micrograph(PLAIN, index) for index in (0, 1))
    assert np.array_equal(first, synthetic.micrograph(PLAIN, 0))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, synthetic.micrograph(PLAIN.model_copy(update={"seed": 1}), 0))


def test_a_disc_takes_away_its_contrast_at_the_centre_and_half_of_it_at_its_radius() -> None:
    parameters = SyntheticParameters(
        micrographs=1, height_px=101, width_px=101, mean_electrons=100, discs=1, disc_radius_px=20, disc_contrast=0.4
    )
    expected = synthetic.expectation(parameters, 0)
    assert expected.min() == pytest.approx(60, rel=1e-3)
    assert expected.max() <= 100
    lost = (100 - expected).sum() / 40
    inside = np.count_nonzero(expected < 100 * (1 - 0.2))
    assert lost == pytest.approx(inside, rel=0.1)


def test_discs_at_the_border_are_cut_off_not_refused() -> None:
    parameters = SyntheticParameters(micrographs=1, height_px=40, width_px=40, discs=50, disc_radius_px=30)
    assert np.isfinite(synthetic.expectation(parameters, 0)).all()
