import hashlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import mrcfile
import numpy as np
import pytest

from cryodenoise import micrographs
from cryodenoise.errors import UserError
from cryodenoise.micrographs import mrc

IMAGE = np.random.default_rng(0).normal(10, 3, (48, 36)).astype(np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "a.mrc"
    mrc.write(target, IMAGE, 0.6575)
    return target


def patched(path: Path, offset: int, content: bytes) -> Path:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)
    return path


def test_what_is_written_is_read_back(path: Path) -> None:
    assert np.array_equal(mrc.read(path), IMAGE)
    header = mrc.read_header(path)
    assert (header.height_px, header.width_px) == (48, 36)
    assert header.pixel_size_angstrom == pytest.approx(0.6575)


def test_a_written_file_is_a_valid_mrc_file_with_statistics(path: Path) -> None:
    assert mrcfile.validate(path)
    with mrcfile.open(path) as stream:
        assert stream.header.dmean == pytest.approx(IMAGE.mean(), rel=1e-6)
        assert float(stream.voxel_size.x) == pytest.approx(0.6575)


def test_equal_images_give_equal_files(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.mrc"
    mrc.write(other, IMAGE, 0.6575)
    assert path.read_bytes() == other.read_bytes()
    assert list(tmp_path.glob("*.partial")) == []


def test_a_header_without_map_stamp_is_read(path: Path) -> None:
    patched(path, 208, bytes(8))  # MAP and machine stamp, as old programs leave them
    assert np.array_equal(mrc.read(path), IMAGE)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_real_mode_and_byte_order_is_read(tmp_path: Path, kind: type, order: Literal["<", ">"]) -> None:
    pixels: np.ndarray = (np.arange(40 * 24).reshape(40, 24) % 100).astype(kind)
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(pixels.astype(np.dtype(kind).newbyteorder(order)))
    image = mrc.read(tmp_path / "a.mrc")
    assert image.dtype == np.float32
    assert np.array_equal(image, pixels)


@pytest.mark.parametrize(("flags", "highest"), [(0, 255), (1, 127)])
def test_bytes_of_older_imod_files_are_unsigned(tmp_path: Path, flags: int, highest: int) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(pixels.view(np.int8))
    image = mrc.read(patched(tmp_path / "a.mrc", 152, struct.pack("<2i", 1146047817, flags)))
    assert image.max() == highest
    assert image.min() == (0 if flags == 0 else -128)


def test_an_extended_header_is_skipped(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(IMAGE)
        stream.set_extended_header(np.zeros(100, dtype="V4"))
    assert np.array_equal(mrc.read(tmp_path / "a.mrc"), IMAGE)


@pytest.mark.parametrize("cell_angstrom", [0, -1, 3e38, 1e-38, 36 * 0.009, 36 * 1001, float("nan"), float("inf")])
def test_a_cell_that_no_microscope_sees_means_no_pixel_size(path: Path, cell_angstrom: float) -> None:
    assert mrc.read_header(patched(path, 40, struct.pack("<f", cell_angstrom))).pixel_size_angstrom is None


def test_a_volume_is_read_as_a_movie(tmp_path: Path) -> None:
    with mrcfile.new(tmp_path / "a.mrc") as stream:
        stream.set_data(np.stack([IMAGE, 2 * IMAGE]))
        stream.set_volume()
    assert mrc.read_header(tmp_path / "a.mrc").frames == 2


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [
        (12, struct.pack("<i", 4), r"mode 4 \(complex numbers\), expected one of 0, 1, 2, 6, 12: convert"),
        (12, struct.pack("<i", 101), r"mode 101 \(packed 4-bit numbers\)"),
        (12, struct.pack("<i", 77777), "no MRC file"),
        (0, struct.pack("<i", -5), "no MRC file"),
        (4, struct.pack("<i", 47), "truncated or damaged"),
        (92, struct.pack("<i", 2**31 - 1), "truncated or damaged"),
        (92, struct.pack("<i", -1024), "truncated or damaged"),
        (1024 + 4 * 40, struct.pack("<f", float("nan")), "row 1, column 4"),
        (1024, struct.pack("<f", float("inf")), "1 of 1728 pixels"),
    ],
)
def test_an_unsound_file_is_refused(path: Path, offset: int, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        mrc.read(patched(path, offset, content))


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="truncated"):
        mrc.read_header(path)
    path.write_bytes(b"short")
    with pytest.raises(UserError, match="5 bytes"):
        mrc.read_header(path)


def test_the_old_header_of_empiar_10025_is_read(path: Path) -> None:
    header = struct.pack("<10i", 36, 48, 1, 2, 0, 0, 0, 1, 1, 1) + struct.pack("<3f", 1, 1, 1)  # a grid of 1 × 1 × 1
    path.write_bytes(header.ljust(1024, b"\0") + IMAGE.tobytes())
    assert mrc.read_header(path) == micrographs.Header(48, 36, 1.0, 1)
    assert np.array_equal(mrc.read(path), IMAGE)


def test_frames_are_added_in_their_order_in_float32(tmp_path: Path) -> None:
    frames = np.array([1e8, 3, -1e8, 7], np.float32)[:, None, None] * np.ones((4, 3, 5), np.float32)
    with mrcfile.new(tmp_path / "a.mrcs") as stream:
        stream.set_data(frames)
    assert np.array_equal(mrc.read(tmp_path / "a.mrcs"), np.full((3, 5), 7))  # 1e8 + 3 is 1e8, in float32
    assert mrc.read_header(tmp_path / "a.mrcs").frames == 4


def test_a_stack_of_particles_is_no_movie(path: Path) -> None:
    path.write_bytes(struct.pack("<4i", 2, 2, 10_001, 0).ljust(1024, b"\0") + bytes(4 * 10_001))
    with pytest.raises(UserError, match="10001 images or more"):
        mrc.read_header(path)


def test_rows_longer_than_a_block_are_read(path: Path) -> None:
    pixels = np.arange(3_000_000, dtype=np.int32).astype("<i2")
    path.write_bytes(struct.pack("<4i", 1_500_000, 1, 2, 1).ljust(1024, b"\0") + pixels.tobytes())
    assert np.array_equal(mrc.read(path), pixels.reshape(2, 1, -1).astype(np.float32).sum(axis=0))


def test_the_pixel_digest_is_of_shape_and_pixels_alone(path: Path, write_mrc: Callable[..., Path]) -> None:
    text = b"cryodenoise pixels 1 48 36\n" + IMAGE.astype("<f4").tobytes()
    assert micrographs.pixel_digest(IMAGE) == hashlib.sha256(text).hexdigest()
    other = write_mrc(path.parent / "b.mrc", IMAGE, pixel_size_angstrom=2.0)
    assert micrographs.pixel_digest(mrc.read(other)) == micrographs.pixel_digest(mrc.read(path))
    assert micrographs.pixel_digest(IMAGE.reshape(36, 48)) != micrographs.pixel_digest(IMAGE)


COUNTS = np.random.default_rng(1).poisson(3, (5, 48, 36)).astype(np.uint16)


def write_frames(path: Path, frames: np.ndarray, pixel_size_angstrom: float = 0.6575) -> Path:
    buffer = np.empty_like(frames[0])
    count, height_px, width_px = frames.shape
    with mrc.writing_frames(path, count, height_px, width_px, pixel_size_angstrom) as add:
        for frame in frames:
            buffer[:] = frame
            add(buffer)
    return path


def test_frames_written_one_by_one_are_read_back(tmp_path: Path) -> None:
    path = write_frames(tmp_path / "a.mrc", COUNTS)
    assert mrc.read_header(path) == micrographs.Header(48, 36, pytest.approx(0.6575), 5)  # type: ignore[arg-type]
    assert np.array_equal(mrc.read(path), COUNTS.sum(axis=0))
    assert path.stat().st_size == mrc.HEADER_BYTES + 2 * COUNTS.size


@pytest.mark.parametrize("frames", [COUNTS, COUNTS[:1], np.zeros_like(COUNTS), 60_000 + COUNTS])
def test_written_frames_are_a_valid_stack_with_statistics(tmp_path: Path, frames: np.ndarray) -> None:
    path = write_frames(tmp_path / "a.mrc", frames)
    assert mrcfile.validate(path)
    with mrcfile.open(path) as stream:
        assert np.array_equal(stream.data.reshape(frames.shape), frames)
        assert (stream.header.mode, stream.header.nz, stream.header.ispg) == (6, len(frames), 0)
        assert (stream.header.dmin, stream.header.dmax) == (frames.min(), frames.max())
        assert stream.header.dmean == pytest.approx(frames.mean(), rel=1e-6)
        assert stream.header.rms == pytest.approx(frames.std(), rel=1e-6)
        assert stream.get_labels() == ["cryodenoise"]
        assert float(stream.voxel_size.y) == pytest.approx(0.6575)


def test_statistics_of_frames_longer_than_a_block(tmp_path: Path) -> None:
    frames = np.arange(2 * 1100 * 1000, dtype=np.uint32).reshape(2, 1100, 1000).astype(np.uint16)
    with mrcfile.open(write_frames(tmp_path / "a.mrc", frames)) as stream:
        assert stream.header.dmean == pytest.approx(frames.mean(), rel=1e-6)
        assert stream.header.rms == pytest.approx(frames.std(), rel=1e-6)


def test_equal_frames_give_equal_files(tmp_path: Path) -> None:
    first, second = (write_frames(tmp_path / name, COUNTS) for name in ("a.mrc", "b.mrc"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("count", [0, 3])
def test_frames_that_broke_off_leave_no_file(tmp_path: Path, count: int) -> None:
    with pytest.raises(OSError, match="gone"), mrc.writing_frames(tmp_path / "a.mrc", 5, 48, 36, 1.0) as add:
        for frame in COUNTS[:count]:
            add(frame)
        raise OSError("gone")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_a_movie_is_an_error_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full_disk)
    with (
        pytest.raises(OSError, match=r"No space left on device: .*a\.mrc") as caught,
        mrc.writing_frames(tmp_path / "a.mrc", 5, 48, 36, 1.0),
    ):
        pass
    assert caught.value.errno == 28
    assert list(tmp_path.iterdir()) == []


def test_a_movie_has_its_room_before_its_first_frame(tmp_path: Path) -> None:
    with mrc.writing_frames(tmp_path / "a.mrc", 40, 480, 360, 1.0) as add:
        state = (tmp_path / "a.mrc.partial").stat()
        assert state.st_blocks * 512 >= state.st_size > 40 * 480 * 360 * 2
        for _ in range(40):
            add(np.zeros((480, 360), np.uint16))
