"""Small simulated exposures for the tests."""

from typing import Any

from cryodenoise.config.simulation import SyntheticParameters

DEVIATIONS = 5.0
"""Standard errors that a statistic may lie off: a normal one does once in 1.7 million, and all seeds are fixed."""


def parameters(side_px: int = 128, pixel_size_angstrom: float = 4.0, **keys: Any) -> SyntheticParameters:
    """Parameters of a square exposure with no more than two particles; sections are given as mappings."""
    small = {"micrographs": 1, "height_px": side_px, "width_px": side_px, "pixel_size_angstrom": pixel_size_angstrom}
    return SyntheticParameters.model_validate({**small, "specimen": {"particles": 2}, **keys})


def ice_alone(side_px: int = 128, pixel_size_angstrom: float = 4.0, **keys: Any) -> SyntheticParameters:
    """Parameters of ice as thick everywhere, with no particles, through a detector that transfers all."""
    sections: dict[str, dict[str, Any]] = {
        "specimen": {"particles": 0},
        "ice": {"gradient": 0.0},
        "optics": {"astigmatism_nm": (0.0, 0.0)},
        "detector": {"mtf_at_nyquist": 1.0},
    }
    for name, section in sections.items():
        keys[name] = {**section, **keys.get(name, {})}
    return parameters(side_px, pixel_size_angstrom, **keys)
