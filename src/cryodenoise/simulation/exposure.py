"""One simulated exposure: a function of the parameters and the micrograph's number, on any machine, in any order."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cryodenoise.config.exposure import ExposureRecord
from cryodenoise.config.schema import canonical
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.signal import noise
from cryodenoise.simulation import detector
from cryodenoise.simulation.contrast import contrast_spectrum, transmission
from cryodenoise.simulation.limits import BRIGHTEST, electrons_per_pixel
from cryodenoise.simulation.scene import Scene, draw_scene
from cryodenoise.simulation.transform import frequencies, in_bands, inverse

BAND_ROWS = 64
"""Rows that a thread works on at a time: few enough to stay in its processor's cache."""


@dataclass(frozen=True)
class Exposure:
    """What the detector gives, and what is behind it.

    Attributes:
        truth: Electrons expected of the whole exposure, had all pixels the same sensitivity: float32 of shape (h, w).
        even: Electrons counted in the frames 0, 2, 4, …: int32 of shape (h, w).
        odd: In the frames 1, 3, 5, …
        record: What the micrograph shows, and how it was taken.
    """

    truth: np.ndarray
    even: np.ndarray
    odd: np.ndarray
    record: ExposureRecord


def expose(
    parameters: SyntheticParameters, index: int, on_frame: Callable[[np.ndarray], object] | None = None
) -> Exposure:
    """Simulate a micrograph.

    Args:
        parameters: Possible ones: `limits.require_possible` says so.
        index: Its number, from 0.
        on_frame: Is given every frame's counts, uint16 of shape (h, w), in their order.

    Raises:
        UserError: If the particles find no room.
    """
    scene = draw_scene(parameters, index)
    shape, frames = (parameters.height_px, parameters.width_px), parameters.detector.frames
    key = noise.key_for(parameters.seed, "simulation", "counts", _digest(parameters), index)
    gain = gain_reference(parameters)
    per_frame = electrons_per_pixel(parameters) / frames
    expected = [np.zeros(shape) for _ in range(2)]
    drawn = [np.zeros(shape, np.int32) for _ in range(2)]
    sums = [np.zeros(shape, np.int32) for _ in range(2)]
    counts = np.empty(shape, np.uint16)
    for number, image in enumerate(intensities(parameters, scene, index)):
        half = number % 2

        def take(band: slice, image: np.ndarray = image, number: int = number, half: int = half) -> None:
            """Rounding what is reached, not each frame, leaves the sum exact to a unit whatever the frames."""
            expected[half][band] += per_frame * image[band]
            recorded = expected[half][band] if gain is None else expected[half][band] / gain[band]
            reached = detector.rounded(recorded)
            rates = reached - drawn[half][band]
            drawn[half][band] = reached
            noise.count(rates, key, number, band.start * shape[1], counts[band])
            sums[half][band] += counts[band]

        in_bands(take, shape[0], BAND_ROWS)
        if on_frame:
            on_frame(counts)
    truth = np.empty(shape, np.float32)

    def add_up(band: slice) -> None:
        truth[band] = (detector.rounded(expected[0][band]) + detector.rounded(expected[1][band])) / detector.UNITS

    in_bands(add_up, shape[0], BAND_ROWS)
    even, odd = sums
    return Exposure(truth, even, odd, _record(parameters, index, scene))


def intensities(parameters: SyntheticParameters, scene: Scene, index: int) -> Iterator[np.ndarray]:
    """The image that each frame counts, over the incident beam: float64 of shape (h, w), the same array if still.

    The linear model can fall below zero, and rise far, where much ice lies on the micrograph: it is cut off at 0 and
    BRIGHTEST.
    """
    spectrum = contrast_spectrum(parameters, scene, index)
    if parameters.detector.motion == "none":
        still = _image(parameters, scene, spectrum)
        del spectrum
        yield from (still for _ in range(parameters.detector.frames))
        return
    fy, fx = frequencies(scene.canvas, parameters.pixel_size_angstrom)
    for y, x in scene.drift_angstrom:
        moved = spectrum * np.exp(-2j * math.pi * y * fy)
        moved *= np.exp(-2j * math.pi * x * fx)
        yield _image(parameters, scene, moved)


def _image(parameters: SyntheticParameters, scene: Scene, spectrum: np.ndarray) -> np.ndarray:
    """The intensity of a contrast on its canvas, which is overwritten, within the micrograph."""
    rows, columns = (
        slice(first, first + side)
        for first, side in zip(scene.corner, (parameters.height_px, parameters.width_px), strict=True)
    )
    image = inverse(spectrum, scene.canvas[1])[rows, columns]
    image += 1
    np.clip(image, 0, BRIGHTEST, out=image)
    image *= transmission(parameters, scene)
    return image


def gain_reference(parameters: SyntheticParameters) -> np.ndarray | None:
    """What the counts of all micrographs must be multiplied by, float32 of shape (h, w); None if they are corrected."""
    return detector.gain_of_pixels(
        parameters.detector.gain_spread, parameters.seed, (parameters.height_px, parameters.width_px)
    )


def micrograph_name(index: int) -> str:
    """File name of a micrograph."""
    return f"synthetic_{index:04d}.mrc"


def _digest(parameters: SyntheticParameters) -> str:
    """SHA-256 of what is simulated: of keys that differ from their defaults, so that a new key changes no counts."""
    which_files = {"preset", "micrographs", "seed", "halves", "movies"}
    content = parameters.model_dump(mode="json", exclude=which_files, exclude_defaults=True)
    return hashlib.sha256(canonical(content)).hexdigest()


def _record(parameters: SyntheticParameters, index: int, scene: Scene) -> ExposureRecord:
    moving = parameters.detector.motion == "residual"
    return ExposureRecord(
        format=ExposureRecord.FORMAT,
        format_version=ExposureRecord.VERSION,
        micrograph=micrograph_name(index),
        height_px=parameters.height_px,
        width_px=parameters.width_px,
        pixel_size_angstrom=parameters.pixel_size_angstrom,
        electrons_per_pixel=electrons_per_pixel(parameters),
        voltage_kv=parameters.optics.voltage_kv,
        cs_mm=parameters.optics.cs_mm,
        amplitude_contrast=parameters.optics.amplitude_contrast,
        defocus_u_um=round(scene.focus.u_angstrom / 1e4, 6),
        defocus_v_um=round(scene.focus.v_angstrom / 1e4, 6),
        defocus_angle_deg=round(math.degrees(scene.focus.angle_rad), 4),
        drift_angstrom=[(round(float(y), 4), round(float(x), 4)) for y, x in scene.drift_angstrom] if moving else [],
        particles=scene.particles,
    )
