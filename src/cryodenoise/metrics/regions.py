"""The signal-to-noise ratio of labelled regions: particles against the ice beside them."""

from collections.abc import Sequence

import numpy as np

from cryodenoise.config.exposure import Particle

SIGNAL_RADIUS_ANGSTROM = 50.0
"""Of the region in the middle of a particle: the largest circle that all views of a T20S cover."""
CLEAR_ANGSTROM = 10.0
"""Left free between a particle and the region beside it, for the fringe that defocus leaves around it."""
RING_ANGSTROM = 60.0
"""Width of the region around it that counts as background, but for what belongs to other particles."""
_FEWEST_PX = 16


def region_snr_db(
    image: np.ndarray,
    particles: Sequence[Particle],
    pixel_size_angstrom: float,
    measured: Sequence[int] | None = None,
) -> np.ndarray:
    """10·log10((μ_signal − μ_background)² / var_background) of each particle and its surroundings, in dB.

    The definition of Topaz-Denoise (Bepler et al., Nat. Commun. 11, 5208 (2020)), whose figure for a set is the mean
    over its pairs of regions; the regions follow from the particles' places here, and need no labels by hand.

    Args:
        image: A micrograph, of shape (h, w), any real type.
        particles: What it shows.
        pixel_size_angstrom: Pixel size.
        measured: Indices of the particles that are measured; None measures all.

    Returns:
        One value for each measured particle whose regions lie whole within the image and leave some background,
        float64; −∞ where the means are equal.
    """
    places = np.array([(each.y_px, each.x_px) for each in particles]).reshape(-1, 2) * pixel_size_angstrom
    clear = np.array([each.radius_angstrom for each in particles]) + CLEAR_ANGSTROM
    values = []
    for number in range(len(places)) if measured is None else measured:
        place = places[number]
        reach = clear[number] + RING_ANGSTROM
        first = np.floor((place - reach) / pixel_size_angstrom).astype(int)
        last = np.ceil((place + reach) / pixel_size_angstrom).astype(int)
        if (first < 0).any() or (last >= image.shape).any():
            continue
        y, x = (np.arange(low, high + 1) * pixel_size_angstrom for low, high in zip(first, last, strict=True))

        def away(centre: np.ndarray, y: np.ndarray = y, x: np.ndarray = x) -> np.ndarray:
            return np.asarray(np.hypot(y[:, None] - centre[0], x[None, :] - centre[1]))

        own = away(place)
        beside = (own > clear[number]) & (own <= reach)
        for other in np.flatnonzero(np.hypot(*(places - place).T) < reach + clear):
            beside &= away(places[other]) > clear[other]
        if beside.sum() < _FEWEST_PX:
            continue
        window = image[first[0] : last[0] + 1, first[1] : last[1] + 1].astype(np.float64)
        signal, background = window[own <= SIGNAL_RADIUS_ANGSTROM], window[beside]
        difference = signal.mean() - background.mean()
        with np.errstate(divide="ignore"):
            values.append(10 * np.log10(difference**2 / background.var()) if difference else -np.inf)
    return np.array(values)
