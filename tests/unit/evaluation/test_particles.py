"""Regions measured patch by patch are those of the whole micrograph."""

import numpy as np
import pytest
import torch

from cryodenoise.config.documents import DatasetRecord, Segment
from cryodenoise.config.exposure import Particle
from cryodenoise.evaluation.layout import columns
from cryodenoise.evaluation.particles import Regions
from cryodenoise.metrics.regions import region_snr_db
from small_datasets import described, micrograph, segment

SIDE, STRIDE, GRID, PIXEL, RADIUS = 64, 32, 4, 5.0, 55.0
WHOLE = STRIDE * (GRID - 1) + SIDE
REACH_PX = (RADIUS + 70) / PIXEL  # of a particle with its surroundings: 25


def particle(y_px: float, x_px: float) -> Particle:
    return Particle(
        species="t20s", x_px=x_px, y_px=y_px, radius_angstrom=RADIUS, rot_deg=0.0, tilt_deg=0.0, psi_deg=0.0
    )


INSIDE = [particle(32.2, 31.0), particle(70.0, 33.0), particle(94.9, 127.1), particle(126.0, 90.5)]
"""Each within 6 pixels of the middle of some patch, and so with its surroundings whole within it."""


def images(seed: int, of: list[Particle]) -> np.ndarray:
    """A micrograph with a darker disc for each particle, under white noise."""
    y, x = np.mgrid[:WHOLE, :WHOLE]
    image = np.random.default_rng(seed).normal(0.6, 0.1, (WHOLE, WHOLE))
    for each in of:
        image[np.hypot(y - each.y_px, x - each.x_px) * PIXEL <= 50] -= 0.3
    return image.astype(np.float32)


def dataset(particles: list[Particle] | None, segments: list[Segment] | None = None, **known: object) -> DatasetRecord:
    whole = [segment(0, (0, GRID), (0, GRID))]
    return described(
        segments or whole,
        [micrograph(PIXEL, particles)],
        **{"sample_shape": (SIDE, SIDE), "stride_px": STRIDE, **known},
    )


def measured(record: DatasetRecord, micrographs: dict[str, np.ndarray], order: list[int] | None = None) -> Regions:
    regions = Regions(record)
    places = columns(record)
    for index in range(len(places["row"])) if order is None else order:
        top, left = places["row"][index] * STRIDE, places["column"][index] * STRIDE
        regions.add(
            index,
            {
                name: torch.from_numpy(image[top : top + SIDE, left : left + SIDE].copy())[None, None]
                for name, image in micrographs.items()
            },
        )
    return regions


def test_patch_by_patch_gives_what_the_whole_micrograph_gives() -> None:
    shown = {"denoised": images(1, INSIDE) ** 2, "noisy": images(2, INSIDE), "truth": images(3, INSIDE)}
    found = measured(dataset(INSIDE), shown).result("denoised", "noisy", "truth")
    assert found is not None
    assert found.particles == len(INSIDE)
    whole = {name: region_snr_db(image, INSIDE, PIXEL).mean() for name, image in shown.items()}
    assert found.denoised_db == pytest.approx(whole["denoised"], rel=1e-9)
    assert found.noisy_input_db == pytest.approx(whole["noisy"], rel=1e-9)
    assert found.reference_db == pytest.approx(whole["truth"], rel=1e-9)


def test_each_particle_counts_once_wherever_it_lies() -> None:
    """Patches overlap by half, so any particle is in up to four of them."""
    rng = np.random.default_rng(4)
    for _ in range(10):
        y, x = rng.uniform(REACH_PX, WHOLE - 1 - REACH_PX, 2)
        one = [particle(y, x)]
        image = images(5, one)
        found = measured(dataset(one), {"denoised": image, "noisy": image}).result("denoised", "noisy", "truth")
        off = [(each - SIDE / 2 + STRIDE / 2) % STRIDE - STRIDE / 2 for each in (y, x)]
        if max(map(abs, off)) < SIDE / 2 - REACH_PX - 1:
            assert found is not None
        if found is not None:
            assert found.particles == 1
            assert found.denoised_db == pytest.approx(region_snr_db(image, one, PIXEL)[0], rel=1e-9)


def test_in_halves_each_counts_once_in_either() -> None:
    both = [segment(0, (0, GRID), (0, GRID), half="even"), segment(16, (0, GRID), (0, GRID), half="odd")]
    image = images(6, INSIDE)
    found = measured(dataset(INSIDE, both, pairs="halves"), {"denoised": image, "noisy": image}).result(
        "denoised", "noisy", "truth"
    )
    assert found is not None
    assert found.particles == 2 * len(INSIDE)
    assert found.reference_db is None


def test_the_order_of_patches_does_not_matter() -> None:
    shown = {"denoised": images(1, INSIDE) ** 2, "noisy": images(2, INSIDE)}
    one, other = (
        measured(dataset(INSIDE), shown, order).result("denoised", "noisy", "truth")
        for order in (list(range(16)), list(reversed(range(16))))
    )
    assert one is not None
    assert other is not None
    assert one.denoised_db == pytest.approx(other.denoised_db, rel=1e-12)


@pytest.mark.parametrize(
    "record",
    [
        dataset(None),
        dataset([]),
        dataset([particle(-20, 60), particle(5, 5), particle(60, WHOLE + 30)]),
        described(
            [segment(0, (0, 1), (0, 1))], [micrograph(None, INSIDE)], sample_shape=(SIDE, SIDE), stride_px=STRIDE
        ),
    ],
    ids=["unknown", "none", "beyond the border", "no pixel size"],
)
def test_nothing_to_measure_is_none(record: DatasetRecord) -> None:
    image = images(7, [])
    assert measured(record, {"denoised": image, "noisy": image}).result("denoised", "noisy", "truth") is None


def test_a_particle_of_another_part_of_the_micrograph_is_not_measured() -> None:
    """Where only the lower rows are of the test split, those above belong to the training."""
    record = dataset(INSIDE, [segment(0, (2, 4), (0, GRID))])
    image = images(8, INSIDE)
    found = measured(record, {"denoised": image, "noisy": image}).result("denoised", "noisy", "truth")
    assert found is not None
    assert found.particles == 2
    assert found.denoised_db == pytest.approx(region_snr_db(image, INSIDE, PIXEL, [2, 3]).mean(), rel=1e-9)


def test_a_constant_denoised_image_is_none() -> None:
    noisy = images(9, INSIDE)
    constant = np.full_like(noisy, 0.3)
    assert measured(dataset(INSIDE), {"denoised": constant, "noisy": noisy}).result("denoised", "noisy", "t") is None


def test_infinities_of_both_signs_are_none() -> None:
    """One particle is as bright as its ice, another lies in ice without any variation."""
    y, x = np.mgrid[:WHOLE, :WHOLE]
    first = INSIDE[0]
    image = np.full((WHOLE, WHOLE), 0.5, np.float32)
    image[np.hypot(y - first.y_px, x - first.x_px) * PIXEL <= 50] = 0.3
    shown = {"denoised": image, "noisy": images(10, INSIDE)}
    assert measured(dataset(INSIDE), shown).result("denoised", "noisy", "truth") is None


def test_a_truth_whose_ice_is_perfectly_even_leaves_the_others_their_values() -> None:
    one = INSIDE[:1]
    y, x = np.mgrid[:WHOLE, :WHOLE]
    truth = np.where(np.hypot(y - one[0].y_px, x - one[0].x_px) * PIXEL <= 50, 0.3, 0.6).astype(np.float32)
    noisy = images(11, one)
    found = measured(dataset(one), {"denoised": noisy, "noisy": noisy, "truth": truth}).result(
        "denoised", "noisy", "truth"
    )
    assert found is not None
    assert found.reference_db is None
    assert found.denoised_db == found.noisy_input_db


def test_memory_does_not_grow_with_patches_times_particles() -> None:
    """A patch keeps numbers alone: of a set with coordinates, copies of particles would take a gigabyte."""
    many = [particle(y, x) for y in np.linspace(0, WHOLE, 20) for x in np.linspace(0, WHOLE, 20)]
    of_patch = Regions(dataset(many))._of_patch
    assert sum(len(measured) for *_, measured in of_patch.values()) == len(many)
    assert all(isinstance(number, int) for *_, measured in of_patch.values() for number in measured)
