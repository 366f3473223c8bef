"""The example patches of a report, and the grey scales on which they are shown."""

import base64
from dataclasses import dataclass

import imagecodecs
import numpy as np

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import EXAMPLES, Measures
from cryodenoise.report.wording import reference_of

_SHOWN_PERCENT = (0.5, 99.5)
_LEAST_REACH = 1e-30  # where there is no residual at all
PANELS = ("noisy", "denoised", "reference", "residual")


@dataclass(frozen=True)
class Panel:
    """An image and the intensities that are black and white.

    Attributes:
        name: One of PANELS.
        title: What it is called.
        image: float32 of shape (h, w).
        low: What is black.
        high: What is white.
    """

    name: str
    title: str
    image: np.ndarray
    low: float
    high: float


@dataclass(frozen=True)
class Example:
    """A patch as noisy, denoised, reference and residual.

    Attributes:
        name: `best`, `median` or `worst`, by PSNR.
        sample: Its index in the test split.
        psnr_db: PSNR of what was scored; None where there is no error.
        noisy_psnr_db: That of the noisy input.
        micrograph: Index of its micrograph.
        row: Its first row there.
        column: Its first column.
        panels: In the order of PANELS.
    """

    name: str
    sample: int
    psnr_db: float | None
    noisy_psnr_db: float | None
    micrograph: int
    row: int
    column: int
    panels: tuple[Panel, ...]


def examples(report: Report, measures: Measures) -> list[Example]:
    """Best, median and worst.

    Denoised and reference share a grey scale. A reference that is the other half shares that of the noisy input
    instead: its noise would leave next to no contrast to the denoised. That of the residual has zero in its middle.
    """
    found = []
    for name, sample, images in zip(EXAMPLES, measures.example_samples.tolist(), measures.examples, strict=True):
        noisy, denoised, reference = images
        as_noisy = report.pairs == "halves" and report.against_truth is None
        alike = (noisy, reference) if as_noisy else (denoised, reference)
        shared = _scale(*alike)
        residual = noisy - denoised
        reach = max(float(np.percentile(np.abs(residual), _SHOWN_PERCENT[1])), _LEAST_REACH)
        own = {"noisy": _scale(noisy), "denoised": _scale(denoised), "residual": (-reach, reach), "reference": shared}
        own["noisy" if as_noisy else "denoised"] = shared
        titles = {"noisy": "noisy", "denoised": "denoised", "reference": reference_of(report)}
        titles["residual"] = "noisy − denoised"
        shown = dict(zip(PANELS, (noisy, denoised, reference, residual), strict=True))
        found.append(
            Example(
                name=name,
                sample=sample,
                psnr_db=psnr_db(float(measures.denoised_mse[sample])),
                noisy_psnr_db=psnr_db(float(measures.noisy_mse[sample])),
                micrograph=int(measures.micrograph[sample]),
                row=int(measures.row[sample]),
                column=int(measures.column[sample]),
                panels=tuple(Panel(key, titles[key], image, *own[key]) for key, image in shown.items()),
            )
        )
    return found


def psnr_db(mse: float) -> float | None:
    """10·log10(1 / mse); None where there is no error."""
    return float(-10 * np.log10(mse)) if mse > 0 else None


def png(panel: Panel) -> bytes:
    """A panel as a PNG file of 8 bits, pixel by pixel."""
    level = (np.asarray(panel.image, np.float64) - panel.low) / (panel.high - panel.low)
    return bytes(imagecodecs.png_encode(np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8), level=9))


def data_uri(content: bytes, kind: str) -> str:
    """A file as an address that holds it; `kind` such as `image/png`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _scale(*images: np.ndarray) -> tuple[float, float]:
    """Black and white for all of these, also where they are constant."""
    low, high = (float(end) for end in np.percentile(np.stack(images), _SHOWN_PERCENT))
    return (low, high) if high > low else (low - 0.5, low + 0.5)
