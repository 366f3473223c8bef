"""Soft discs under shot noise: a simple stand-in for micrographs where none are at hand.

No physical simulation: no optics, no specimen, no detector. Each pixel counts Poisson electrons around an expectation
that falls by `disc_contrast` within randomly placed discs.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cryodenoise import seeds
from cryodenoise.config.documents import DownloadRecord, RawFile
from cryodenoise.config.run_files import DownloadParameters, SyntheticParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import require_space
from cryodenoise.micrographs import mrc
from cryodenoise.sources.listing import Announced, SourceFile
from cryodenoise.sources.record import describe, size_problem

_EDGE_FRACTION = 0.1
"""Width of a disc's logistic edge, of its radius."""
_REACH = 2.0
"""Distance, in radii, at which a disc's contrast counts as 0 (it is 4.5e-5 there)."""


def expectation(parameters: SyntheticParameters, index: int) -> np.ndarray:
    """Electrons expected in each pixel of one micrograph, float64, shape (height_px, width_px)."""
    rng = seeds.generator(parameters.seed, "synthetic", "discs", index)
    expected = np.full((parameters.height_px, parameters.width_px), parameters.mean_electrons)
    radius = parameters.disc_radius_px
    reach = int(np.ceil(_REACH * radius))
    for y, x in rng.uniform((0, 0), expected.shape, (parameters.discs, 2)):
        top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
        window = expected[top : int(y) + reach + 1, left : int(x) + reach + 1]
        rows, columns = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        distance = np.hypot(rows - y, columns - x)
        window *= 1 - parameters.disc_contrast / (1 + np.exp((distance / radius - 1) / _EDGE_FRACTION))
    return expected


def micrograph(parameters: SyntheticParameters, index: int) -> np.ndarray:
    """One micrograph of counted electrons, float32: a function of (seed, index)."""
    rng = seeds.generator(parameters.seed, "synthetic", "counts", index)
    return rng.poisson(expectation(parameters, index)).astype(np.float32)


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that would be made."""
    section = _section(parameters)
    told = Announced(mrc.HEADER_BYTES + 4 * section.height_px * section.width_px, None)
    return [SourceFile(f"synthetic_{index:04d}{mrc.SUFFIX}", (), told) for index in range(section.micrographs)]


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Write the micrographs as MRC files, each whole or not at all; see `sources.Fetch`.

    Raises:
        UserError: If the disk has no room for them, or single ones are to be mended.
    """
    for name, lost in mend.items():
        raise UserError(f"{raw_dir / name}: {size_problem(raw_dir / name, lost.size_bytes)}: {DownloadRecord.remedy()}")
    section = _section(parameters)
    planned = plan(parameters)
    require_space(raw_dir, sum(file.announced.size_bytes for file in planned))
    files = []
    with console.progress("synthetic micrographs", section.micrographs, "files") as advance:
        for index, file in enumerate(planned):
            path = raw_dir / file.name
            mrc.write(path, micrograph(section, index), section.pixel_size_angstrom)
            files.append(describe(path))
            advance(1)
    return files


def _section(parameters: DownloadParameters) -> SyntheticParameters:
    assert parameters.synthetic is not None  # the schema sees to it
    return parameters.synthetic
