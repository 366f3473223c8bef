"""The SNR of labelled regions: images of known means and variances give the known value."""

import math

import numpy as np
import pytest

from cryodenoise.config.exposure import Particle
from cryodenoise.metrics import regions
from cryodenoise.metrics.regions import region_snr_db

SIDE, PIXEL, RADIUS = 256, 2.0, 60.0


def particle(y_px: float, x_px: float, radius_angstrom: float = RADIUS) -> Particle:
    return Particle(
        species="t20s", x_px=x_px, y_px=y_px, radius_angstrom=radius_angstrom, rot_deg=0.0, tilt_deg=0.0, psi_deg=0.0
    )


def away(one: Particle, side: int = SIDE) -> np.ndarray:
    """Distance of each pixel from a particle's centre, in Å."""
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.hypot(y - one.y_px, x - one.x_px) * PIXEL)


def board(level: float, spread: float) -> np.ndarray:
    """A chessboard: over a region that is its own mirror image about row 127.5, exactly this mean and variance."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return np.asarray(level + spread * np.where((y + x) % 2, 1.0, -1.0))


def test_known_means_and_variance_give_the_known_value() -> None:
    one = particle(127.5, 128)
    image = board(16.0, 4.0)
    image[away(one) <= regions.SIGNAL_RADIUS_ANGSTROM] = 14.0
    image[(away(one) > 50) & (away(one) <= RADIUS + regions.CLEAR_ANGSTROM)] = 1e6  # belongs to neither region
    image[away(one) > RADIUS + regions.CLEAR_ANGSTROM + regions.RING_ANGSTROM] = -1e6
    found = region_snr_db(image, [one], PIXEL)
    assert found.shape == (1,)
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(10 * math.log10(2.0**2 / 4.0**2), rel=1e-12)


def test_noise_gives_its_value_within_its_error() -> None:
    """White noise of variance v about a step d: 10 log10(d² / v), the mean of the signal being known to v / n."""
    one, rng = particle(128.4, 127.7), np.random.default_rng(0)
    image = rng.normal(0, 2.0, (SIDE, SIDE)) - 3.0 * (away(one) <= 50)
    inside = (away(one) <= 50).sum()
    error_db = 10 / math.log(10) * (2 * 2.0 / 3.0 / math.sqrt(inside) + math.sqrt(2 / 10_000))
    assert abs(region_snr_db(image, [one], PIXEL)[0] - 10 * math.log10(9 / 4)) < 5 * error_db


def test_the_value_does_not_change_with_offset_scale_or_type() -> None:
    one, rng = particle(120, 130), np.random.default_rng(1)
    image = np.rint(rng.normal(100, 9, (SIDE, SIDE)) - 5 * (away(one) <= 50))
    first = region_snr_db(image, [one], PIXEL)
    for other in (image.astype(np.float32), image.astype(np.int32), 0.5 * image - 7, -image):
        assert region_snr_db(other, [one], PIXEL) == pytest.approx(first, rel=1e-9)


def test_particles_near_the_border_are_left_out() -> None:
    reach_px = (RADIUS + 70) / PIXEL
    image = np.random.default_rng(2).normal(size=(SIDE, SIDE))
    last = SIDE - 1 - reach_px
    inside = [particle(reach_px, 128), particle(128, last), particle(last, reach_px)]
    beyond = [particle(reach_px - 0.01, 128), particle(128, last + 0.01), particle(-30, 128), particle(128, SIDE + 40)]
    for each in inside:
        assert len(region_snr_db(image, [each], PIXEL)) == 1
    for each in beyond:
        assert len(region_snr_db(image, [each], PIXEL)) == 0


def test_neighbours_are_no_background() -> None:
    one, beside, outside = particle(127.5, 100), particle(127.5, 165, 62.0), particle(40, 100, 20.0)
    image = board(0.0, 1.0)
    image[away(one) <= 50] = 3.0
    alone = region_snr_db(image, [one], PIXEL)[0]
    for other in (beside, outside):
        image[away(other) <= other.radius_angstrom] += 1000.0
    found = region_snr_db(image, [one, beside, outside], PIXEL)
    assert alone == pytest.approx(20 * math.log10(3), rel=1e-12)
    assert found[0] == pytest.approx(alone, abs=0.05)


def test_a_particle_without_background_is_left_out() -> None:
    """One lies within another, whose own surroundings are free."""
    one, about_it = particle(128, 128), particle(128, 128, 120.0)
    image = np.random.default_rng(3).normal(size=(SIDE, SIDE))
    assert len(region_snr_db(image, [one], PIXEL)) == 1
    assert np.array_equal(region_snr_db(image, [one, about_it], PIXEL), region_snr_db(image, [about_it], PIXEL))


def test_equal_means_are_minus_infinity() -> None:
    one = particle(128, 128)
    for image in (np.full((SIDE, SIDE), 7.0), np.where(away(one) <= 50, 7.0, board(7.0, 0.0))):
        assert region_snr_db(image, [one], PIXEL).tolist() == [-math.inf]


def test_a_background_without_noise_is_infinity() -> None:
    one = particle(128, 128)
    assert region_snr_db((away(one) <= 50).astype(float), [one], PIXEL).tolist() == [math.inf]


def test_no_particles_have_no_value() -> None:
    assert region_snr_db(np.zeros((SIDE, SIDE)), [], PIXEL).shape == (0,)
