"""Section `synthetic:` of a run file: presets, ranges, and mistakes that are named."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryodenoise.config.simulation import PRESETS, SyntheticParameters
from cryodenoise.errors import UserError
from cryodenoise.simulation.limits import electrons_per_pixel, require_possible


def load(tmp_path: Path, content: dict[str, Any]) -> SyntheticParameters:
    path = tmp_path / "synthetic.yaml"
    path.write_text(yaml.safe_dump(content))
    return SyntheticParameters.load(path)


SMALL: dict[str, Any] = {"micrographs": 1, "height_px": 128, "width_px": 96}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_whole_and_possible(name: str, tmp_path: Path) -> None:
    loaded = load(tmp_path, {"preset": name})
    require_possible(loaded)
    assert loaded.preset == name
    assert loaded.specimen.species == "t20s"


def test_every_preset_is_named_by_the_schema() -> None:
    for name in PRESETS:
        assert SyntheticParameters.model_validate({"preset": name}).preset == name


def test_the_presets_are_what_the_documents_say(tmp_path: Path) -> None:
    smoke, laptop, real = (load(tmp_path, {"preset": name}) for name in ("smoke", "laptop", "t20s-like"))
    assert (smoke.height_px, laptop.height_px, real.height_px) == (512, 1024, 4096)
    density = [each.specimen.particles / (each.height_px * each.width_px * each.pixel_size_angstrom**2) for each in
               (smoke, laptop, real)]  # fmt: skip
    assert density == pytest.approx([density[0]] * 3, rel=0.07)
    assert real.pixel_size_angstrom == 2 * 0.6575


def test_the_defaults_are_those_of_empiar_10025(tmp_path: Path) -> None:
    loaded = load(tmp_path, SMALL)
    optics, detector = loaded.optics, loaded.detector
    assert (optics.voltage_kv, optics.cs_mm, optics.amplitude_contrast) == (300, 2.7, 0.1)
    assert (loaded.pixel_size_angstrom, optics.defocus_um) == (0.6575, (1.4, 2.0))
    assert (detector.dose_e_per_a2, detector.frames) == (53, 38)
    assert electrons_per_pixel(loaded) * math.exp(-30 / 300) == pytest.approx(16.1, abs=0.1)  # through 30 nm of ice


def test_what_is_given_goes_over_the_preset_key_by_key(tmp_path: Path) -> None:
    given = {"preset": "smoke", "width_px": 640, "specimen": {"second_particles": 3}, "ice": {"contamination": 1}}
    loaded = load(tmp_path, given)
    assert (loaded.height_px, loaded.width_px, loaded.pixel_size_angstrom) == (512, 640, 2.63)
    assert (loaded.specimen.particles, loaded.specimen.second_particles) == (18, 3)
    assert loaded.ice.contamination == 1
    assert load(tmp_path, {"preset": "smoke", "specimen": {"particles": 0}}).specimen.particles == 0


def test_a_preset_is_the_same_as_its_values_written_out(tmp_path: Path) -> None:
    spelled = load(tmp_path, {**PRESETS["smoke"]})
    assert load(tmp_path, {"preset": "smoke"}).model_copy(update={"preset": None}) == spelled


def test_presets_are_left_as_they_are(tmp_path: Path) -> None:
    load(tmp_path, {"preset": "laptop", "specimen": {"particles": 1}})
    assert PRESETS["laptop"]["specimen"] == {"particles": 75}


@pytest.mark.parametrize("frames", [1, 7])
def test_halves_want_frames_that_can_be_halved(frames: int, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"give an even number of detector\.frames"):
        load(tmp_path, {**SMALL, "halves": True, "detector": {"frames": frames}})
    assert load(tmp_path, {**SMALL, "detector": {"frames": frames}}).detector.frames == frames
    assert load(tmp_path, {**SMALL, "halves": True, "detector": {"frames": 2 * frames}}).halves


def test_a_wrong_preset_is_the_only_mistake_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, {"preset": "smokee"})
    assert len(str(caught.value).splitlines()) == 1
    assert all(word in str(caught.value) for word in ("preset", "smokee", "t20s-like"))


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"detector": {"dose_e_per_a2": 0}}, "detector.dose_e_per_a2: found 0, expected more than 0"),
    ({"detector": {"dose_e_per_a2": -3}}, "detector.dose_e_per_a2: found -3"),
    ({"detector": {"frames": 0}}, "detector.frames: found 0, expected at least 1"),
    ({"detector": {"frames": 1001}}, "detector.frames: found 1001, expected at most 1000"),
    ({"detector": {"mtf_at_nyquist": 1.1}}, "detector.mtf_at_nyquist: found 1.1, expected at most 1"),
    ({"detector": {"mtf_at_nyquist": 0}}, "detector.mtf_at_nyquist"),
    ({"detector": {"quantum_efficiency": 0}}, "detector.quantum_efficiency"),
    ({"detector": {"gain_spread": 0.4}}, "detector.gain_spread"),
    ({"detector": {"motion": "drift"}}, "detector.motion"),
    ({"pixel_size_angstrom": 0}, "pixel_size_angstrom: found 0, expected at least 0.05"),
    ({"optics": {"astigmatism_nm": [0, 3000]}}, "optics: astigmatism_nm up to 3000 and defocus_um from 1.4"),
    ({"optics": {"defocus_um": [1, 2, 3]}}, "optics.defocus_um: found [1, 2, 3], expected 2 values"),
    ({"pixel_size_angstrom": -1}, "pixel_size_angstrom: found -1"),
    ({"pixel_size_angstrom": 21}, "pixel_size_angstrom"),
    ({"height_px": 31}, "height_px: found 31, expected at least 32"),
    ({"micrographs": 0}, "micrographs: found 0"),
    ({"seed": -1}, "seed: found -1"),
    ({"specimen": {"particles": -1}}, "specimen.particles: found -1"),
    ({"specimen": {"particle": 3}}, "specimen.particle: unknown key; did you mean 'particles'?"),
    ({"specimen": None}, "specimen"),
    ({"ice": {"thickness_nm": -1}}, "ice.thickness_nm"),
    ({"ice": {"carbon_fraction": 1}}, "ice.carbon_fraction: found 1, expected at most 0.9"),
    ({"optics": {"voltage_kv": 0.3}}, "optics.voltage_kv: found 0.3, expected at least 60"),
    ({"optics": {"amplitude_contrast": 1}}, "optics.amplitude_contrast"),
    ({"optics": {"defocus_um": [2.0, 1.4]}}, "defocus_um is [2, 1.4]: give the lowest value first"),
    ({"optics": {"defocus_um": [-1, 1.4]}}, "defocus_um is [-1, 1.4]: give the lowest value first, neither below 0"),
    ({"optics": {"astigmatism_nm": [28, 9]}}, "astigmatism_nm is [28, 9]"),
    ({"optics": {"defocus_um": 1.7}}, "optics.defocus_um"),
    ({"optics": {"defocus_um": [1.7]}}, "optics.defocus_um"),
    ({"optics": {"defocus_um": [1.4, 1.7, 2.0]}}, "optics.defocus_um"),
    ({"optics": {"defocus_um": [1.4, "2"]}}, "optics.defocus_um"),
    ({"optics": {"defocus_um": [1.4, float("nan")]}}, "optics.defocus_um"),
    ({"optics": {"defocus_um": [1.4, float("inf")]}}, "optics.defocus_um"),
]  # fmt: skip


@pytest.mark.parametrize("preset", [None, "smoke"])
@pytest.mark.parametrize(("content", "message"), NONSENSE, ids=[message for _, message in NONSENSE])
def test_nonsense_is_refused_by_name(content: dict[str, Any], message: str, preset: str | None, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, {**SMALL, "preset": preset, **content})
    assert message in str(caught.value)


@pytest.mark.parametrize("missing", ["micrographs", "height_px", "width_px"])
def test_without_a_preset_the_size_must_be_given(missing: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"{missing}: missing"):
        load(tmp_path, {key: value for key, value in SMALL.items() if key != missing})
