"""The digest of a test split: what it depends on, and what not."""

from pathlib import Path

import pytest

from cryodenoise.config.documents import DatasetRecord, Segment
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.submission import digests
from small_datasets import random_images, write_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetRecord:
    write_dataset(tmp_path, random_images((8, 8)))
    return open_dataset(tmp_path)


def changed(dataset: DatasetRecord, split: str, **changes: object) -> DatasetRecord:
    """The dataset with other values in the segments of a split."""
    segments = [each.model_copy(update=changes) if each.split == split else each for each in dataset.segments]
    return dataset.model_copy(update={"segments": segments})


def test_it_is_the_same_for_other_training_data_and_other_places(dataset: DatasetRecord) -> None:
    expected = digests.test_digest(dataset)
    other = {"identity": "0" * 64, "micrographs": [], "splits": {}}
    assert digests.test_digest(dataset.model_copy(update=other)) == expected
    for split in ("train", "validation"):
        assert digests.test_digest(changed(dataset, split, sha256={"input": "0" * 64})) == expected
    assert digests.test_digest(changed(dataset, "test", micrograph=7, first_sample=1)) == expected


def test_it_changes_with_samples_type_and_shape(dataset: DatasetRecord) -> None:
    (test,) = (segment for segment in dataset.segments if segment.split == "test")
    others: list[DatasetRecord] = [
        dataset.model_copy(update={"dtype": "<f2"}),
        dataset.model_copy(update={"sample_shape": (16, 4)}),
        dataset.model_copy(update={"segments": [*dataset.segments, test]}),
        *(changed(dataset, "test", sha256={**test.sha256, role: "0" * 64}) for role in ("input", "target", "truth")),
    ]
    assert len({digests.test_digest(each) for each in (dataset, *others)}) == 1 + len(others)


def test_it_changes_with_the_order_of_samples(dataset: DatasetRecord) -> None:
    def of(*names: str) -> str:
        test = next(segment for segment in dataset.segments if segment.split == "test")
        segments: list[Segment] = [test.model_copy(update={"sha256": {"input": name * 64}}) for name in names]
        return digests.test_digest(dataset.model_copy(update={"segments": segments}))

    assert of("a", "b") != of("b", "a")
