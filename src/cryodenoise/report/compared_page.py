"""COMPARISON.html: one file that needs nothing but a browser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cryodenoise.config.comparison import CompareParameters, ComparisonRecord, TrackResult
from cryodenoise.config.scores import Interval
from cryodenoise.report import compared_tables, images, templates, theme
from cryodenoise.report.theme import LIGHT

_TEMPLATE = "compared.html.jinja"
_SIDE_PX = 112
"""Of the patch that is shown, at most the middle of so many pixels a side."""
_LONGEST_TITLE = 36  # signs; a longer one would leave no room for what is drawn
_SHOWN_PERCENT = (0.5, 99.5)


@dataclass(frozen=True)
class Picture:
    """A patch.

    Attributes:
        title: What made it.
        image: Intensities, shape (h, w).
        own_scale: Whether it has a grey scale of its own; the others share that of what they are held against.
    """

    title: str
    image: np.ndarray
    own_scale: bool = False


Pictures = Mapping[str, Sequence[Picture]]
"""Of each track, by name: the noisy input, what all are held against, and what every system made."""


def page(record: ComparisonRecord, parameters: CompareParameters, pictures: Pictures) -> str:
    """The page, as HTML: a table, a chart and pictures for each track; equal records give equal bytes."""
    return templates.rendered(
        _TEMPLATE,
        reading=compared_tables.READING.replace("*", ""),
        tracks=[_track(result, parameters, pictures[result.name]) for result in record.tracks],
        systems=list(parameters.systems.values()),
        remarks=list(compared_tables.remarks(record, parameters)),
        left_out=compared_tables.left_out(record),
        made=list(compared_tables.made(record)),
    )


def _track(result: TrackResult, parameters: CompareParameters, pictures: Sequence[Picture]) -> dict[str, Any]:
    track = parameters.tracks[result.name]
    svg = theme.drawn(lambda: _chart(result), (".svg",))[".svg"]
    light, dark = (images.data_uri(content, "image/svg+xml") for content in (svg, theme.for_dark(svg)))
    return {
        "id": result.name,
        "title": track.title,
        "says": compared_tables.says(result, track),
        "table": compared_tables.of_track(result, parameters),
        "literature": list(compared_tables.literature(result, parameters)),
        "light": light,
        "dark": dark,
        "pictures": _shown(pictures),
    }


def _shown(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """The middle of each picture, on the grey scale of what all are held against."""
    shared = np.percentile(_middle(pictures[1].image), _SHOWN_PERCENT)
    shown = []
    for picture in pictures:
        image = _middle(picture.image)
        low, high = (float(end) for end in (np.percentile(image, _SHOWN_PERCENT) if picture.own_scale else shared))
        panel = images.Panel("", picture.title, image, low, high if high > low else low + 1)
        height, width = image.shape
        uri = images.data_uri(images.png(panel), "image/png")
        shown.append({"title": picture.title, "uri": uri, "height": height, "width": width})
    return shown


def _middle(image: np.ndarray) -> np.ndarray:
    top, left = (max(side - _SIDE_PX, 0) // 2 for side in image.shape)
    return image[top : top + _SIDE_PX, left : left + _SIDE_PX]


def _chart(result: TrackResult) -> Figure:
    """PSNR of every row, as it is and under the best affine map, with its intervals."""
    rows = [row for row in reversed(result.rows) if row.psnr_db is not None and row.affine_psnr_db is not None]
    figure = Figure(figsize=(7.2, 0.9 + 0.27 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for height, row in enumerate(rows):
        assert row.psnr_db is not None  # nor is the other, see above
        assert row.affine_psnr_db is not None
        colour = LIGHT.denoised if row.kind == "system" else LIGHT.noisy if row.kind == "filter" else LIGHT.other
        _mark(axis, height + 0.13, row.psnr_db, row.psnr_interval_db, colour, "full")
        _mark(axis, height - 0.13, row.affine_psnr_db, row.affine_psnr_interval_db, colour, "none")
    titles = [row.title if len(row.title) <= _LONGEST_TITLE else f"{row.title[:_LONGEST_TITLE]}…" for row in rows]
    axis.set_yticks(range(len(rows)), titles, parse_math=False)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.set_xlabel(
        "PSNR in dB; hollow: with affine fit\nblue: systems, orange: classical filters, grey: input and bounds"
    )
    # A denoiser whose scale is another would push all others into one corner.
    fitted = [row.affine_psnr_db for row in rows if row.affine_psnr_db is not None]
    reach = max(max(fitted) - min(fitted), 1.0)
    axis.set_xlim(min(fitted) - 0.4 * reach, max(fitted) + 0.15 * reach)
    axis.grid(visible=True, axis="x")
    return figure


def _mark(
    axis: Axes,
    height: float,
    value: float,
    interval: Interval | None,
    colour: str,
    fill: Literal["full", "none"],
) -> None:
    if interval:
        axis.plot([interval.low, interval.high], [height, height], color=colour, linewidth=1.2)
    axis.plot([value], [height], marker="o", markersize=5, color=colour, fillstyle=fill, linestyle="none")
