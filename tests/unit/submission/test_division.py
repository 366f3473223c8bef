"""What pixel correlations explain, by spectra whose best filter is known."""

import numpy as np
import pytest

from cryodenoise.config.report import Report
from cryodenoise.config.scores import AgainstReference
from cryodenoise.evaluation.measures import Measures
from cryodenoise.submission.division import explained


def scores_of(variants: dict[str, tuple[Report, Measures]], target: np.ndarray, noise: np.ndarray) -> AgainstReference:
    """Scores with the spectra of a target and of independent noise that was added to it."""
    scores = variants["truth"][0].that_counts
    noisy = target + noise
    frc = np.sqrt(target / noisy)  # target·noisy / √(target²·noisy²), the noise being independent
    curve = scores.spectra.noisy_input.model_copy(update={"frc": frc.tolist(), "power": noisy.tolist()})
    frequencies = (np.arange(1, len(target) + 1) / (2 * len(target))).tolist()
    spectra = scores.spectra.model_copy(
        update={"noisy_input": curve, "reference_power": target.tolist(), "frequency_per_px": frequencies}
    )
    return scores.model_copy(update={"spectra": spectra})


def test_pixels_without_correlations_explain_nothing(variants: dict[str, tuple[Report, Measures]]) -> None:
    white = np.ones(16)
    assert explained(scores_of(variants, white, 0.3 * white)) == pytest.approx(1)


def test_a_signal_in_one_band_explains_all_noise_of_the_others(variants: dict[str, tuple[Report, Measures]]) -> None:
    rings = np.arange(1, 17)
    target, noise = np.where(rings <= 4, 2.0, 0.0), np.ones(16)
    kept, everything = rings[:4].sum(), rings.sum() * 4 / np.pi  # with the corners of the spectrum
    filtered = kept * 2.0 * (1 - 2 / 3)
    mapped = kept * 2.0 - (kept * 2.0) ** 2 / (kept * 2.0 + everything)
    assert explained(scores_of(variants, target, noise)) == pytest.approx(filtered / mapped)
