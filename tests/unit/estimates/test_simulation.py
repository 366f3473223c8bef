import pytest

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.estimates import simulation
from cryodenoise.simulation.scene import draw_scene


@pytest.mark.parametrize("side_px", [256, 1500])
def test_the_time_goes_with_canvas_and_counted_pixels(monkeypatch: pytest.MonkeyPatch, side_px: int) -> None:
    section = SyntheticParameters.model_validate(
        {
            "micrographs": 1, "height_px": side_px, "width_px": side_px + 100, "pixel_size_angstrom": 2.0,
            "specimen": {"particles": 9}, "detector": {"frames": 7},
        }
    )  # fmt: skip
    exposed = []

    def canvas_px(of: SyntheticParameters) -> int:
        height, width = draw_scene(of, 0).canvas
        return height * width

    def time_s(of: SyntheticParameters) -> float:
        return 1e-6 * canvas_px(of) + 1e-7 * (of.detector.frames - 1) * of.height_px * of.width_px

    def expose(of: SyntheticParameters, index: int) -> None:
        exposed.append((of, index))

    monkeypatch.setattr(simulation, "expose", expose)
    monkeypatch.setattr(simulation, "_seconds", time_s)
    assert simulation.seconds_a_micrograph(section) == pytest.approx(time_s(section))
    assert all(max(of.height_px, of.width_px) <= 512 for of, _ in exposed)


def test_memory_is_that_of_the_canvas_or_of_what_is_counted_and_more_with_drift() -> None:
    wide, tall = ({"micrographs": 1, "height_px": side, "width_px": 1024, "pixel_size_angstrom": 1.0,
                   "specimen": {"particles": 0}} for side in (512, 4096))  # fmt: skip
    taken = [simulation.memory_bytes(SyntheticParameters.model_validate(each)) for each in (wide, tall)]
    assert taken[0] > (210 << 20) + 45 * 512 * 1024
    assert 3 * (512 * 1024) * 45 < taken[1] - taken[0] < 8 * (512 * 1024) * (45 + 8)
    drifting = SyntheticParameters.model_validate({**tall, "detector": {"motion": "residual"}})
    assert simulation.memory_bytes(drifting) > taken[1] + 28 * 1024 * 4096
