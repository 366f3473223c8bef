"""How many workers fit into a machine's memory."""

from collections.abc import Sequence
from contextlib import suppress

import psutil

from cryodenoise import micrographs
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.writer import SLOTS
from cryodenoise.environment import available_cores
from cryodenoise.errors import UserError
from cryodenoise.preprocessing.images import Candidate
from cryodenoise.ranks import Rank

_PROCESS_BYTES = 200 << 20  # what a worker takes without a micrograph, and for reading one


def worker_bytes(largest_px: int, parameters: PreprocessParameters) -> int:
    """Memory of a worker: the images of its largest micrograph, of so many pixels, and the samples on their way."""
    images = 1 + (parameters.pairs.kind == "given") + (parameters.gain is not None)
    samples = 1 + 2 * SLOTS
    return _PROCESS_BYTES + 4 * (images * largest_px + samples * parameters.patches.size_px**2)


def workers_that_fit(largest_px: int, parameters: PreprocessParameters, rank: Rank) -> int:
    """Processes: as many as the run file says, else one a core of this machine, as far as its free memory goes."""
    if parameters.workers:
        return parameters.workers
    fitting = psutil.virtual_memory().available // worker_bytes(largest_px, parameters)
    return max(1, min(available_cores(), fitting) // rank.local_world)


def workers_for(candidates: Sequence[Candidate], parameters: PreprocessParameters, rank: Rank) -> int:
    """Processes for the micrographs that can be read."""
    largest_px = 0
    for candidate in candidates:
        with suppress(UserError, OSError):  # whoever reads it will say so
            header = micrographs.read_header(candidate.path)
            largest_px = max(largest_px, header.height_px * header.width_px)
    return workers_that_fit(largest_px, parameters, rank)
