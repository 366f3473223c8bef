import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cryodenoise.config.exposure import Particle
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.simulation.limits import require_possible, spread_angstrom
from cryodenoise.simulation.scene import Scene, draw_scene
from cryodenoise.simulation.species import radius_angstrom
from simulated import ice_alone, parameters

BOTH: dict[str, Any] = {"specimen": {"particles": 9, "second_particles": 12}}


def inside(particle: Particle, height: int, width: int) -> bool:
    return -0.5 <= particle.y_px <= height - 0.5 and -0.5 <= particle.x_px <= width - 0.5


@given(st.integers(0, 2**63), st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_no_two_particles_overlap_and_those_asked_for_lie_inside(seed: int, index: int) -> None:
    wanted = parameters(256, seed=seed, **BOTH)
    particles = draw_scene(wanted, index).particles
    assert [inside(each, 256, 256) for each in particles] == [True] * 21 + [False] * (len(particles) - 21)
    assert [each.species for each in particles[:21]] == ["t20s"] * 9 + ["apoferritin"] * 12
    places = np.array([(each.y_px, each.x_px) for each in particles]) * 4.0
    radii = np.array([each.radius_angstrom for each in particles])
    distance = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + np.diag(np.full(len(radii), np.inf))
    assert (distance >= radii[:, None] + radii[None] - 0.01).all()  # places are rounded to 1/1000 of a pixel


def test_there_are_as_many_around_as_make_the_same_density() -> None:
    wanted = parameters(512, 2.63, specimen={"particles": 18})
    particles, side, reach = draw_scene(wanted, 0).particles, 512 * 2.63, radius_angstrom("t20s")
    assert len(particles) == 18 + round(18 * ((side + 2 * reach) ** 2 / side**2 - 1))
    assert all(-reach <= each.x_px * 2.63 + 2 <= side + reach + 2 for each in particles)


def test_places_are_uniform_within_the_micrograph() -> None:
    wanted = parameters(512, specimen={"particles": 4})
    places = [each for index in range(400) for each in draw_scene(wanted, index).particles if inside(each, 512, 512)]
    assert len(places) == 1600
    for values in ([each.x_px for each in places], [each.y_px for each in places]):
        assert stats.kstest((np.array(values) + 0.5) / 512, "uniform").pvalue > 1e-6


def test_a_scene_is_a_function_of_seed_and_number() -> None:
    wanted = parameters(256, **BOTH)
    scene, again = draw_scene(wanted, 3), draw_scene(wanted, 3)
    assert scene.particles == again.particles
    assert scene.focus == again.focus
    others = [draw_scene(wanted, 4), draw_scene(parameters(256, seed=43, **BOTH), 3)]
    assert all(other.focus != scene.focus and other.particles[0] != scene.particles[0] for other in others)


def test_focus_lies_in_its_ranges() -> None:
    wanted = ice_alone(optics={"defocus_um": (0.8, 1.2), "astigmatism_nm": (20.0, 50.0)})
    foci = [draw_scene(wanted, index).focus for index in range(300)]
    mean = np.array([(focus.u_angstrom + focus.v_angstrom) / 2 for focus in foci])
    difference = np.array([focus.u_angstrom - focus.v_angstrom for focus in foci])
    assert stats.kstest((mean - 8000) / 4000, "uniform").pvalue > 1e-6
    assert stats.kstest((difference - 200) / 300, "uniform").pvalue > 1e-6
    assert stats.kstest([focus.angle_rad / math.pi for focus in foci], "uniform").pvalue > 1e-6


def margins(scene: Scene, wanted: SyntheticParameters) -> list[int]:
    return [scene.corner[0], scene.canvas[0] - scene.corner[0] - wanted.height_px,
            scene.corner[1], scene.canvas[1] - scene.corner[1] - wanted.width_px]  # fmt: skip


@pytest.mark.parametrize("motion", ["none", "residual"])
@pytest.mark.parametrize("shape", [(128, 128), (200, 97)])
def test_the_canvas_holds_all_that_is_imaged_into_the_micrograph(shape: tuple[int, int], motion: str) -> None:
    detector: dict[str, Any] = {"motion": motion, "drift_angstrom": 50.0}
    wanted = parameters(height_px=shape[0], width_px=shape[1], detector=detector)
    scene = draw_scene(wanted, 0)
    reach = radius_angstrom("t20s") + spread_angstrom(wanted) + float(np.abs(scene.drift_angstrom).max())
    assert min(margins(scene, wanted)) * 4.0 >= reach
    assert bool(scene.drift_angstrom.any()) == (motion == "residual")


def test_the_canvas_is_no_larger_than_reason() -> None:
    """What may be asked for bounds the margin by one and a half micrographs' sides and a few pixels."""
    detector = {"motion": "residual", "drift_angstrom": 250.0}
    wanted = parameters(optics={"defocus_um": (0.0, 10.3), "astigmatism_nm": (0.0, 0.0)}, detector=detector)
    require_possible(wanted)
    assert max(margins(draw_scene(wanted, 0), wanted)) < 1.5 * 128 + 40


@pytest.mark.parametrize(("side", "pixel", "first"), [(64, 4.2, "t20s"), (64, 4.2, "apoferritin"), (128, 4.0, "t20s"),
                                                      (1024, 2.63, "t20s"), (1024, 2.63, "apoferritin")])  # fmt: skip
def test_as_many_particles_as_may_be_asked_for_find_room(side: int, pixel: float, first: str) -> None:
    second = "apoferritin" if first == "t20s" else "t20s"
    area = 0.4 * (side * pixel) ** 2 / math.pi
    most = [int(area * share / radius_angstrom(name) ** 2) for name, share in ((first, 0.6), (second, 0.39))]
    specimen = {"species": first, "particles": most[0], "second_species": second, "second_particles": most[1]}
    wanted = parameters(side, pixel, specimen=specimen)
    require_possible(wanted)
    for index in range(3):
        assert sum(inside(each, side, side) for each in draw_scene(wanted, index).particles) == sum(most)


@pytest.mark.parametrize("index", range(4))
def test_only_particles_that_reach_into_the_micrograph_are_there(index: int) -> None:
    specimen = {"particles": 5, "second_particles": 80}
    wanted = SyntheticParameters.model_validate({"preset": "laptop", "specimen": specimen})
    outside = [each for each in draw_scene(wanted, index).particles if not inside(each, 1024, 1024)]
    for each in outside:
        away = [max(-0.5 - place, place - 1023.5, 0) * 2.63 for place in (each.y_px, each.x_px)]
        assert math.hypot(*away) < each.radius_angstrom + 0.01
    assert outside
