"""What a training saw: from its inputs alone, the same for the same dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cryodenoise.config.documents import DatasetRecord, MadeFrom, Segment
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.training.seen import told_by, trained_on
from small_datasets import micrograph, random_images, write_dataset

SIMULATED = MadeFrom(parameters={"source": "synthetic", "synthetic": {"detector": {"dose_e_per_a2": 50.0}}})


def segment(number: int, first: int, rows: int, **known: Any) -> Segment:
    fields = {"split": "train", "file": "train", "half": None, "columns": (0, 1), "sha256": {}} | known
    return Segment(micrograph=number, first_sample=first, rows=(0, rows), **fields)


def dataset_in(folder: Path, images: Any, **known: Any) -> DatasetRecord:
    """Five training samples of one micrograph, unless told otherwise."""
    write_dataset(folder, images)
    written = DatasetRecord.load_document(folder / "dataset.json")
    parameters = {**written.made_from.parameters, "normalization": "p95"}
    fields = {"micrographs": [micrograph()] * 3, "made_from": MadeFrom(parameters=parameters)} | known
    return written.model_copy(update=fields)


def correlation(samples: np.ndarray) -> float:
    left, right = (side.ravel().astype(np.float64) for side in (samples[..., :-1], samples[..., 1:]))
    return float(stats.pearsonr(left, right).statistic)


def test_pixels_are_those_of_inputs_of_the_training_spread_over_each_micrograph(tmp_path: Path) -> None:
    images = random_images((16, 24))
    inputs = images["train", "input"]
    inputs[3:5] *= 0.25  # the second micrograph
    inputs[5:] = 0  # the validation's
    segments = [segment(0, 0, 3), segment(1, 3, 2), segment(2, 5, 2, split="validation")]
    found = trained_on(dataset_in(tmp_path, images, segments=segments), tmp_path)
    of_each = [inputs[:3], inputs[3:5]]
    spreads = [float(samples.std(dtype=np.float64)) for samples in of_each]
    assert found.standard_deviation == pytest.approx((spreads[1], spreads[0]), abs=1e-6)
    correlations = sorted(correlation(samples) for samples in of_each)
    assert found.neighbour_correlation == pytest.approx(correlations, abs=1e-6)
    assert (found.micrographs, found.pairs, found.normalization, found.clipped) == (2, "added_noise", "p95", True)


def test_of_many_samples_four_are_looked_at_the_middle_of_each_quarter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []
    read = SplitReader.read

    def note(reader: SplitReader, indices: np.ndarray) -> Any:
        asked.append(indices.tolist())
        return read(reader, indices % 5)  # of more samples than there are

    monkeypatch.setattr(SplitReader, "read", note)
    dataset = dataset_in(tmp_path, random_images((8, 8)), segments=[segment(0, 0, 40), segment(1, 40, 3)])
    trained_on(dataset, tmp_path)
    assert asked == [[5, 15, 25, 35], [40, 41, 42]]
    asked.clear()
    of_halves = [segment(0, 0, 10, half="even"), segment(0, 10, 10, half="odd")]
    trained_on(dataset.model_copy(update={"segments": of_halves, "pairs": "halves"}), tmp_path)
    assert asked == [[2, 7, 12, 17]]
    asked.clear()
    many = [segment(number, 4 * number, 4) for number in range(600)]
    trained_on(dataset.model_copy(update={"segments": many}), tmp_path)
    assert len(asked) == 256
    assert {len(indices) for indices in asked} == {1}
    assert asked[0] == [4 * 1 + 2]
    assert asked[-1] == [4 * 598 + 2]


def test_the_same_dataset_gives_the_same_values(tmp_path: Path) -> None:
    dataset = dataset_in(tmp_path, random_images((16, 24)))
    assert trained_on(dataset, tmp_path) == trained_on(dataset, tmp_path)


def test_pixel_sizes_are_those_of_the_training_and_unknown_if_one_is(tmp_path: Path) -> None:
    segments = [segment(0, 0, 3), segment(1, 3, 2), segment(2, 5, 2, split="validation")]
    dataset = dataset_in(tmp_path, random_images((8, 8)), segments=segments)
    for sizes, expected in (([1.5, 1.0, 9.0], (1.0, 1.5)), ([1.5, 1.5, None], (1.5, 1.5)), ([None, 1.0, 1.0], None)):
        micrographs = [micrograph(size) for size in sizes]
        told = told_by(dataset.model_copy(update={"micrographs": micrographs}))
        assert told["pixel_size_angstrom"] == expected


@pytest.mark.parametrize(
    ("pairs", "clipped", "dose"),
    [
        ("truth", False, (50.0, 50.0)),
        ("halves", False, (25.0, 25.0)),
        ("added_noise", True, None),
        ("given", True, None),
    ],
)
def test_dose_and_clipping_by_kind_of_pairs(tmp_path: Path, pairs: str, clipped: bool, dose: Any) -> None:
    dataset = dataset_in(tmp_path, random_images((8, 8)), pairs=pairs, source=SIMULATED)
    told = told_by(dataset)
    assert (told["pairs"], told["clipped"], told["dose_e_per_a2"]) == (pairs, clipped, dose)


@pytest.mark.parametrize(
    "source",
    [
        None,
        MadeFrom(parameters={"source": "empiar", "synthetic": None, "empiar": {"entry": 10025}}),
        MadeFrom(parameters={"synthetic": {"detector": {"dose_e_per_a2": "many"}}}),
        MadeFrom(parameters={}),
    ],
)
def test_no_other_source_tells_a_dose(tmp_path: Path, source: MadeFrom | None) -> None:
    dataset = dataset_in(tmp_path, random_images((8, 8)), pairs="truth", source=source)
    assert told_by(dataset)["dose_e_per_a2"] is None


def test_a_document_that_names_micrographs_which_it_lacks_is_no_crash(tmp_path: Path) -> None:
    told = told_by(dataset_in(tmp_path, random_images((8, 8)), micrographs=[], made_from=MadeFrom(parameters={})))
    assert (told["micrographs"], told["pixel_size_angstrom"], told["normalization"]) == (1, None, None)
