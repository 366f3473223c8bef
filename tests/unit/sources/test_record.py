from pathlib import Path

import pytest

from cryodenoise.sources.record import contents, is_within


@pytest.mark.parametrize(
    "name", ["a.mrc", "truth/a.mrc", "even/a", "odd/a.b", "particles/a.star", "a b", "...", "gain"]
)
def test_names_in_the_folder_and_in_those_it_has_are_followed(name: str) -> None:
    assert is_within(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "/a.mrc", "../a.mrc", "truth/", "truth/..", "truth/.", "truth/../a", "truth/../../a", "./a",
     "other/a.mrc", "truth/even/a.mrc", "truth//a.mrc", "/truth/a.mrc", "Truth/a.mrc"],
)  # fmt: skip
def test_no_other_name_is_followed(name: str) -> None:
    assert not is_within(name)


def test_contents_look_into_the_folders_of_downloads_alone(tmp_path: Path) -> None:
    for name in ("truth", "other", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mrc").touch()
    (tmp_path / "odd").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "even").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in contents(tmp_path)]
    assert found == ["elsewhere", "even", "odd", "other", "truth/a.mrc"]
