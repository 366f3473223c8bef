"""Non-local means: an average over pixels whose surroundings look alike."""

import numpy as np
from skimage.restoration import denoise_nl_means

from cryodenoise.baselines.baseline import Fitted, Known
from cryodenoise.baselines.image_by_image import filter_with, tuned_strength

PATCH_PX = 7
DISTANCE_PX = 11
CUT_OFF = 0.8
"""Per unit of the noise's standard deviation, as the library's manual advises for its fast mode and known noise."""


def non_local_means(image: np.ndarray, noise_sd: float) -> np.ndarray:
    """Buades, Coll, Morel, CVPR 2005, with the fast sums of Darbon et al., ISBI 2008, as scikit-image has them.

    Args:
        image: Intensities, float, shape (h, w).
        noise_sd: Standard deviation of the noise that is expected, in units of intensity.
    """
    settings = {"patch_size": PATCH_PX, "patch_distance": DISTANCE_PX, "fast_mode": True, "preserve_range": True}
    return np.asarray(denoise_nl_means(image, h=CUT_OFF * noise_sd, sigma=noise_sd, **settings))


def fit(known: Known) -> Fitted:
    """The noise with the lowest error on validation patches."""
    noise_sd = tuned_strength(non_local_means, known.validation)
    return Fitted(filter_with(non_local_means, noise_sd), {"noise_sd_intensity": noise_sd})
