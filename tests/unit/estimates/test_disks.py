from pathlib import Path

from cryodenoise.estimates.disks import measure, nearest_directory


def test_the_nearest_directory_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert nearest_directory(tmp_path) == tmp_path
    assert nearest_directory(tmp_path / "a/b") == tmp_path
    assert nearest_directory(tmp_path / "file/b") == tmp_path


def test_a_measurement_leaves_nothing_behind(tmp_path: Path) -> None:
    rates = measure(tmp_path)
    assert min(rates) > 0
    assert list(tmp_path.iterdir()) == []
