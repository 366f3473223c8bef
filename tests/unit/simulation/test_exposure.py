"""Counts are Poisson's about the truth, frames add up, and nothing but (seed, number) decides what comes out."""

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import pytest

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.micrographs import pixel_digest
from cryodenoise.simulation import exposure, ice, transform
from cryodenoise.simulation.exposure import Exposure, expose
from cryodenoise.simulation.limits import BRIGHTEST, electrons_per_pixel, require_possible
from cryodenoise.simulation.scene import Scene, draw_scene
from simulated import DEVIATIONS, ice_alone, parameters


def assert_equal(one: Exposure, other: Exposure) -> None:
    assert np.array_equal(one.truth, other.truth)
    assert np.array_equal(one.even, other.even)
    assert np.array_equal(one.odd, other.odd)
    assert one.record == other.record


@pytest.mark.parametrize("thickness_nm", [0.0, 30.0])
@pytest.mark.parametrize(("dose", "pixel", "frames"), [(53.0, 0.6575, 38), (20.0, 1.0, 1), (53.0, 2.63, 7)])
def test_counts_are_dose_times_area_and_poissons(dose: float, pixel: float, frames: int, thickness_nm: float) -> None:
    """Mean within 5 standard errors of its expectation, index of dispersion within 5 of 1 (variance 2 / (n − 1))."""
    camera = {"dose_e_per_a2": dose, "frames": frames, "quantum_efficiency": 0.8}
    sheet = {"structure_factor": 0.0, "thickness_nm": thickness_nm}
    side = 256 if pixel > 1 else 320  # so that the defocus can be carried
    taken = expose(ice_alone(side, pixel, detector=camera, ice=sheet), 0)
    expected = dose * pixel**2 * 0.8 * math.exp(-thickness_nm / ice.MEAN_FREE_PATH_NM)
    assert np.allclose(taken.truth, expected, rtol=0, atol=1 / 1024)
    counts = (taken.even + taken.odd).astype(np.float64)
    assert abs(counts.mean() - expected) < DEVIATIONS * math.sqrt(expected / counts.size) + 1 / 1024
    assert abs(counts.var(ddof=1) / counts.mean() - 1) < DEVIATIONS * math.sqrt(2 / (counts.size - 1))
    assert bool(taken.odd.any()) == (frames > 1)


def test_neighbouring_pixels_and_the_halves_are_independent() -> None:
    taken = expose(ice_alone(256, ice={"structure_factor": 0.0}, detector={"frames": 10}), 0)
    even, odd = ((half - half.mean()) / half.std() for half in (taken.even, taken.odd))
    for product in (even * odd, even[1:] * even[:-1], even[:, 1:] * even[:, :-1]):
        assert abs(product.mean()) < DEVIATIONS / math.sqrt(product.size)


def test_even_and_odd_frames_add_up_to_the_halves() -> None:
    frames: list[np.ndarray] = []
    wanted = parameters(detector={"frames": 9})
    taken = expose(wanted, 0, lambda frame: frames.append(frame.copy()))
    assert len(frames) == 9
    assert all(frame.dtype == np.uint16 and frame.shape == (128, 128) for frame in frames)
    assert np.array_equal(taken.even, sum(frame.astype(int) for frame in frames[0::2]))
    assert np.array_equal(taken.odd, sum(frame.astype(int) for frame in frames[1::2]))
    assert_equal(taken, expose(wanted, 0))


def test_the_mean_of_exposures_converges_to_the_truth() -> None:
    """Each still frame is an exposure of its own: n · (mean − truth)² / truth has mean 1 and variance 2 + 1 / truth."""
    frames: list[np.ndarray] = []
    taken = expose(parameters(detector={"frames": 64}), 0, lambda frame: frames.append(frame.astype(np.float64)))
    rate = taken.truth.astype(np.float64) / 64
    for count in (1, 4, 16, 64):
        mean = np.mean(frames[:count], axis=0)
        ratio = float((count * (mean - rate) ** 2 / rate).mean())
        assert abs(ratio - 1) < DEVIATIONS * math.sqrt(2.2 / rate.size)


@pytest.mark.parametrize(("frames", "parts"), [(7, 1024), (8, 512)])
def test_the_truth_is_in_parts_of_an_electron(frames: int, parts: int) -> None:
    """Each half is rounded to 1/1024; halves of as many frames are alike where nothing moves."""
    truth = expose(parameters(detector={"frames": frames}), 0).truth
    assert truth.dtype == np.float32
    assert np.array_equal(truth * parts, np.rint(truth * parts))


def test_the_truth_does_not_depend_on_the_number_of_frames() -> None:
    one, many = (expose(parameters(detector={"frames": frames}), 0).truth for frames in (8, 200))
    assert np.abs(one - many).max() <= 2 / 1024


def test_counts_times_the_gain_have_the_truth_for_expectation() -> None:
    wanted = parameters(256, detector={"gain_spread": 0.2, "frames": 12})
    taken, gain = expose(wanted, 0), exposure.gain_reference(wanted)
    assert gain is not None
    counts, truth = (taken.even + taken.odd).astype(np.float64), taken.truth.astype(np.float64)
    assert np.array_equal(taken.truth, expose(parameters(256, detector={"frames": 12}), 0).truth)
    deviation = (counts * gain - truth) / np.sqrt(truth * gain)
    assert abs(deviation.mean()) < DEVIATIONS / 256
    assert abs(deviation.var() - 1) < DEVIATIONS * math.sqrt(2.1) / 256
    low, high = gain < 0.9, gain > 1.1
    assert (counts / truth)[low].mean() > 1.1
    assert (counts / truth)[high].mean() < 0.95


def test_no_place_is_darker_than_nothing_or_brighter_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A contrast beyond reason, as crystals upon crystals can give: rates stay what can be drawn."""

    def wave(_: SyntheticParameters, scene: Scene, __: int) -> np.ndarray:
        places = np.arange(scene.canvas[1]) / scene.canvas[1]
        return transform.forward(np.tile(8 * np.cos(2 * np.pi * 3 * places), (scene.canvas[0], 1)))

    monkeypatch.setattr(exposure, "contrast_spectrum", wave)
    camera = {"frames": 5, "gain_spread": 0.3}
    wanted = parameters(detector=camera, ice={"thickness_nm": 0.0})
    require_possible(wanted)
    taken, brightest = expose(wanted, 0), BRIGHTEST * electrons_per_pixel(wanted)
    assert taken.truth.min() == 0
    assert taken.truth.max() == pytest.approx(brightest, abs=1e-3)


def moving(scene: Scene, steps: list[tuple[float, float]]) -> Scene:
    return dataclasses.replace(scene, drift_angstrom=np.array(steps))


def test_a_drift_of_whole_pixels_shows_the_same_further_on() -> None:
    wanted = parameters(ice={"gradient": 0.0}, detector={"motion": "residual", "frames": 2})
    scene = moving(draw_scene(wanted, 0), [(0.0, 0.0), (8.0, -12.0)])
    first, second = exposure.intensities(wanted, scene, 0)
    assert np.allclose(second[2:, :-3], first[:-2, 3:], atol=1e-12)


def test_a_drift_blurs_the_truth_and_keeps_its_mean() -> None:
    """The mean over frames of what is linear: the still image under the mean of the shifts."""
    camera = {"frames": 8, "drift_angstrom": 20.0}
    still, moved = (parameters(ice={"gradient": 0.0}, detector={**camera, "motion": motion}) for motion in
                    ("none", "residual"))  # fmt: skip
    sharp, blurred = (expose(each, 0).truth.astype(np.float64) for each in (still, moved))
    assert blurred.mean() == pytest.approx(sharp.mean(), rel=2e-3)
    fine = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128))) > 0.2
    powers = [(np.abs(np.fft.fft2(each)[fine]) ** 2).mean() for each in (sharp, blurred)]
    assert powers[1] < 0.7 * powers[0]


def test_the_frames_of_a_drift_are_taken_along_its_way() -> None:
    wanted = parameters(ice={"gradient": 0.0}, detector={"motion": "residual", "frames": 6, "drift_angstrom": 40.0})
    record = expose(wanted, 0).record
    assert record.drift_angstrom == [tuple(np.round(step, 4)) for step in draw_scene(wanted, 0).drift_angstrom]
    assert expose(parameters(), 0).record.drift_angstrom == []


def test_the_record_tells_how_it_was_taken() -> None:
    wanted = parameters(optics={"defocus_um": (1.6, 1.6), "astigmatism_nm": (100.0, 100.0)})
    record, scene = expose(wanted, 7).record, draw_scene(wanted, 7)
    assert record.micrograph == "synthetic_0007.mrc"
    assert (record.height_px, record.width_px, record.pixel_size_angstrom) == (128, 128, 4.0)
    assert (record.defocus_u_um, record.defocus_v_um) == (1.65, 1.55)
    assert math.radians(record.defocus_angle_deg) == pytest.approx(scene.focus.angle_rad, abs=1e-6)
    assert record.electrons_per_pixel == pytest.approx(53 * 16 * 0.78)
    assert record.particles == scene.particles


def test_the_order_of_exposures_and_the_number_of_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = parameters(200, 3.0, ice={"carbon_fraction": 0.2, "contamination": 2})
    first = [expose(wanted, index) for index in (0, 1)]
    monkeypatch.setattr(transform, "available_cores", lambda: 1)
    second = [expose(wanted, index) for index in (1, 0)]
    assert_equal(first[0], second[1])
    assert_equal(first[1], second[0])


def test_another_number_or_seed_is_another_exposure() -> None:
    base, other_seed = parameters(), parameters(seed=43)
    one, two, three = expose(base, 0), expose(base, 1), expose(other_seed, 0)
    for other in (two, three):
        assert not np.array_equal(one.truth, other.truth)
        deviations = [(each.even - each.truth / 2) / np.sqrt(each.truth / 2) for each in (one, other)]
        assert abs((deviations[0] * deviations[1]).mean()) < DEVIATIONS / 128


def test_the_same_seed_with_other_parameters_has_the_same_scene_and_other_noise() -> None:
    base, probe, weak = (
        parameters(),
        parameters(specimen={"particles": 0}),
        parameters(detector={"dose_e_per_a2": 30.0}),
    )
    one, two, three = (expose(each, 0) for each in (base, probe, weak))
    assert one.record.particles == three.record.particles
    for other in (two, three):
        deviations = [(each.even - each.truth / 2) / np.sqrt(each.truth / 2) for each in (one, other)]
        assert abs((deviations[0] * deviations[1]).mean()) < DEVIATIONS / 128


def test_names_of_presets_and_which_files_are_wanted_change_no_count() -> None:
    base = parameters()
    for changes in ({"halves": True}, {"movies": True}, {"micrographs": 7}):
        assert np.array_equal(expose(base.model_copy(update=changes), 0).even, expose(base, 0).even)


SMOKE = SyntheticParameters.model_validate({"preset": "smoke"})
SMOKE_DIGEST = "40ba79a530ecae1cff2217ac6bcb7ded929cdcca511bb9122e2a10f27f54d6cf"


@pytest.fixture(scope="module")
def smoke() -> Exposure:
    return expose(SMOKE, 0)


def test_differences_as_between_machines_change_no_count(smoke: Exposure, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, exact = np.random.default_rng(0), exposure.intensities

    def elsewhere(wanted: SyntheticParameters, scene: Scene, index: int) -> Iterator[np.ndarray]:
        image = next(exact(wanted, scene, index))
        image *= 1 + 1e-13 * rng.uniform(-1, 1, image.shape)
        yield from (image for _ in range(wanted.detector.frames))

    monkeypatch.setattr(exposure, "intensities", elsewhere)
    taken = expose(SMOKE, 0)
    assert np.array_equal(taken.even, smoke.even)
    assert np.array_equal(taken.odd, smoke.odd)


def test_the_first_smoke_micrograph_is_the_same_everywhere(smoke: Exposure) -> None:
    """The one recorded value here: what any machine must count."""
    assert pixel_digest((smoke.even + smoke.odd).astype(np.float32)) == SMOKE_DIGEST
