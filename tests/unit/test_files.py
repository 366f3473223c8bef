import hashlib
from pathlib import Path

import pytest

from cryodenoise import files
from cryodenoise.errors import UserError


def test_an_atomic_write_replaces_the_whole_file_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write_atomically(path, b"old and long")
    files.write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    files.write_atomically(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("length", [0, 1, (1 << 22) + 1])
def test_a_files_digest_is_its_sha256(tmp_path: Path, length: int) -> None:
    (tmp_path / "a").write_bytes(b"x" * length)
    assert files.sha256_of(tmp_path / "a") == hashlib.sha256(b"x" * length).hexdigest()


def test_work_that_would_not_fit_is_refused_with_both_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda _directory: 2_000_000_000)
    files.require_space(tmp_path, 1_900_000_000)
    with pytest.raises(UserError, match=r"2\.00 GB free, 3\.07 GB needed"):
        files.require_space(tmp_path, 3_000_000_000)


def test_a_missing_input_folder_names_the_task_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist.*`cryodenoise preprocess`"):
        files.require_directory(tmp_path / "data", "preprocess")
