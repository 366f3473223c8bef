import errno
import fcntl
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.documents import DatasetRecord, MadeFrom, Segment
from cryodenoise.dataset import layout, writer
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.dataset.stream import stream
from cryodenoise.errors import UserError

SHAPE = (16, 24)
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


@pytest.fixture
def images() -> dict[tuple[str, str], np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        (stem, role): rng.random((count, *SHAPE), np.float32)
        for stem, count in SAMPLES.items()
        for role in layout.ROLES
    }


@pytest.fixture
def data_dir(tmp_path: Path, images: dict[tuple[str, str], np.ndarray]) -> Path:
    """A dataset whose samples were written back to front."""
    writer.preallocate(tmp_path, writer.lengths(tmp_path, SAMPLES, SHAPE, "<f4"))
    for stem, count in SAMPLES.items():
        inputs, targets = images[stem, "input"], images[stem, "target"]
        for first in reversed(range(0, count, 2)):
            with writer.SegmentWriter(tmp_path, stem, first, SHAPE, "<f4") as segment:
                for noisy, clean in zip(inputs[first : first + 2], targets[first : first + 2], strict=True):
                    segment.write(noisy, clean)
    record = DatasetRecord(
        format=DatasetRecord.FORMAT,
        format_version=DatasetRecord.VERSION,
        identity=layout.identity("<f4", SHAPE, [], SEGMENTS),
        pairs="added_noise",
        dtype="<f4",
        sample_shape=SHAPE,
        stride_px=8,
        held_out="micrographs",
        splits=layout.ranges_of_splits(SEGMENTS),
        files=writer.commit_files(tmp_path, SEGMENTS),
        micrographs=[],
        skipped=[],
        segments=SEGMENTS,
        made_from=MadeFrom(parameters={"patches": {"stride_px": 8}, "pairs": {"kind": "added_noise"}}),
        machine={},
        source=None,
        environment={},
    )
    (tmp_path / layout.DOCUMENT_NAME).write_text(record.dumps())
    return tmp_path


def test_binaries_are_sample_major_little_endian_float32_without_header(
    data_dir: Path, images: dict[tuple[str, str], np.ndarray]
) -> None:
    for (stem, role), samples in images.items():
        assert (data_dir / f"{stem}_{role}.bin").read_bytes() == samples.astype("<f4").tobytes()
    assert not list(data_dir.glob("*.partial"))


def test_samples_written_in_any_order_are_read_back_by_index(
    data_dir: Path, images: dict[tuple[str, str], np.ndarray]
) -> None:
    with SplitReader(data_dir, open_dataset(data_dir), "validation") as reader:
        inputs, targets = reader.read(np.array([1, 0]))
    assert np.array_equal(inputs[:, 0], images["train", "input"][[6, 5]])
    assert np.array_equal(targets[:, 0], images["train", "target"][[6, 5]])


def test_a_stream_yields_every_batch_in_order(data_dir: Path, images: dict[tuple[str, str], np.ndarray]) -> None:
    plan = [np.array([4, 1]), np.array([0]), np.array([2, 3])]
    with SplitReader(data_dir, open_dataset(data_dir), "train") as reader:
        read = [inputs[:, 0] for inputs, _ in stream(reader, plan, read_ahead=2)]
        samples = images["train", "input"]
    assert all(np.array_equal(found, samples[wanted]) for found, wanted in zip(read, plan, strict=True))


def test_an_altered_byte_is_found_as_its_sample_is_read_and_no_sooner(data_dir: Path) -> None:
    path = data_dir / "train_target.bin"
    content = bytearray(path.read_bytes())
    content[3 * 16 * 24 * 4 + 11] ^= 1
    path.write_bytes(content)
    with SplitReader(data_dir, open_dataset(data_dir), "train") as reader:
        reader.read(np.array([0, 1, 2, 4]))
        with pytest.raises(UserError, match=r"train_target\.bin: sample 3 \(bytes 4608 to 6143\) was altered"):
            reader.read(np.array([3]))


@pytest.mark.parametrize("name", ["test_input.bin", "train_target.xxh3"])
def test_a_missing_file_is_refused_at_once(data_dir: Path, name: str) -> None:
    (data_dir / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing"):
        open_dataset(data_dir)


def test_a_short_binary_is_refused_at_once(data_dir: Path) -> None:
    with (data_dir / "test_target.bin").open("r+b") as binary:
        binary.truncate(100)
    with pytest.raises(UserError, match="100 bytes, expected 4608"):
        open_dataset(data_dir)


def test_altered_checksums_are_refused_at_once(data_dir: Path) -> None:
    path = data_dir / "test_input.xxh3"
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(UserError, match="altered"):
        open_dataset(data_dir)


def test_committing_twice_changes_nothing(data_dir: Path) -> None:
    before = (data_dir / layout.DOCUMENT_NAME).read_text()
    assert [file.model_dump() for file in writer.commit_files(data_dir, SEGMENTS)] == [
        file.model_dump() for file in DatasetRecord.load_document(data_dir / layout.DOCUMENT_NAME).files
    ]
    assert before == (data_dir / layout.DOCUMENT_NAME).read_text()


def test_float16_samples_are_rounded_once_and_read_as_float32(tmp_path: Path) -> None:
    writer.preallocate(tmp_path, writer.lengths(tmp_path, {"train": 1, "test": 1}, SHAPE, "<f2"))
    noisy, clean = np.random.default_rng(1).random((2, *SHAPE), np.float32)
    with writer.SegmentWriter(tmp_path, "train", 0, SHAPE, "<f2") as segment:
        segment.write(noisy, clean)
    stored = (tmp_path / "train_input.bin.partial").read_bytes()
    assert stored == noisy.astype("<f2").tobytes()
    assert segment.sha256["input"] == hashlib.sha256(stored).hexdigest()


@pytest.mark.parametrize("shape", [(512, 512), (600, 437)])
def test_large_samples_reach_their_places(tmp_path: Path, shape: tuple[int, int]) -> None:
    """One of a length that can go past the system's cache, and one that cannot."""
    writer.preallocate(tmp_path, writer.lengths(tmp_path, {"train": 5, "test": 1}, shape, "<f4"))
    samples = np.random.default_rng(2).random((5, *shape), np.float32)
    for first, last in ((2, 5), (0, 2)):
        with writer.SegmentWriter(tmp_path, "train", first, shape, "<f4") as segment:
            for sample in samples[first:last]:
                segment.write(sample, 1 - sample)
    assert (tmp_path / "train_input.bin.partial").read_bytes() == samples.tobytes()
    assert (tmp_path / "train_target.bin.partial").read_bytes() == (1 - samples).tobytes()


def test_a_segment_that_cannot_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer.preallocate(tmp_path, writer.lengths(tmp_path, {"train": 1, "test": 1}, SHAPE, "<f4"))
    monkeypatch.setattr(os, "pwrite", full)
    sample = np.zeros(SHAPE, np.float32)
    with pytest.raises(OSError, match="No space"), writer.SegmentWriter(tmp_path, "train", 0, SHAPE, "<f4") as segment:
        segment.write(sample, sample)


def test_files_that_are_there_are_not_allocated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may be writing them, and some systems allocate by writing."""
    files = writer.lengths(tmp_path, {"train": 1, "test": 1}, SHAPE, "<f4")
    writer.preallocate(tmp_path, files)
    monkeypatch.delattr(os, "posix_fallocate")
    writer.preallocate(tmp_path, files)


def test_new_files_end_what_the_journals_told_but_not_the_survey(tmp_path: Path) -> None:
    writer.append_journal(tmp_path, 0, "written")
    writer.append_journal(tmp_path, 3, "written")
    writer.append_journal(tmp_path, 0, "seen", "survey")
    writer.append_journal(tmp_path, 1, "seen too", "survey")
    writer.preallocate(tmp_path, writer.lengths(tmp_path, {"train": 1, "test": 1}, SHAPE, "<f4"))
    assert writer.read_journals(tmp_path) == []
    assert writer.read_journals(tmp_path, "survey") == [b"seen too", b"seen"]


def test_a_file_system_that_refuses_direct_writes_gets_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite

    def picky(descriptor: int, content: bytes, at: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return pwrite(descriptor, content, at)

    writer.preallocate(tmp_path, writer.lengths(tmp_path, {"train": 1, "test": 1}, (512, 512), "<f4"))
    monkeypatch.setattr(os, "pwrite", picky)
    sample = np.random.default_rng(3).random((512, 512), np.float32)
    with writer.SegmentWriter(tmp_path, "train", 0, (512, 512), "<f4") as segment:
        segment.write(sample, sample)
    assert (tmp_path / "train_input.bin.partial").read_bytes() == sample.tobytes()


def test_the_journals_of_all_processes_count_but_no_torn_line(tmp_path: Path) -> None:
    writer.append_journal(tmp_path, 0, '{"number": 0}')
    writer.append_journal(tmp_path, 1, '{"number": 1}')
    with (tmp_path / JOURNAL_NAME).open("ab") as journal:
        journal.write(b'{"num')
    assert writer.read_journals(tmp_path) == [b'{"number": 1}', b'{"number": 0}']
    writer.mend_journal(tmp_path, 0)
    writer.append_journal(tmp_path, 0, '{"number": 2}')
    assert writer.read_journals(tmp_path) == [b'{"number": 1}', b'{"number": 0}', b'{"number": 2}']
    writer.drop_journals(tmp_path)
    assert list(tmp_path.glob("*.jsonl")) == []
