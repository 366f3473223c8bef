"""Figures of a micrograph, as PNG: what there is of it side by side, and its power spectrum with the Thon rings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cryodenoise.config.exposure import Particle
from cryodenoise.report.figures import png
from cryodenoise.report.panels import SHOWN_PERCENT, binned, binning, ruler
from cryodenoise.signal.spectrum import HIGHEST, power_spectrum, radial

_DPI = 82
_WINDOW_PX = 512
_LEAST_WINDOW_PX = 32
_COLOURS = ("#d1495b", "#1b6ca8", "#6b6b6b", "#e09f3e")


@dataclass(frozen=True)
class Shown:
    """What there is of a micrograph.

    Attributes:
        title: What the figures are called.
        images: Images of one shape by what they are; the first is the micrograph.
        pixel_size_angstrom: None where it is not known.
        particles: To be marked, in a panel of its own; may be empty.
        zeros: Frequencies at which the contrast transfer vanishes, in 1/Å; may be empty.
    """

    title: str
    images: Mapping[str, np.ndarray]
    pixel_size_angstrom: float | None
    particles: Sequence[Particle]
    zeros: np.ndarray


def exposure_sheet(shown: Shown) -> bytes:
    """The images side by side, each on a grey scale of its own, binned to what a screen shows; a PNG file."""
    panels = [(name, image, False) for name, image in shown.images.items()]
    if shown.particles:
        panels.insert(1, ("particles", next(iter(shown.images.values())), True))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.7 * columns, 4.1 * rows + 0.4), dpi=_DPI, layout="constrained")
    figure.suptitle(shown.title, fontsize=10)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, image, marked) in zip(axes, panels, strict=False):
        _panel(axis, name, image, shown)
        if marked:
            _mark(axis, shown)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return png(figure)


def spectrum_sheet(shown: Shown) -> bytes:
    """The power spectrum in two dimensions and around rings, and where the optics let nothing through; a PNG file."""
    side = min(_WINDOW_PX, *next(iter(shown.images.values())).shape)
    spectra = {name: power_spectrum(image, side) for name, image in shown.images.items() if side >= _LEAST_WINDOW_PX}
    if {"even frames", "odd frames"} <= shown.images.keys():
        difference = shown.images["even frames"].astype(np.float64) - shown.images["odd frames"]
        spectra = {name: power for name, power in spectra.items() if not name.endswith("frames")}
        spectra["even − odd: noise alone"] = power_spectrum(difference, side)
    figure = Figure(figsize=(12.6, 4.6), dpi=_DPI, layout="constrained")
    figure.suptitle(shown.title, fontsize=10)
    two, rings = figure.subplots(1, 2, width_ratios=(1, 2))
    if not spectra:
        return png(figure)
    size = shown.pixel_size_angstrom
    _two_dimensional(two, next(iter(spectra.values())), size)
    for (name, power), colour in zip(spectra.items(), _COLOURS, strict=False):
        frequency, mean = radial(power)
        if mean.max() > 0:
            rings.plot(frequency / (size or 1.0), mean, color=colour, label=name, linewidth=1.3)
    for number, zero in enumerate(shown.zeros):
        rings.axvline(zero, color="0.75", linewidth=0.6, zorder=0, label=None if number else "zeros of the CTF")
    unit = "1/px" if size is None else "1/Å"
    rings.set(xlabel=f"spatial frequency in {unit}", ylabel="power (white noise: its variance)", yscale="log")
    rings.set_xlim(0, HIGHEST / (size or 1.0))
    rings.set_title("around rings", fontsize=10)
    if rings.get_lines():  # a constant image has no power at all
        rings.legend(fontsize=8)
    return png(figure)


def _panel(axis: Axes, name: str, image: np.ndarray, shown: Shown) -> None:
    factor = binning(image)
    small = binned(image, factor)
    low, high = np.percentile(small, SHOWN_PERCENT)
    axis.imshow(small, cmap="gray", vmin=low, vmax=high)
    values = np.asarray(image, np.float64)
    note = f", shown binned {factor} × {factor}" if factor > 1 else ""
    axis.set_title(f"{name}\nmean {values.mean():.2f}, SD {values.std():.2f}{note}", fontsize=9)
    axis.set(xticks=[], yticks=[])
    if shown.pixel_size_angstrom:
        ruler(axis, small.shape, shown.pixel_size_angstrom * factor)


def _mark(axis: Axes, shown: Shown) -> None:
    image = next(iter(shown.images.values()))
    factor = binning(image)
    assert shown.pixel_size_angstrom  # whoever knows the particles knows it
    for particle in shown.particles:
        centre = ((particle.x_px + 0.5) / factor - 0.5, (particle.y_px + 0.5) / factor - 0.5)
        radius = particle.radius_angstrom / shown.pixel_size_angstrom / factor
        axis.add_patch(Circle(centre, radius, fill=False, color=_COLOURS[0], linewidth=0.8))
    axis.set_title(f"particles\n{len(shown.particles)}, some of them beyond the border", fontsize=9)
    axis.set(xlim=(-0.5, image.shape[1] // factor - 0.5), ylim=(image.shape[0] // factor - 0.5, -0.5))


def _two_dimensional(axis: Axes, power: np.ndarray, pixel_size_angstrom: float | None) -> None:
    """The logarithm of the power, frequency 0 in the middle, each ring within reach of the noise's own spread."""
    logarithm = np.log(np.fft.fftshift(np.maximum(power, np.finfo(float).tiny)))
    low, high = np.percentile(logarithm, (20, 99.7))
    reach = HIGHEST / (pixel_size_angstrom or 1.0)
    axis.imshow(logarithm, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), extent=(-reach, reach, -reach, reach))
    axis.set_title("power spectrum of the micrograph", fontsize=10)
    axis.set_xlabel(f"spatial frequency in {'1/px' if pixel_size_angstrom is None else '1/Å'}")
