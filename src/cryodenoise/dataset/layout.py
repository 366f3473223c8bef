"""The layout of data/, stated once for writer and reader (docs/FORMATS.md tells it to other programs)."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Literal, Protocol, get_args

import numpy as np
import xxhash

from cryodenoise.config.documents import (
    DatasetRecord,
    Micrograph,
    SampleDtype,
    SampleRange,
    Segment,
    SplitName,
)
from cryodenoise.config.schema import canonical

DOCUMENT_NAME = "dataset.json"
CHECKSUM_DTYPE = "<u8"
SAMPLE_DTYPES: dict[Literal["float32", "float16"], SampleDtype] = {"float32": "<f4", "float16": "<f2"}
"""The types that a run file can name."""
Role = Literal["input", "target", "truth"]
Stem = Literal["train", "test"]
ROLES: tuple[Role, ...] = ("input", "target")
"""What every sample has."""
STEMS: tuple[Stem, ...] = ("train", "test")
DIRECT_UNIT_BYTES = 4096
"""What lengths, places and addresses must be multiples of where files are read and written past the system's cache."""
_DIRECT_FROM_BYTES = 1 << 20


def roles_of(stem: Stem, with_truth: bool) -> tuple[Role, ...]:
    """The roles that have a file, by its stem: a truth is for the scores alone."""
    return (*ROLES, "truth") if with_truth and stem == "test" else ROLES


def binary_name(stem: Stem, role: Role) -> str:
    """File with the samples of one role."""
    return f"{stem}_{role}.bin"


def checksums_name(stem: Stem, role: Role) -> str:
    """File with the checksums of these samples."""
    return f"{stem}_{role}.xxh3"


def sample_bytes(sample_shape: tuple[int, int], dtype: SampleDtype) -> int:
    """Length of one sample."""
    return sample_shape[0] * sample_shape[1] * np.dtype(dtype).itemsize


def may_go_direct(sample_length: int) -> bool:
    """Whether samples of so many bytes can be read and written past the system's cache, and are worth it."""
    return sample_length >= _DIRECT_FROM_BYTES and sample_length % DIRECT_UNIT_BYTES == 0


def checksum(sample: np.ndarray) -> int:
    """XXH3-64 of a sample's bytes, unseeded."""
    return xxhash.xxh3_64_intdigest(sample.data)


class Placed(Protocol):
    """A segment, planned or written: samples of one split that are consecutive in their files."""

    @property
    def split(self) -> SplitName: ...  # noqa: D102
    @property
    def file(self) -> Stem: ...  # noqa: D102
    @property
    def first_sample(self) -> int: ...  # noqa: D102
    @property
    def samples(self) -> int: ...  # noqa: D102


def has_truth(segments: Sequence[Segment]) -> bool:
    """Whether a dataset carries a truth for the scores."""
    return any("truth" in segment.sha256 for segment in segments)


def samples_in_files(segments: Sequence[Placed]) -> dict[Stem, int]:
    """Samples in the files of each stem."""
    return {stem: sum(segment.samples for segment in segments if segment.file == stem) for stem in STEMS}


def ranges_of_splits(segments: Sequence[Placed]) -> dict[SplitName, SampleRange]:
    """Where each split is: its segments follow one another."""
    ranges: dict[SplitName, SampleRange] = {}
    for segment in segments:
        before = ranges.get(segment.split)
        ranges[segment.split] = SampleRange(
            file=segment.file,
            first_sample=before.first_sample if before else segment.first_sample,
            samples=segment.samples + (before.samples if before else 0),
        )
    return ranges


def inconsistencies(record: DatasetRecord) -> Iterator[str]:
    """What in dataset.json contradicts the rest of it: an edited document does not pass for what was written."""
    if any(first >= last for segment in record.segments for first, last in (segment.rows, segment.columns)):
        yield "segments: one has no samples"
        return
    if record.identity != identity(record.dtype, record.sample_shape, record.micrographs, record.segments):
        yield "identity: not that of the micrographs and segments"
    if record.splits != ranges_of_splits(record.segments) or set(record.splits) != set(get_args(SplitName)):
        yield "splits: not those of the segments"
    splits_of: dict[int, set[SplitName]] = {}
    for segment in record.segments:
        splits_of.setdefault(segment.micrograph, set()).add(segment.split)
    shared = any(len(splits) > 1 for splits in splits_of.values())
    if record.held_out != ("regions" if shared else "micrographs"):
        yield "held_out: not what the segments show"
    patches = record.made_from.parameters.get("patches")
    if not isinstance(patches, dict) or patches.get("stride_px") != record.stride_px:
        yield "stride_px: not that of the run file"
    pairs = record.made_from.parameters.get("pairs")
    if not isinstance(pairs, dict) or pairs.get("kind") != record.pairs:
        yield "pairs: not that of the run file"
    if any((segment.half is not None) != (record.pairs == "halves") for segment in record.segments):
        yield "half: in segments of another kind of pairs than halves, or missing in one of halves"
    with_truth = has_truth(record.segments)
    if any(("truth" in segment.sha256) != (with_truth and segment.file == "test") for segment in record.segments):
        yield "sha256: of a truth, in a segment of train, or missing in one of test"
    samples = samples_in_files(record.segments)
    length = sample_bytes(record.sample_shape, record.dtype)
    expected = {
        (
            binary_name(stem, role), checksums_name(stem, role), samples[stem] * length,
            file_digest(stem, role, record.segments),
        )
        for stem in STEMS
        for role in roles_of(stem, with_truth)
    }  # fmt: skip
    if {(file.name, file.checksums, file.size_bytes, file.digest) for file in record.files} != expected:
        yield "files: not those of the segments"


def identity(
    dtype: SampleDtype, sample_shape: tuple[int, int], micrographs: Sequence[Micrograph], segments: Sequence[Segment]
) -> str:
    """The dataset's identity: SHA-256 of the canonical JSON of what its samples are and where, without file names."""
    content = {
        "format": "cryodenoise/dataset-identity-1",
        "dtype": dtype,
        "sample_shape": sample_shape,
        "micrographs": [micrograph.pixel_digest for micrograph in micrographs],
        "segments": [segment.model_dump(mode="json", exclude_none=True) for segment in segments],
    }
    return hashlib.sha256(canonical(content)).hexdigest()


def file_digest(stem: Stem, role: Role, segments: Sequence[Segment]) -> str:
    """The digest of one binary: SHA-256 of its segments' digests, each with a line feed, in the order of the file."""
    lines = (f"{segment.sha256.get(role)}\n" for segment in segments if segment.file == stem)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
