"""A split scored from its files, and scores across trainings that differ by their seed, by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import Denoiser
from cryodenoise.config.run_files import TestParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.evaluation.gathering import Measured
from cryodenoise.evaluation.score import Evaluation, across_seeds, evaluate
from cryodenoise.evaluation.scored import Scored
from small_datasets import micrograph, random_images, write_dataset

CPU = torch.device("cpu")
NETWORK = Denoiser(kind="network", name="cnn3", parameters=9, found={}, sha256="0" * 64)
Denoise = Callable[[torch.Tensor], torch.Tensor]


def half(noisy: torch.Tensor) -> torch.Tensor:
    return (noisy / 2 + 0.25).bfloat16()


def evaluated(data_dir: Path, denoise: Denoise, batch_size: int = 2, other: Denoise = half) -> Evaluation:
    """A split of three patches of one micrograph."""
    write_dataset(data_dir, random_images((32, 32)))
    dataset = DatasetRecord.load_document(data_dir / "dataset.json")
    dataset = dataset.model_copy(update={"micrographs": [micrograph(particles=[])] * 3})
    scored = Scored(NETWORK, lambda _, noisy: denoise(noisy), denoise, 1, {2: other})
    parameters = TestParameters(batch_size=batch_size, device="cpu", slow_patches=2, figures=False)
    return evaluate(scored, data_dir, dataset, parameters, CPU, Console())


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_a_split_is_scored_as_numpy_scores_its_images_whatever_the_batch(tmp_path: Path, batch_size: int) -> None:
    found = evaluated(tmp_path, half, batch_size)
    images = random_images((32, 32))
    noisy, target = (images["test", role] for role in ("input", "target"))
    denoised = half(torch.from_numpy(noisy)).double().numpy()
    mse = ((denoised - target.astype("f8")) ** 2).mean(axis=(1, 2))
    assert found.measured.values["mse"] == pytest.approx(mse, rel=1e-12)
    assert found.measured.noisy["mse"] == pytest.approx(
        ((noisy.astype("f8") - target) ** 2).mean(axis=(1, 2)), rel=1e-12
    )
    order = np.argsort(mse)
    assert found.example_samples.tolist() == order.tolist()
    shown = np.stack([noisy, denoised.astype("f4"), target], axis=1)[order]
    assert np.array_equal(found.examples, shown)
    assert found.subset == [0, 2]
    assert found.denoised_patches == 3
    assert found.elapsed_s >= found.reading_s + found.denoising_s
    assert found.across_seeds is not None
    assert found.across_seeds.standard_deviation_db == 0.0
    assert sum(found.measured.counts.noisy()) == noisy.size


@pytest.mark.parametrize(
    ("ours", "others", "expected"),
    [
        (lambda noisy: noisy * math.nan, half, "cnn3: it makes values of test patch 0 that are not finite"),
        (half, lambda noisy: noisy * math.inf, "cnn3 of seed 2: it makes values of test patches that are not finite"),
        (lambda noisy: noisy if noisy.std() < 0.31 else noisy * math.nan, half, "ice that shows nothing"),
    ],
    ids=["what is scored", "another seed", "on blank ice alone"],
)
def test_values_that_are_not_finite_are_refused(tmp_path: Path, ours: Denoise, others: Denoise, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        evaluated(tmp_path, ours, other=others)


def measured(ours: list[float], others: dict[int, list[float]], best: list[float]) -> Measured:
    """Squared errors a patch, of which alone the spread is made."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("against_target", "against_truth", "halves", "region_snr", "noisy", "counts"), None
    )
    errors = {seed: np.array(values) for seed, values in others.items()}
    return Measured(**nothing, values={"mse": np.array(ours)}, errors=errors, best_errors=np.array(best))


def test_three_seeds_have_the_mean_spread_and_interval_that_a_table_gives() -> None:
    """20, 21 and 22 dB: mean 21, standard deviation 1, and t of two degrees of freedom is 4.30265 (any table)."""
    at = {number: 10 ** (-number / 10) for number in (20, 21, 22, 23)}
    found = across_seeds(
        42, measured([0.5 * at[21], 1.5 * at[21]], {43: [at[20]] * 2, 44: [2 * at[22], 0.0]}, [at[20], at[20]])
    )
    assert found is not None
    assert found.seeds == [42, 43, 44]
    assert found.psnr_db == pytest.approx([21, 20, 22])
    assert found.mean_db == pytest.approx(21)
    assert found.standard_deviation_db == pytest.approx(1)
    half = 4.302653 / math.sqrt(3)
    assert (found.interval_db.low, found.interval_db.high) == pytest.approx((21 - half, 21 + half), rel=1e-6)
    assert found.gain_mean_db == pytest.approx(1)


def test_two_seeds_have_an_interval_of_one_degree_of_freedom() -> None:
    found = across_seeds(1, measured([0.01], {2: [0.1]}, [1.0]))
    assert found is not None
    half = 12.706205 * math.sqrt(50) / math.sqrt(2)
    assert (found.interval_db.low, found.interval_db.high) == pytest.approx((15 - half, 15 + half), rel=1e-6)
    assert found.gain_mean_db == pytest.approx(15)


def test_the_gain_over_a_baseline_of_a_subset_is_on_that_alone() -> None:
    nan = math.nan
    found = across_seeds(1, measured([0.01, 0.7], {2: [0.001, 0.7]}, [0.1, nan]))
    assert found is not None
    assert found.gain_mean_db == pytest.approx(15)
    assert found.mean_db == pytest.approx(-10 * (math.log10(0.355) + math.log10(0.3505)) / 2)


@pytest.mark.parametrize(
    ("ours", "others", "best"),
    [
        ([0.0, 0.0], [0.1, 0.1], [0.2, 0.2]),
        ([0.1, 0.1], [0.0, 0.0], [0.2, 0.2]),
        ([0.1, 0.1], [0.1, 0.1], [0.0, 0.0]),
        ([0.1, 0.0], [0.1, 0.1], [math.nan, 0.2]),
    ],
    ids=["the first", "another", "the best baseline", "the first where the best baseline was scored"],
)
def test_where_one_has_no_error_there_is_no_spread_in_db(
    ours: list[float], others: list[float], best: list[float]
) -> None:
    assert across_seeds(1, measured(ours, {2: others}, best)) is None
