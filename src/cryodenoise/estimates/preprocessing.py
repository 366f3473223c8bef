"""How fast this machine preprocesses: the program's own steps on a made-up micrograph."""

import time
from pathlib import Path

import numpy as np

from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import SAMPLE_DTYPES
from cryodenoise.dataset.writer import lengths, preallocate
from cryodenoise.estimates.disks import scratch
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.images import Candidate, Shape
from cryodenoise.preprocessing.plan import PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.run import write_micrograph

_MEAN_ELECTRONS = 16.0
_LARGEST_GRID = 3
_LARGEST_PX = 2048  # of a side, where the patches allow it


def seconds_a_patch(parameters: PreprocessParameters, directory: Path) -> float:
    """Seconds that one worker takes for a patch, its share of reading and normalising the micrograph included.

    Args:
        parameters: What is done to a micrograph; a gain reference is left out.
        directory: Gets the micrograph and its samples for a moment.

    Raises:
        UserError: If the disk has no room for them.
        OSError: If the directory cannot be written.
    """
    alone = parameters.model_copy(update={"gain": None})
    tiny = alone.patches.model_copy(update={"size_px": 32, "stride_px": 32})
    _seconds(alone.model_copy(update={"patches": tiny}), directory)  # compiles what is not compiled yet
    return _seconds(alone, directory)


def _seconds(parameters: PreprocessParameters, directory: Path) -> float:
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    grid = min(_LARGEST_GRID, max(1, (_LARGEST_PX - size) // stride + 1))
    side = size + (grid - 1) * stride
    image = np.random.default_rng(0).poisson(_MEAN_ELECTRONS, (side, side)).astype(np.float32)
    with scratch(directory) as folder:
        place = Path(folder)
        path = place / f"probe{mrc.SUFFIX}"
        mrc.write(path, image, 1.0)
        clean = path if parameters.pairs.kind == "given" else None
        segment = PlannedSegment(0, "train", "train", 0, (0, grid), (0, grid))
        micrograph = RawMicrograph(Candidate(path, path.name, clean_path=clean), Shape(side, side, None))
        files = lengths(place, {"train": grid**2, "test": 0}, (size, size), SAMPLE_DTYPES[parameters.dtype])
        preallocate(place, {path: length for path, length in files.items() if length})
        started_s = time.perf_counter()
        write_micrograph(0, micrograph, [segment], parameters, place)
        return (time.perf_counter() - started_s) / grid**2
