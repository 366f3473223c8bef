"""The noisy input itself: what every denoiser must do better than."""

from cryodenoise.baselines.baseline import Fitted, Known


def fit(_: Known) -> Fitted:
    """Nothing is to be found; what comes in goes out, the same tensor."""
    return Fitted(lambda images: images, {})
