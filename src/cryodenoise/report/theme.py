"""How charts look: colours that the colour-blind can tell apart, on white paper or a dark screen, and file formats."""

import io
from collections.abc import Callable, Collection
from dataclasses import astuple, dataclass
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

_DPI = 200  # legible in print at half a page


@dataclass(frozen=True)
class Theme:
    """Colours of a chart, after Okabe and Ito (https://jfly.uni-koeln.de/color/).

    Attributes:
        ink: Text, axes, diagonals, and what belongs to truth or target.
        noisy: What belongs to the noisy input.
        denoised: What belongs to what was scored.
        residual: What belongs to noisy less denoised.
        other: Anything else.
    """

    ink: str
    noisy: str
    denoised: str
    residual: str
    other: str


LIGHT = Theme("#1c1c1c", "#d55e00", "#0072b2", "#9a5b83", "#6b6b6b")
"""For paper, and a page with a light background."""
DARK = Theme("#e4e6ea", "#e69f00", "#56b4e9", "#cc79a7", "#9aa0a8")
"""For a page with a dark background."""
_STYLE: dict[str, Any] = {
    **{f"{name}.color": LIGHT.ink for name in ("text", "xtick", "ytick")},
    "axes.edgecolor": LIGHT.ink,
    "axes.labelcolor": LIGHT.ink,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9.5,
    "font.size": 9.5,
    "grid.color": LIGHT.ink,
    "grid.alpha": 0.15,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "cryodenoise",  # identifiers within the file would be drawn by chance
}


def drawn(draw: Callable[[], Figure], suffixes: Collection[str]) -> dict[str, bytes]:
    """A chart as the content of files by their suffix, `.png`, `.pdf` or `.svg`: the same bytes for the same chart."""
    with matplotlib.style.context(["default", _STYLE]):
        figure = draw()
        figure.set_dpi(_DPI)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # what was found once need not be found for each format
        return {suffix: _FORMATS[suffix](figure) for suffix in suffixes}


def for_dark(svg: bytes) -> bytes:
    """The same drawing in the colours for a dark background."""
    for light, dark in zip(astuple(LIGHT), astuple(DARK), strict=True):
        svg = svg.replace(light.encode(), dark.encode())
    return svg


def _png(figure: Figure) -> bytes:
    stream, canvas = io.BytesIO(), _untyped(FigureCanvasAgg(figure))
    canvas.print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def _pdf(figure: Figure) -> bytes:
    stream, canvas = io.BytesIO(), _untyped(FigureCanvasPdf(figure))
    canvas.print_pdf(stream, metadata={"CreationDate": None, "Producer": None})
    return stream.getvalue()


def _svg(figure: Figure) -> bytes:
    """Without paper, so that the page's shows through."""
    stream, canvas, paper = io.BytesIO(), _untyped(FigureCanvasSVG(figure)), figure.get_facecolor()
    figure.set_facecolor("none")
    canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
    figure.set_facecolor(paper)
    return stream.getvalue()


def _untyped(canvas: Any) -> Any:
    return canvas  # matplotlib gives the printing of its canvases no types


_FORMATS = {".png": _png, ".pdf": _pdf, ".svg": _svg}  # the canvases themselves: `savefig` would draw each twice
