"""How fast this machine preprocesses: the program's own steps on a made-up micrograph."""

import time
from pathlib import Path

import numpy as np

from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import SAMPLE_DTYPES
from cryodenoise.dataset.writer import lengths, preallocate
from cryodenoise.estimates.disks import scratch
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.preprocessing.headers import Shape
from cryodenoise.preprocessing.plan import Half, PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.run import write_micrograph

_MEAN_ELECTRONS = 16.0
_LARGEST_GRID = 3
_LARGEST_PX = 2048  # of a side, where the patches allow it


def seconds_a_patch(parameters: PreprocessParameters, directory: Path) -> float:
    """Seconds that one worker takes for a patch, its share of reading and normalising the micrograph included.

    Args:
        parameters: What is done to a micrograph; a gain reference is left out, and halves are taken from files.
        directory: Gets the micrograph and its samples for a moment.

    Raises:
        UserError: If the disk has no room for them.
        OSError: If the directory cannot be written.
    """
    pairs = parameters.pairs.model_copy(update={"halves": "files"})
    alone = parameters.model_copy(update={"gain": None, "pairs": pairs})
    tiny = alone.patches.model_copy(update={"size_px": 32, "stride_px": 32})
    _seconds(alone.model_copy(update={"patches": tiny}), directory)  # compiles what is not compiled yet
    return _seconds(alone, directory)


def _seconds(parameters: PreprocessParameters, directory: Path) -> float:
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    grid = min(_LARGEST_GRID, max(1, (_LARGEST_PX - size) // stride + 1))
    side = size + (grid - 1) * stride
    kind = parameters.pairs.kind
    rng, expected = np.random.default_rng(0), np.full((side, side), _MEAN_ELECTRONS)
    ways: tuple[Half | None, ...] = ("even", "odd") if kind == "halves" else (None,)
    with scratch(directory) as folder:
        place = Path(folder)
        path, other = place / f"probe{mrc.SUFFIX}", place / f"other{mrc.SUFFIX}"
        one = _MEAN_ELECTRONS if parameters.normalization == "none" else 1.0  # such images come in about [0, 1]
        mrc.write(path, (rng.poisson(expected) / one).astype(np.float32), 1.0)
        if kind != "added_noise":
            other_pixels = expected if kind == "truth" else rng.poisson(expected)
            mrc.write(other, (other_pixels / one).astype(np.float32), 1.0)
        target = None if kind == "added_noise" else Source(other, other.name)
        segments = [
            PlannedSegment(0, "train", "train", number * grid**2, (0, grid), (0, grid), half)
            for number, half in enumerate(ways)
        ]
        micrograph = RawMicrograph(Candidate(path, path.name, target=target), Shape(side, side, None))
        samples = len(ways) * grid**2
        files = lengths(place, {"train": samples, "test": 0}, (size, size), SAMPLE_DTYPES[parameters.dtype])
        preallocate(place, {path: length for path, length in files.items() if length})
        started_s = time.perf_counter()
        write_micrograph(0, micrograph, segments, parameters, place)
        return (time.perf_counter() - started_s) / samples
