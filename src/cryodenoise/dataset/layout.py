"""The layout of data/, stated once for writer and reader (docs/FORMATS.md tells it to other programs)."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import xxhash

from cryodenoise.config.documents import SAMPLE_DTYPE, Micrograph, Segment, canonical

DOCUMENT_NAME = "dataset.json"
CHECKSUM_DTYPE = "<u8"
Role = Literal["input", "target"]
Stem = Literal["train", "test"]
ROLES: tuple[Role, ...] = ("input", "target")
STEMS: tuple[Stem, ...] = ("train", "test")


def binary_name(stem: Stem, role: Role) -> str:
    """File with the samples of one role."""
    return f"{stem}_{role}.bin"


def checksums_name(stem: Stem, role: Role) -> str:
    """File with the checksums of these samples."""
    return f"{stem}_{role}.xxh3"


def sample_bytes(sample_shape: tuple[int, int]) -> int:
    """Length of one sample."""
    return sample_shape[0] * sample_shape[1] * np.dtype(SAMPLE_DTYPE).itemsize


def checksum(sample: np.ndarray) -> int:
    """XXH3-64 of a sample's bytes, unseeded."""
    return xxhash.xxh3_64_intdigest(sample.data)


def identity(sample_shape: tuple[int, int], micrographs: Sequence[Micrograph], segments: Sequence[Segment]) -> str:
    """The dataset's identity: SHA-256 of the canonical JSON of what its samples are and where, without file names."""
    content = {
        "format": "cryodenoise/dataset-identity-1",
        "dtype": SAMPLE_DTYPE,
        "sample_shape": sample_shape,
        "micrographs": [micrograph.pixel_digest for micrograph in micrographs],
        "segments": [segment.model_dump(mode="json") for segment in segments],
    }
    return hashlib.sha256(canonical(content)).hexdigest()
