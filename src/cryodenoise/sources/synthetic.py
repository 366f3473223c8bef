"""Soft discs under shot noise: a simple stand-in for micrographs where none are at hand.

No physical simulation: no optics, no specimen, no detector. Each pixel counts Poisson electrons around an expectation
that falls by `disc_contrast` within randomly placed discs.
"""

from pathlib import Path

import numpy as np

from cryodenoise import seeds
from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters, SyntheticParameters
from cryodenoise.console import Console
from cryodenoise.files import require_space, sha256_of
from cryodenoise.micrographs import mrc, pixel_digest

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


def fetch(parameters: DownloadParameters, raw_dir: Path, console: Console) -> list[RawFile]:
    """Write the micrographs as MRC files, each whole or not at all.

    Raises:
        UserError: If the disk has no room for them.
    """
    section = parameters.synthetic
    assert section is not None  # the schema sees to it
    file_bytes = mrc.HEADER_BYTES + 4 * section.height_px * section.width_px
    require_space(raw_dir, section.micrographs * file_bytes)
    files = []
    with console.progress("synthetic micrographs", section.micrographs, "files") as advance:
        for index in range(section.micrographs):
            path = raw_dir / f"synthetic_{index:04d}{mrc.SUFFIX}"
            image = micrograph(section, index)
            mrc.write(path, image, section.pixel_size_angstrom)
            files.append(
                RawFile(
                    name=path.name,
                    size_bytes=file_bytes,
                    sha256=sha256_of(path),
                    pixel_digest=pixel_digest(image),
                )
            )
            advance(1)
    return files
