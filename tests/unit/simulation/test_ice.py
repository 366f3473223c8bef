import math

import numpy as np
import pytest
from scipy import integrate

from cryodenoise.simulation import ice
from cryodenoise.simulation.optics import interaction
from cryodenoise.simulation.projection import WATER_VOLUME_A3, water_v_a3

SIGMA = interaction(300)


def test_a_wedge_grows_in_its_direction_by_its_gradient() -> None:
    ends = np.array([-0.5, 0.5])
    for angle, y, x in ((0.0, 0.0, ends), (math.pi / 2, ends, 0.0)):
        thin, thick = ice.thickness_nm(30.0, 0.4, angle, np.asarray(y), np.asarray(x))
        assert (thin, thick) == (pytest.approx(24), pytest.approx(36))
    y, x = np.mgrid[-1:1:5j, -1:1:5j]
    wedge = ice.thickness_nm(30.0, 0.4, 2.0, y, x)
    assert wedge.mean() == pytest.approx(30)
    down, across = np.gradient(wedge)
    assert math.atan2(down[2, 2], across[2, 2]) == pytest.approx(2.0)


def test_ice_is_never_thinner_than_nothing() -> None:
    assert ice.thickness_nm(30.0, 1.0, 0.0, np.zeros(1), np.array([-2.0])).tolist() == [0.0]


def test_transmission_falls_as_the_thickness_grows() -> None:
    thickness = np.array([0.0, 30.0, 60.0, 300.0])
    share = ice.transmission(thickness, 300.0)
    assert share.tolist() == pytest.approx([1, math.exp(-0.1), math.exp(-0.2), math.exp(-1)])


def test_slower_electrons_get_through_less_ice() -> None:
    share = ice.transmission(np.array([30.0]), 100.0)  # cross sections at 100 kV are twice those at 300 kV
    assert math.log(share[0]) == pytest.approx(-0.1 * 2.005, rel=1e-3)


def grain_power(q: float, dose: float = 53.0, structure_factor: float = 0.06) -> float:
    return float(ice.grain_amplitude(SIGMA, structure_factor, dose, np.array([q * q]))[0] ** 2)


def test_still_ice_has_the_power_of_molecules_at_random_places_times_its_structure_factor() -> None:
    molecules_per_a2 = 300 / WATER_VOLUME_A3
    expected = 0.06 * molecules_per_a2 * (SIGMA * water_v_a3()) ** 2
    assert grain_power(0.0) == pytest.approx(expected)
    assert grain_power(0.3, dose=1e-9) == pytest.approx(expected)
    assert grain_power(0.0, structure_factor=0.12) == pytest.approx(2 * expected)


@pytest.mark.parametrize(("q", "dose"), [(0.05, 5.0), (0.05, 53.0), (0.2, 53.0), (0.5, 200.0)])
def test_moving_molecules_leave_what_brownian_motion_does(q: float, dose: float) -> None:
    """The sum over an exposure of waves whose phases drift apart: ∫∫ E exp(2πi q (x(s) − x(t))) ds dt, in 1D."""
    variance_per_dose = 1.1 / 3

    def correlation(t: float, s: float) -> float:
        return math.exp(-0.5 * (2 * math.pi * q) ** 2 * variance_per_dose * dose * abs(s - t))

    half, _ = integrate.dblquad(correlation, 0, 1, 0, lambda s: s)
    assert grain_power(q, dose) / grain_power(0.0) == pytest.approx(2 * half, rel=1e-6)


def test_rings_are_best_seen_at_the_dose_that_was_measured() -> None:
    """McMullan et al. (2015): rings at 3.7 Å, in a sum of power spectra, are clearest at 4.0 e⁻/Å² an image.

    Their height over its noise in so many images as a total dose allows grows as the root of the dose of each, times
    what is left of the power. Were 1.1 Å² the displacement along one axis, the optimum would lie at 1.3 e⁻/Å².
    """
    doses = np.arange(0.5, 12, 0.01)
    seen = [math.sqrt(dose) * grain_power(1 / 3.7, float(dose)) for dose in doses]
    assert doses[int(np.argmax(seen))] == pytest.approx(4.0, abs=0.2)


def test_the_series_at_low_frequency_joins_the_formula() -> None:
    border = 1e-3 / (2 * math.pi**2 * 1.1 / 3 * 53)
    below, above = ice.grain_amplitude(SIGMA, 0.06, 53.0, border * np.array([1 - 1e-9, 1 + 1e-9]))
    assert below == pytest.approx(above, rel=1e-7)


def test_powers_of_layers_add_up() -> None:
    strength = ice.grain_strength(np.array([0.0, 30.0, 60.0]), None)
    assert strength.tolist() == pytest.approx([0, 1, math.sqrt(2)])
    both = ice.grain_strength(np.array([30.0, 30.0, 0.0]), np.array([0.0, 1.0, 1.0]))
    assert both.tolist() == pytest.approx([1, math.sqrt(1 + ice.CARBON_GRAIN), math.sqrt(ice.CARBON_GRAIN)])


@pytest.mark.parametrize("angle", [0.0, 1.0, math.pi / 2, 4.0])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_film_reaches_in_by_its_fraction(fraction: float, angle: float) -> None:
    """Along the line through the middle; 25 Å to either side the edge is over."""
    side, pixel = 400.0, 2.0
    edge = (0.5 - fraction) * side
    along = edge + np.array([-40.0, 0.0, 40.0])
    carbon = ice.carbon_film(fraction, angle, pixel, along * math.sin(angle), along * math.cos(angle), side)
    assert carbon == pytest.approx([0, 0.5, 1], abs=1e-4)


def test_the_edge_of_the_hole_is_a_circle_of_its_size() -> None:
    angle = np.linspace(0, 2 * np.pi, 50)
    centre_x, radius = 150.0 - 6000 / 4, 6000 / 4  # the edge lies 150 pixels to the right of the middle
    rim = ice.carbon_film(0.125, 0.0, 4.0, radius * np.sin(angle), centre_x + radius * np.cos(angle), 400.0)
    assert rim == pytest.approx(np.full(50, 0.5), abs=1e-9)


def test_a_micrograph_larger_than_the_hole_has_no_film_in_its_middle() -> None:
    places = np.linspace(-20_000, 20_000, 101)
    carbon = ice.carbon_film(0.1, 0.0, 20.0, places[:, None], places[None, :], 40_000.0)
    assert carbon.min() < 1e-100
    assert carbon.max() == 1


def test_a_crystal_is_a_drop_of_ice_as_thick_as_half_its_width() -> None:
    canvas = np.zeros((600, 600))
    ice.add_crystals(np.random.default_rng(5), 1, 2.0, canvas)
    radius_px, fallen = math.sqrt(float((canvas > canvas.max() / math.e).sum()) / math.pi), canvas[canvas > 0].min()
    assert 60 / math.sqrt(1.3) <= radius_px * 2.0 <= 250
    mean_inner_v = water_v_a3() / WATER_VOLUME_A3
    assert (
        radius_px * 2.0 * mean_inner_v <= canvas.max() * 1.01 <= radius_px * 2.0 * mean_inner_v * math.sqrt(1.3) * 1.03
    )
    assert fallen < 1e-5 * canvas.max()


def test_crystals_cover_the_area_that_limits_count_with() -> None:
    """E π r² / (1 + 0.3 u), r = 60 + 190 v², u and v being uniform on [0, 1]."""
    u, v = np.random.default_rng(0).random((2, 1_000_000))
    area = np.pi * (60 + 190 * v**2) ** 2 / (1 + 0.3 * u)
    assert area.mean() == pytest.approx(ice.CRYSTAL_AREA_A2, rel=0.15)


def test_crystals_add_up_and_may_lie_across_the_border() -> None:
    canvas = np.full((50, 70), 3.0)
    ice.add_crystals(np.random.default_rng(1), 30, 10.0, canvas)
    assert np.isfinite(canvas).all()
    assert (canvas >= 3).all()
    before = canvas.copy()
    ice.add_crystals(np.random.default_rng(1), 0, 10.0, canvas)
    assert np.array_equal(canvas, before)
