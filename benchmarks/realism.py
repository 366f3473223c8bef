"""What docs/SIMULATION.md says of the simulated micrographs: python benchmarks/realism.py.

Counts, the signal-to-noise ratio of labelled regions, the power spectrum, and how far a disturbance of the intensities
reaches, as differences between machines would be. Takes two minutes on two cores.
"""

from collections.abc import Iterator

import numpy as np

from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.metrics.regions import region_snr_db
from cryodenoise.signal.spectrum import power_spectrum, radial
from cryodenoise.simulation import exposure
from cryodenoise.simulation.scene import Scene

SETS: dict[str, tuple[dict[str, object], int]] = {
    "smoke": ({"preset": "smoke"}, 4),
    "laptop": ({"preset": "laptop"}, 12),
    "t20s-like": ({"preset": "t20s-like"}, 4),
    "at 0.6575 Å": ({"preset": "t20s-like", "pixel_size_angstrom": 0.6575, "specimen": {"particles": 75}}, 4),
}
"""Parameters, and how many micrographs to look at."""
PERIODS_ANGSTROM = (200, 100, 50, 30, 20, 15, 10, 5)
RING_PER_ANGSTROM = 0.0025
DISTURBANCES = (1e-13, 1e-11, 1e-9)


def describe(name: str, given: dict[str, object], count: int) -> None:
    """Print what a few micrographs of a set have in common, and the spectrum of the first."""
    parameters = SyntheticParameters.model_validate(given)
    means, spreads, ratios, lowest, highest = [], [], [], [], []
    for index in range(count):
        made = exposure.expose(parameters, index)
        counts = made.even + made.odd
        means.append(counts.mean())
        spreads.append(counts.std())
        lowest.append(counts.min())
        highest.append(counts.max())
        ratios.append(region_snr_db(counts, made.record.particles, parameters.pixel_size_angstrom))
        if not index:
            spectra = [power_spectrum(image, 512) / counts.mean() for image in (counts, made.truth)]
    snr = np.concatenate(ratios)
    print(
        f"{name}: {np.mean(means):.2f} ± {np.mean(spreads):.2f} electrons a pixel, {min(lowest)} to {max(highest)}; "
        f"SNR {snr.mean():.2f} dB over {len(snr)} particles, 5 to 95 %: {np.percentile(snr, 5):.1f} to "
        f"{np.percentile(snr, 95):.1f}"
    )
    for label, power in zip(("micrograph", "truth"), spectra, strict=True):
        frequency, mean = radial(power)
        rings = [
            (period, np.abs(frequency / parameters.pixel_size_angstrom - 1 / period) < RING_PER_ANGSTROM)
            for period in PERIODS_ANGSTROM
        ]
        print(
            f"  {label:10} " + "  ".join(f"{period} Å: {mean[ring].mean():.3g}" for period, ring in rings if ring.any())
        )


def disturbed(relative: float) -> tuple[int, int]:
    """How many counts, and how many pixels of the truth, a relative disturbance of t20s-like's intensities changes."""
    parameters = SyntheticParameters.model_validate({"preset": "t20s-like"})
    as_it_is, still = exposure.expose(parameters, 0), exposure.intensities
    rng = np.random.default_rng(1)

    def shaken(parameters: SyntheticParameters, scene: Scene, index: int) -> Iterator[np.ndarray]:
        image = next(still(parameters, scene, index))
        image = image * (1 + relative * rng.uniform(-1, 1, image.shape))
        yield from (image for _ in range(parameters.detector.frames))

    exposure.intensities = shaken
    try:
        other = exposure.expose(parameters, 0)
    finally:
        exposure.intensities = still
    counts = np.count_nonzero(as_it_is.even != other.even) + np.count_nonzero(as_it_is.odd != other.odd)
    return int(counts), int(np.count_nonzero(as_it_is.truth != other.truth))


def main() -> None:
    """Print everything."""
    for name, (given, count) in SETS.items():
        describe(name, given, count)
    for relative in DISTURBANCES:
        counts, pixels = disturbed(relative)
        print(f"intensities disturbed by {relative:g}: {counts} counts and {pixels} pixels of the truth differ")


if __name__ == "__main__":
    main()
