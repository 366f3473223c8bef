import errno
import fcntl
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset import layout, writer
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.errors import UserError
from small_datasets import SEGMENTS, Images, random_images, write_dataset

SHAPE = (16, 24)


@pytest.fixture
def images() -> Images:
    return random_images(SHAPE)


@pytest.fixture
def data_dir(tmp_path: Path, images: Images) -> Path:
    write_dataset(tmp_path, images)
    return tmp_path


def test_binaries_are_sample_major_little_endian_float32_without_header(data_dir: Path, images: Images) -> None:
    for (stem, role), samples in images.items():
        assert (data_dir / f"{stem}_{role}.bin").read_bytes() == samples.astype("<f4").tobytes()
    assert not list(data_dir.glob("*.partial"))


def test_samples_written_in_any_order_are_read_back_by_index(data_dir: Path, images: Images) -> None:
    with SplitReader(data_dir, open_dataset(data_dir), "validation") as reader:
        inputs, targets = reader.read(np.array([1, 0]))
    assert np.array_equal(inputs[:, 0], images["train", "input"][[6, 5]])
    assert np.array_equal(targets[:, 0], images["train", "target"][[6, 5]])


def test_an_altered_byte_is_found_as_its_sample_is_read_and_no_sooner(data_dir: Path) -> None:
    path = data_dir / "train_target.bin"
    content = bytearray(path.read_bytes())
    content[3 * 16 * 24 * 4 + 11] ^= 1
    path.write_bytes(content)
    with SplitReader(data_dir, open_dataset(data_dir), "train") as reader:
        reader.read(np.array([0, 1, 2, 4]))
        with pytest.raises(UserError, match=r"train_target\.bin: sample 3 \(bytes 4608 to 6143\) was altered"):
            reader.read(np.array([3]))


def test_a_file_that_is_cut_off_while_it_is_open_is_told_with_the_sample(data_dir: Path) -> None:
    with SplitReader(data_dir, open_dataset(data_dir), "train") as reader:
        os.truncate(data_dir / "train_input.bin", 2 * 16 * 24 * 4 + 100)
        reader.read(np.array([0, 1]))
        with pytest.raises(UserError, match=r"train_input\.bin: sample 2 .* was cut off after 100 bytes"):
            reader.read(np.array([2]))
        with pytest.raises(UserError, match=r"train_input\.bin: sample 4 .* was cut off after 0 bytes"):
            reader.read(np.array([4]))


def test_a_disk_that_fails_is_told_with_the_sample(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with SplitReader(data_dir, open_dataset(data_dir), "validation") as reader:
        monkeypatch.setattr(os, "preadv", failing)
        with pytest.raises(UserError, match=r"train_input\.bin: sample 6 .* cannot be read \(Input/output error\)"):
            reader.read(np.array([1]))


def test_reads_that_stop_short_are_taken_up_again(
    data_dir: Path, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, at: preadv(file, [views[0][:700]], at))
    with SplitReader(data_dir, open_dataset(data_dir), "test") as reader:
        assert np.array_equal(reader.read(np.array([2]))[0][0, 0], images["test", "input"][2])


@pytest.mark.parametrize(
    ("shape", "available_bytes", "direct"),
    [((512, 512), 20 << 20, False), ((512, 512), 19 << 20, True), ((512, 511), 0, False), ((128, 128), 0, False)],
)
def test_what_does_not_fit_into_the_memory_is_read_past_the_cache_if_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], available_bytes: int, direct: bool
) -> None:
    """Five pairs of 1 MiB, and half of the memory for them."""
    images, opened = random_images(shape), os.open
    flags: list[int] = []

    def observed(path: Path, flag: int) -> int:
        flags.append(flag)
        return opened(path, flag)

    write_dataset(tmp_path, images)
    record = open_dataset(tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available_bytes))
    monkeypatch.setattr(os, "open", observed)
    with SplitReader(tmp_path, record, "train") as reader:
        inputs, targets = reader.read(np.array([3, 0]))
    assert bool(flags[0] & os.O_DIRECT) == direct
    assert np.array_equal(inputs[:, 0], images["train", "input"][[3, 0]])
    assert np.array_equal(targets[:, 0], images["train", "target"][[3, 0]])


@pytest.mark.parametrize("at_once", [True, False])
def test_a_file_system_that_refuses_direct_reads_gets_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    opened, preadv = os.open, os.preadv

    def picky_open(path: Path, flags: int) -> int:
        if at_once and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return opened(path, flags)

    def picky_preadv(descriptor: int, views: list[memoryview], at: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return preadv(descriptor, views, at)

    images = random_images((512, 512))
    write_dataset(tmp_path, images)
    monkeypatch.setattr(os, "open", picky_open)
    monkeypatch.setattr(os, "preadv", picky_preadv)
    with SplitReader(tmp_path, open_dataset(tmp_path), "test", direct=True) as reader:
        assert np.array_equal(reader.read(np.array([2, 1]))[1][:, 0], images["test", "target"][[2, 1]])


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
