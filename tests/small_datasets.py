"""Small datasets of known samples."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cryodenoise.config.documents import DatasetRecord, MadeFrom, Micrograph, SampleDtype, Segment
from cryodenoise.config.exposure import Particle
from cryodenoise.dataset import layout, writer

SAMPLES: dict[layout.Stem, int] = {"train": 7, "test": 3}
SEGMENTS = [
    Segment(
        micrograph=0, split="train", half=None, file="train", first_sample=0, rows=(0, 5), columns=(0, 1), sha256={}
    ),
    Segment(
        micrograph=1,
        split="validation",
        half=None,
        file="train",
        first_sample=5,
        rows=(0, 1),
        columns=(0, 2),
        sha256={},
    ),
    Segment(micrograph=2, split="test", half=None, file="test", first_sample=0, rows=(0, 3), columns=(0, 1), sha256={}),
]
Images = Mapping[tuple[layout.Stem, layout.Role], np.ndarray]


def random_images(shape: tuple[int, int]) -> Images:
    """Inputs and targets of both files, float32, shape (samples, h, w)."""
    rng = np.random.default_rng(0)
    return {
        (stem, role): rng.random((count, *shape), np.float32)
        for stem, count in SAMPLES.items()
        for role in layout.ROLES
    }


def write_dataset(data_dir: Path, images: Images, dtype: SampleDtype = "<f4") -> None:
    """A dataset whose samples are written back to front: five to train with, two for validation, three for the test."""
    shape = images["train", "input"].shape[1:]
    writer.preallocate(data_dir, writer.lengths(data_dir, SAMPLES, shape, dtype))
    for stem, count in SAMPLES.items():
        inputs, targets = images[stem, "input"], images[stem, "target"]
        for first in reversed(range(0, count, 2)):
            with writer.SegmentWriter(data_dir, stem, first, shape, dtype) as segment:
                for noisy, clean in zip(inputs[first : first + 2], targets[first : first + 2], strict=True):
                    segment.write(noisy, clean)
    record = DatasetRecord(
        format=DatasetRecord.FORMAT,
        format_version=DatasetRecord.VERSION,
        identity=layout.identity(dtype, shape, [], SEGMENTS),
        pairs="added_noise",
        dtype=dtype,
        sample_shape=shape,
        stride_px=8,
        held_out="micrographs",
        splits=layout.ranges_of_splits(SEGMENTS),
        files=writer.commit_files(data_dir, SEGMENTS),
        micrographs=[],
        skipped=[],
        segments=SEGMENTS,
        made_from=MadeFrom(parameters={"patches": {"stride_px": 8}, "pairs": {"kind": "added_noise"}}),
        machine={},
        source=None,
        environment={},
    )
    (data_dir / layout.DOCUMENT_NAME).write_text(record.dumps())


def segment(first_sample: int, rows: tuple[int, int], columns: tuple[int, int], **known: Any) -> Segment:
    """A segment of the test split, of micrograph 0 unless told otherwise."""
    of_test = {"micrograph": 0, "split": "test", "half": None, "file": "test", "sha256": {}}
    return Segment(**{**of_test, **known}, first_sample=first_sample, rows=rows, columns=columns)


def micrograph(pixel_size_angstrom: float | None = 2.0, particles: list[Particle] | None = None) -> Micrograph:
    """A micrograph of which only that is known."""
    return Micrograph(
        name="a.mrc",
        pixel_digest="0" * 64,
        target=None,
        truth=None,
        particles=particles,
        height_px=1024,
        width_px=1024,
        pixel_size_angstrom=pixel_size_angstrom,
        offset=0.0,
        scale=1.0,
    )


def described(segments: Sequence[Segment], micrographs: Sequence[Micrograph] = (), **known: Any) -> DatasetRecord:
    """What dataset.json says, without any samples: 16 × 16 pixels every 8 pixels unless told otherwise."""
    return DatasetRecord.model_construct(
        **{"pairs": "added_noise", "sample_shape": (16, 16), "stride_px": 8, **known},
        segments=list(segments),
        micrographs=list(micrographs),
        splits=layout.ranges_of_splits(segments),
    )
