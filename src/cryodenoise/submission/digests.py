"""The digest of a test split alone, which whoever trains on other data keeps too."""

import hashlib

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.schema import canonical


def test_digest(dataset: DatasetRecord) -> str:
    """SHA-256 of the canonical JSON of the test split's samples: their type, shape and bytes, in order, without names.

    A dataset with the same test split has it, whatever its samples for training and validation are.
    """
    content = {
        "format": "cryodenoise/test-digest-1",
        "dtype": dataset.dtype,
        "sample_shape": dataset.sample_shape,
        "segments": [segment.sha256 for segment in dataset.segments if segment.split == "test"],
    }
    return hashlib.sha256(canonical(content)).hexdigest()
