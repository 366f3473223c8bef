"""How many workers fit into a machine's memory."""

from collections.abc import Sequence
from contextlib import suppress

import psutil

from cryodenoise import micrographs
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.writer import SLOTS
from cryodenoise.environment import available_cores
from cryodenoise.errors import UserError
from cryodenoise.micrographs import hdf5
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.ranks import Rank

_BUFFERS = 3  # of samples being made
_PROCESS_BYTES = 200 << 20  # what a worker takes without a micrograph, and for reading one


def worker_bytes(
    largest_px: int, parameters: PreprocessParameters, with_truth: bool = False, cached_bytes: int = 0
) -> int:
    """Memory of a worker: the images of its largest micrograph, of so many pixels, and the samples on their way.

    Args:
        largest_px: Pixels of an image.
        parameters: What is done to it.
        with_truth: Whether a truth is carried along for the scores.
        cached_bytes: What open stacks keep.
    """
    pair = 1 if parameters.pairs.kind == "added_noise" else 2
    sums = 3 if parameters.pairs.kind == "halves" and parameters.pairs.halves == "movies" else 0  # as a movie is read
    images = max(pair + with_truth, sums) + (parameters.gain is not None)
    samples = _BUFFERS + (2 + with_truth) * SLOTS
    return _PROCESS_BYTES + cached_bytes + 4 * (images * largest_px + samples * parameters.patches.size_px**2)


def stacks_bytes(candidates: Sequence[Candidate]) -> int:
    """What the stacks that a worker has open keep in memory, at most."""
    paths = {source.path for each in candidates for source in (each.source, *each.others) if source.image is not None}
    largest = 0
    for path in paths:
        with suppress(UserError, OSError):  # whoever reads it will say so
            largest = max(largest, hdf5.cached_bytes(path))
    return hdf5.OPEN * largest


def workers_that_fit(
    largest_px: int, parameters: PreprocessParameters, rank: Rank, with_truth: bool = False, cached_bytes: int = 0
) -> int:
    """Processes: as many as the run file says, else one a core of this machine, as far as its free memory goes."""
    if parameters.workers:
        return parameters.workers
    fitting = psutil.virtual_memory().available // worker_bytes(largest_px, parameters, with_truth, cached_bytes)
    return max(1, min(available_cores(), fitting) // rank.local_world)


def workers_for(candidates: Sequence[Candidate], parameters: PreprocessParameters, rank: Rank) -> int:
    """Processes for the micrographs that can be read."""
    largest_px = 0
    for candidate in candidates:
        with suppress(UserError, OSError):  # whoever reads it will say so
            header = micrographs.read_header(candidate.path, candidate.image)
            largest_px = max(largest_px, header.height_px * header.width_px)
    with_truth = any(candidate.truth for candidate in candidates)
    return workers_that_fit(largest_px, parameters, rank, with_truth, stacks_bytes(candidates))
