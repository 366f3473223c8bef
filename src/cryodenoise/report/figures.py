"""Figures of a dataset's patches, as PNG: contact sheet, histograms, power spectra. No display is needed."""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it finds a place for its caches itself, and need not say so

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from cryodenoise.signal.spectrum import HIGHEST, radial_power_spectrum  # noqa: E402

_DPI = 110
_BINS, _RANGE = 101, (-0.005, 1.005)  # a bin around each hundredth: counts of electrons over 100 fall in the middle
_FREE_BINS = 31  # wider than the steps of counts, where these are on no known scale
_OUTERMOST = 0.001  # share of the pixels that may lie beyond either end of a scale that follows the data
_SHOWN_PX = 256  # what a panel shows pixel by pixel; fewer pixels than that would show less noise than there is
_COLOURS = {"target": "#1b6ca8", "input": "#d1495b", "input − target": "#6b6b6b"}


@dataclass(frozen=True)
class Patch:
    """A sample to draw.

    Attributes:
        split: What it is for.
        label: Where it comes from.
        input: float32 of shape (h, w).
        target: Likewise.
        pixel_size_angstrom: None where it is not known.
        truth: What is carried along for the scores, likewise; None where nothing is.
    """

    split: str
    label: str
    input: np.ndarray
    target: np.ndarray
    pixel_size_angstrom: float | None
    truth: np.ndarray | None = None


@dataclass(frozen=True)
class Words:
    """What targets and inputs are.

    Attributes:
        target: For example `clean`.
        input: For example `noisy`.
        clipped: Whether all intensities lie in [0, 1].
    """

    target: str
    input: str
    clipped: bool


def contact_sheet(patches: Sequence[Patch], title: str, words: Words) -> bytes:
    """Target, input and difference of each patch, and the truth of those that have one beside it; one row a patch.

    All but the difference have one grey scale: from 0 to 1 where inputs are clipped there, else what these cover.

    Returns:
        A PNG file.
    """
    reach = max(float(np.quantile(np.abs(patch.input - patch.target), 0.999)) for patch in patches) or 1.0
    dark, bright = (0.0, 1.0) if words.clipped else _covered([patch.input for patch in patches])
    height_in = 2.5 * len(patches) + 1.5
    headings = [f"{words.target} (target)", f"{words.input} (input)", "input − target"]
    headings += ["truth"] * any(patch.truth is not None for patch in patches)
    figure = Figure(figsize=(2.8 * len(headings) + 0.2, height_in), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots(len(patches), len(headings), squeeze=False)
    for patch, row in zip(patches, axes, strict=True):
        target, noisy = _middle(patch.target), _middle(patch.input)
        grey = row[0].imshow(target, cmap="gray", vmin=dark, vmax=bright)
        row[1].imshow(noisy, cmap="gray", vmin=dark, vmax=bright)
        signed = row[2].imshow(noisy - target, cmap="RdBu_r", vmin=-reach, vmax=reach)
        if patch.truth is not None:
            row[3].imshow(_middle(patch.truth), cmap="gray", vmin=dark, vmax=bright)
        elif len(row) > 3:
            row[3].axis("off")
        row[0].set_ylabel(f"{patch.split}\n{patch.label}", fontsize=7)
        for panel in row:
            panel.set(xticks=[], yticks=[])
    shown = "" if target.shape == patch.target.shape else "\nmiddle {} × {} pixels".format(*target.shape)
    for panel, heading in zip(axes[0], headings, strict=True):
        panel.set_title(heading + shown, fontsize=10)
    for mappable, columns, label in (
        (grey, axes[:, :2], "intensity"),
        (signed, axes[:, 2:3], "difference of intensity"),
    ):
        bar = figure.colorbar(
            mappable, ax=list(columns.ravel()), location="bottom", fraction=0.25 / height_in, aspect=30, pad=0.02
        )
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=8)
    return png(figure)


def histograms(patches: Sequence[Patch], title: str, words: Words) -> bytes:
    """How often each intensity occurs in inputs and targets, one panel a split, as densities on a logarithmic axis.

    Returns:
        A PNG file.
    """
    figure, panels = _panel_for_each_split(patches, title)
    everything = [image for patch in patches for image in (patch.input, patch.target)]
    drawn = _RANGE if words.clipped else _covered(everything)
    bins = _BINS if words.clipped else _FREE_BINS
    for split, panel in panels.items():
        for name, what in (("target", words.target), ("input", words.input)):
            values = np.concatenate([_image(patch, name).ravel() for patch in patches if patch.split == split])
            density, edges = np.histogram(values, bins, drawn, density=True)
            summary = f"{name} ({what}): mean {values.mean(dtype='f8'):.3f}, SD {values.std(dtype='f8'):.3f}"
            panel.stairs(density, edges, color=_COLOURS[name], label=summary, linewidth=1.4)
        panel.set(xlabel="intensity", xlim=drawn, yscale="log")
        panel.legend(fontsize=7)
    next(iter(panels.values())).set_ylabel("density (1 over all intensities)")
    return png(figure)


def power_spectra(patches: Sequence[Patch], title: str, words: Words) -> bytes:
    """Radial power spectra of inputs, targets and their differences, averaged over the patches of each split.

    The frequency is in 1/Å where all patches have one known pixel size, else in 1/pixel.

    Returns:
        A PNG file.
    """
    sizes = {patch.pixel_size_angstrom for patch in patches}
    size = sizes.pop() if len(sizes) == 1 else None
    unit = "1/px" if size is None else "1/Å"
    figure, panels = _panel_for_each_split(patches, title)
    for split, panel in panels.items():
        of_split = [patch for patch in patches if patch.split == split]
        for name, colour in _COLOURS.items():
            spectra = [radial_power_spectrum(_image(patch, name)) for patch in of_split]
            frequency, power = spectra[0][0], np.mean([power for _, power in spectra], axis=0)
            if power.max() > 0:  # without noise there is no difference, in a constant patch nothing at all
                what = {"target": f"target ({words.target})", "input": f"input ({words.input})"}.get(name, name)
                panel.plot(frequency / (size or 1.0), power, color=colour, label=what, linewidth=1.4)
        panel.set(xlabel=f"spatial frequency in {unit}", xlim=(0, HIGHEST / (size or 1.0)), yscale="log")
        panel.grid(alpha=0.25)
        if panel.get_lines():
            panel.legend(fontsize=8)
    next(iter(panels.values())).set_ylabel("power (white noise: its variance)")
    return png(figure)


def _image(patch: Patch, name: str) -> np.ndarray:
    difference: np.ndarray = patch.input - patch.target
    return {"target": patch.target, "input": patch.input}.get(name, difference)


def _covered(images: Sequence[np.ndarray]) -> tuple[float, float]:
    """An interval that holds nearly all intensities, also where they are but one."""
    values = np.concatenate([image.ravel() for image in images])
    low, high = (float(value) for value in np.quantile(values, (_OUTERMOST, 1 - _OUTERMOST)))
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(side - _SHOWN_PX, 0) // 2 for side in image.shape)
    return image[top : top + _SHOWN_PX, left : left + _SHOWN_PX]


def _panel_for_each_split(patches: Sequence[Patch], title: str) -> tuple[Figure, dict[str, Axes]]:
    """Panels side by side with a common vertical axis, each named after its split."""
    splits = list(dict.fromkeys(patch.split for patch in patches))
    figure = Figure(figsize=(4.2 * len(splits), 4.4), dpi=_DPI, layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = dict(zip(splits, figure.subplots(1, len(splits), sharey=True, squeeze=False)[0], strict=True))
    for split, panel in panels.items():
        count = sum(patch.split == split for patch in patches)
        panel.set_title(f"{split}: {count} patch{'es' * (count > 1)}", fontsize=10)
    return figure, panels


def png(figure: Figure) -> bytes:
    """A figure as a PNG file; no display is needed."""
    stream = io.BytesIO()
    FigureCanvasAgg(figure)  # draws without a display
    figure.savefig(stream, format="png")
    return stream.getvalue()
