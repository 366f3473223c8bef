import math
from typing import Any

import numpy as np
import pytest

from cryodenoise.errors import UserError
from cryodenoise.simulation import limits
from cryodenoise.simulation.exposure import expose
from cryodenoise.simulation.limits import require_possible
from simulated import ice_alone, parameters

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"specimen": {"species": "t20"}}, "synthetic.specimen.species"),
    ({"specimen": {"second_species": "ribosome"}}, "synthetic.specimen.second_species"),
    ({"side_px": 44}, "synthetic: a micrograph of 176 × 176 Å is smaller than a particle t20s, 178 Å: give more"),
    ({"height_px": 44}, "a micrograph of 176 × 512 Å is smaller than a particle t20s"),
    (
        {"height_px": 32, "width_px": 2000, "specimen": {"particles": 0, "second_particles": 1},
         "pixel_size_angstrom": 3.8},
        "a micrograph of 122 × 7600 Å is smaller than a particle apoferritin, 122 Å",
    ),
    ({"specimen": {"particles": 5}}, "5 particles would cover 47% of a micrograph of 512 × 512 Å, at most 40% can be"),
    ({"specimen": {"particles": 5}}, "ask for at most 4"),
    ({"specimen": {"particles": 3, "second_particles": 3}}, "6 particles would cover 42%"),
    ({"specimen": {"particles": 100_000}}, "100000 particles would cover"),
    ({"ice": {"contamination": 5}}, "5 crystals would cover 111% of a micrograph of 512 × 512 Å: ask for at most 4"),
    ({"optics": {"defocus_um": (1.0, 11.0)}}, "synthetic.optics: an underfocus of 11.01 µm (the highest of"),
    ({"optics": {"defocus_um": (1.0, 1e300)}}, "spreads detail over ±2.46e+301 Å, more than half"),
    ({"optics": {"defocus_um": (10.1, 10.1), "astigmatism_nm": (0.0, 20_000.0)}}, "lower it, or give more pixels"),
    (
        {"detector": {"motion": "residual", "drift_angstrom": 257.0}},
        "synthetic.detector.drift_angstrom: 257 Å is more than half of the micrograph's 512 Å: lower it",
    ),
    (
        {"detector": {"frames": 3}},
        "synthetic.detector: 220.5 electrons a pixel and frame, at most 200 can be drawn: give more frames, a lower",
    ),
    ({"detector": {"dose_e_per_a2": 1e-9}}, "1.25e-08 electrons a pixel in all frames, at least 0.01 are needed"),
    (
        {"halves": True, "detector": {"motion": "residual", "drift_angstrom": 100.0}},
        "synthetic.detector.drift_angstrom: with 38 frames the halves would show the specimen 2.75 Å apart",
    ),
    ({"detector": {"frames": 4, "gain_spread": 0.01}}, "165.4 electrons a pixel and frame, at most 133.3 can be drawn"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_cannot_be_simulated_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        require_possible(parameters(**keys))
    assert message in str(caught.value)


STIGMATIC = {"astigmatism_nm": (0.0, 0.0)}
JUST_POSSIBLE: list[dict[str, Any]] = [
    {"specimen": {"particles": 4}},
    {"specimen": {"particles": 2, "second_particles": 4}},
    {"specimen": {"species": "apoferritin", "particles": 4, "second_species": "t20s", "second_particles": 2}},
    {"specimen": {"particles": 0, "second_particles": 8}},
    {"side_px": 71, "specimen": {"particles": 1}},
    {"side_px": 32, "pixel_size_angstrom": 10.0, "specimen": {"particles": 1}},
    {"pixel_size_angstrom": 20.0, "specimen": {"particles": 105}, "detector": {"dose_e_per_a2": 5.0}},
    {"height_px": 32, "width_px": 1500, "specimen": {"particles": 0}},
    {
        "side_px": 64,
        "pixel_size_angstrom": 0.1,
        "specimen": {"particles": 0},
        "optics": {**STIGMATIC, "defocus_um": (0.0, 0.05)},
    },
    {"optics": {**STIGMATIC, "defocus_um": (0.0, 10.3)}},
    {"optics": {"defocus_um": (0.0, 0.0), "astigmatism_nm": (0.0, 0.0), "cs_mm": 0.0, "amplitude_contrast": 0.0}},
    {"optics": {"defocus_um": (5.0, 5.0), "astigmatism_nm": (0.0, 10_000.0)}},
    {"optics": {"voltage_kv": 60.0}},
    {"optics": {"voltage_kv": 1000.0, "cs_mm": 10.0, "amplitude_contrast": 0.999, "b_factor_a2": 0.0}},
    {"optics": {"b_factor_a2": 2000.0}},
    {"ice": {"thickness_nm": 0.0}},
    {"ice": {"thickness_nm": 500.0, "gradient": 1.0, "structure_factor": 1.0}},
    {"ice": {"carbon_fraction": 0.9, "thickness_nm": 0.0}},
    {"pixel_size_angstrom": 20.0, "side_px": 512, "ice": {"carbon_fraction": 0.1}, "detector": {"frames": 200}},
    {"ice": {"contamination": 4}, "detector": {"frames": 4}},
    {"detector": {"frames": 1, "dose_e_per_a2": 12.5, "quantum_efficiency": 1.0}},
    {"detector": {"frames": 1000}},
    {"detector": {"frames": 5, "gain_spread": 0.3}},
    {"detector": {"motion": "residual", "drift_angstrom": 256.0, "frames": 5}},
    {"detector": {"motion": "residual", "frames": 1, "dose_e_per_a2": 10.0}},
    {"detector": {"mtf_at_nyquist": 1e-300}},
    {"detector": {"dose_e_per_a2": 1e-3}},
    {"halves": True, "detector": {"motion": "residual", "drift_angstrom": 70.0}},
]


@pytest.mark.parametrize("keys", JUST_POSSIBLE, ids=str)
def test_what_is_just_possible_can_be_simulated(keys: dict[str, Any]) -> None:
    wanted = parameters(**keys)
    require_possible(wanted)
    exposure = expose(wanted, 0)
    assert np.isfinite(exposure.truth).all()
    assert exposure.truth.min() >= 0
    assert exposure.truth.max() <= limits.BRIGHTEST * limits.electrons_per_pixel(wanted) * (1 + 1e-6)
    assert exposure.even.min() >= 0
    assert exposure.odd.min() >= 0
    total = float(exposure.truth.sum(dtype=np.float64))
    assert total > 0 or wanted.detector.dose_e_per_a2 < 1
    if not wanted.detector.gain_spread:
        counted = int(exposure.even.sum() + exposure.odd.sum())
        assert abs(counted - total) <= 5 * math.sqrt(total)


def test_crystals_as_many_as_fit_leave_light() -> None:
    exposure = expose(parameters(ice={"contamination": 4, "gradient": 0.0}), 0)
    assert exposure.truth.mean() > 0.6 * limits.electrons_per_pixel(parameters())


def test_electrons_are_dose_times_area_times_efficiency() -> None:
    wanted = ice_alone(pixel_size_angstrom=2.0, detector={"dose_e_per_a2": 30.0, "quantum_efficiency": 0.5})
    assert limits.electrons_per_pixel(wanted) == pytest.approx(60)
