"""What it takes to simulate a micrograph: time, from a moment of the program's own work, and memory."""

import time

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.simulation.exposure import expose
from cryodenoise.simulation.scene import draw_scene

_PROBE_PX = 512
_PROCESS_BYTES = 210 << 20
_OPTICS_BYTES, _COUNTING_BYTES, _DRIFT_BYTES = 26, 45, 28
"""A pixel of the canvas while the contrast is made; of the micrograph while electrons are counted, beside the image's 8
on the canvas; of the canvas where each frame has an image of its own."""


def seconds_a_micrograph(section: SyntheticParameters) -> float:
    """Time that one micrograph takes, told by part of one: its frames go with its pixels, all else with the canvas."""
    probe = _part(section, min(section.height_px, _PROBE_PX), min(section.width_px, _PROBE_PX))
    camera = probe.detector
    one_frame = {"frames": 1, "dose_e_per_a2": camera.dose_e_per_a2 / camera.frames}
    of_one_frame = probe.model_copy(update={"detector": camera.model_copy(update=one_frame)})
    expose(of_one_frame, 0)  # compiles what is compiled
    once_s = _seconds(of_one_frame)
    frames_s = max(_seconds(probe) - once_s, 0.0)
    return once_s * _canvas_px(section) / _canvas_px(probe) + frames_s * _pixels(section) / _pixels(probe)


def memory_bytes(section: SyntheticParameters) -> int:
    """Memory that simulating takes, beside the pages of a movie's file, which the system writes out as it needs."""
    canvas, pixels = _canvas_px(section), _pixels(section)
    drift = _DRIFT_BYTES if section.detector.motion == "residual" else 0
    return _PROCESS_BYTES + max(_OPTICS_BYTES * canvas, (8 + drift) * canvas + _COUNTING_BYTES * pixels)


def _part(section: SyntheticParameters, height_px: int, width_px: int) -> SyntheticParameters:
    """A smaller micrograph with as many particles for its size."""
    share = height_px * width_px / _pixels(section)
    specimen = section.specimen
    counts = {key: int(getattr(specimen, key) * share) for key in ("particles", "second_particles")}
    return section.model_copy(
        update={"height_px": height_px, "width_px": width_px, "specimen": specimen.model_copy(update=counts)}
    )


def _seconds(section: SyntheticParameters) -> float:
    started_s = time.perf_counter()
    expose(section, 0)
    return time.perf_counter() - started_s


def _pixels(section: SyntheticParameters) -> int:
    return section.height_px * section.width_px


def _canvas_px(section: SyntheticParameters) -> int:
    height, width = draw_scene(section, 0).canvas
    return height * width
