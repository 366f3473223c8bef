"""A micrograph's samples, in the order of their segment."""

from collections.abc import Iterator

import numpy as np

from cryodenoise.config.run_files import PreprocessParameters, is_clipped
from cryodenoise.preprocessing.images import Images
from cryodenoise.preprocessing.plan import PlannedSegment
from cryodenoise.signal import noise
from cryodenoise.signal.normalize import scaled
from cryodenoise.signal.tiles import patches


def samples(
    images: Images, segment: PlannedSegment, parameters: PreprocessParameters
) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield input and target of each patch, and of the test split the truth where there is one.

    Images that are not to be clipped are scaled here, patch by patch: all under the map of the input alone. Added noise
    depends on seed, pixels and position alone.

    Returns:
        float32 arrays of shape (size, size), each valid until the next are asked for.
    """
    size, stride, settings = parameters.patches.size_px, parameters.patches.stride_px, parameters.noise
    first, second, scaling = images.image, images.target, images.scalings[0]
    if segment.half == "odd":
        assert second is not None  # the plan gives halves to pairs of halves alone
        first, second, scaling = second, first, images.scalings[1]
    truth = images.truth if segment.file == "test" else None
    clipped = is_clipped(parameters.pairs.kind, parameters.normalization)
    buffers = [np.empty((size, size), np.float32) for _ in range(3)]
    for y, x, patch in patches(first, size, stride, segment.rows, segment.columns):
        here = np.s_[y : y + size, x : x + size]
        if second is None:
            key = noise.key_of(settings.seed, images.image_digest, y, x)
            noise.add_noise(patch, settings.model, settings.electrons_at_one, settings.sigma, key, buffers[0])
            pair = buffers[0], patch
        elif clipped:
            pair = patch, second[here]
        else:
            pair = scaled(patch, scaling, buffers[0]), scaled(second[here], scaling, buffers[1])
        yield pair if truth is None else (*pair, scaled(truth[here], scaling, buffers[2]))
