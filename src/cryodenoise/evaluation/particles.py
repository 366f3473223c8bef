"""The signal-to-noise ratio of labelled regions, patch by patch: each particle counts once in each image of it."""

import math
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.exposure import Particle
from cryodenoise.config.scores import RegionSnr
from cryodenoise.evaluation.layout import places
from cryodenoise.metrics.regions import region_snr_db


class Regions:
    """The ratio of particles in denoised, noisy and true images, while it is gathered."""

    def __init__(self, dataset: DatasetRecord) -> None:
        """Assign each particle of the test micrographs to the patch that has it most in the middle."""
        self._dataset = dataset
        self._of_patch: dict[int, tuple[int, int, int, list[int]]] = {}
        """Of a patch its micrograph, its first row and column there, and which of the particles are measured in it."""
        self._values: dict[str, list[float]] = defaultdict(list)
        for place in places(dataset):
            segment = place.segment
            micrograph = dataset.micrographs[segment.micrograph]
            if not micrograph.particles or not micrograph.pixel_size_angstrom:
                continue
            nearest = defaultdict(list)
            for number, particle in enumerate(micrograph.particles):
                nearest[self._nearest(segment.rows, segment.columns, particle)].append(number)
            for (row, column), measured in nearest.items():
                first = row * dataset.stride_px, column * dataset.stride_px
                self._of_patch[place.index(row, column)] = (segment.micrograph, *first, measured)

    def _nearest(self, rows: tuple[int, int], columns: tuple[int, int], particle: Particle) -> tuple[int, int]:
        """The patch whose middle is nearest."""
        middle = (side / 2 for side in self._dataset.sample_shape)
        at = (
            round((place - half) / self._dataset.stride_px)
            for place, half in zip((particle.y_px, particle.x_px), middle, strict=True)
        )
        row, column = (min(max(each, low), high - 1) for each, (low, high) in zip(at, (rows, columns), strict=True))
        return row, column

    def add(self, index: int, images: Mapping[str, torch.Tensor]) -> None:
        """Measure the particles of a patch.

        Args:
            index: Which patch of the test split.
            images: By name, each (1, 1, h, w).
        """
        if index not in self._of_patch:
            return
        number, top, left, measured = self._of_patch[index]
        micrograph = self._dataset.micrographs[number]
        assert micrograph.particles, "or none would be measured here"
        assert micrograph.pixel_size_angstrom, "likewise"
        moved = [
            each.model_copy(update={"x_px": each.x_px - left, "y_px": each.y_px - top}) for each in micrograph.particles
        ]
        for name, image in images.items():
            pixels = image[0, 0].double().cpu().numpy()
            self._values[name] += region_snr_db(pixels, moved, micrograph.pixel_size_angstrom, measured).tolist()

    def result(self, denoised: str, noisy: str, reference: str) -> RegionSnr | None:
        """The means over particles; None where no particle could be measured, or one is as bright as its ice."""
        with np.errstate(invalid="ignore"):  # of +∞ and −∞ there is no mean
            means = {name: float(np.mean(values)) for name, values in self._values.items() if values}
        if not means or not (math.isfinite(means[denoised]) and math.isfinite(means[noisy])):
            return None
        of_reference = means.get(reference, math.inf)
        return RegionSnr(
            particles=len(self._values[denoised]),
            denoised_db=means[denoised],
            noisy_input_db=means[noisy],
            reference_db=of_reference if math.isfinite(of_reference) else None,
        )
