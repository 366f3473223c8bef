from pathlib import Path

import numpy as np
import pytest

from cryodenoise.errors import UserError
from cryodenoise.inference.inputs import Input, gather, with_halves
from cryodenoise.micrographs import mrc


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands are given: files in raw/, of which only the names count."""
    monkeypatch.chdir(tmp_path)
    touched("raw/b.mrc", "raw/a.mrc", "raw/c.tif", "raw/.hidden.mrc", "raw/notes.txt", "raw/deeper/d.mrc.gz")
    return tmp_path


def touched(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def names(*given: str, output: str = "out") -> dict[str, str]:
    return {str(one.path): one.name for one in gather(given, Path(output)).micrographs}


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["raw/c.tif"], {"raw/c.tif": "c.mrc"}),
        (["raw/deeper/d.mrc.gz"], {"raw/deeper/d.mrc.gz": "d.mrc"}),
        (["raw"], {"raw/a.mrc": "a.mrc", "raw/b.mrc": "b.mrc", "raw/c.tif": "c.mrc"}),
        (["raw/?.mrc"], {"raw/a.mrc": "a.mrc", "raw/b.mrc": "b.mrc"}),
        (["raw/*"], {"raw/a.mrc": "a.mrc", "raw/b.mrc": "b.mrc", "raw/c.tif": "c.mrc"}),
        (["**/[d].*"], {"raw/deeper/d.mrc.gz": "d.mrc"}),
        (
            ["raw/b.mrc", "raw", "./raw/../raw/a.mrc"],
            {"raw/b.mrc": "b.mrc", "raw/a.mrc": "a.mrc", "raw/c.tif": "c.mrc"},
        ),
    ],
    ids=["file", "compressed", "folder", "pattern", "any", "deep", "twice"],
)
def test_what_is_given_becomes_micrographs(given: list[str], expected: dict[str, str]) -> None:
    assert names(*given) == expected
    assert list(names(*given)) == list(expected)


@pytest.mark.usefixtures("folder")
def test_a_file_whose_name_looks_like_a_pattern_is_a_file() -> None:
    touched("raw/[a].mrc")
    assert names("raw/[a].mrc") == {"raw/[a].mrc": "[a].mrc"}


@pytest.mark.usefixtures("folder")
def test_a_star_file_gives_its_micrographs_and_what_it_knows_of_them() -> None:
    touched("raw/a_EVN.mrc", "raw/a_ODD.mrc")
    text = """data_micrographs
loop_
_rlnMicrographName
_rlnMicrographPixelSize
_rlnMicrographNameEven
_rlnMicrographNameOdd
raw/b.mrc 0.885 raw/b_EVN.mrc raw/b_ODD.mrc
raw/a.mrc 0.885 raw/a_EVN.mrc raw/a_ODD.mrc
"""
    Path("m.star").write_text(text)
    found = gather(["m.star"], Path("out"))
    raw = Path.cwd() / "raw"
    assert found.micrographs == (
        Input(raw / "b.mrc", "b.mrc", 0.885),
        Input(raw / "a.mrc", "a.mrc", 0.885, raw / "a_EVN.mrc", raw / "a_ODD.mrc"),
    )
    assert [star.path for star in found.stars] == [Path("m.star")]
    (raw / "a.mrc").unlink()
    assert gather(["m.star"], Path("out")).micrographs[1].path == raw / "a.mrc", "told of when it is read"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("given", [["m.star", "raw/a.mrc"], ["raw/a.mrc", "m.star"]])
def test_what_a_star_file_knows_is_not_forgotten(given: list[str]) -> None:
    Path("m.star").write_text("data_\nloop_\n_rlnMicrographName\n_rlnMicrographPixelSize\nraw/a.mrc 0.885\n")
    (one,) = gather(given, Path("out")).micrographs
    assert one.pixel_size_angstrom == 0.885


def test_only_stacks_that_are_written_as_stacks_are_called_so(folder: Path) -> None:
    for name, shape in (("movie.mrc", (3, 8, 8)), ("one.mrcs", (1, 8, 8))):
        with mrc.writing_frames(folder / name, *shape, 1.0) as add:
            for frame in np.zeros(shape, np.uint16):
                add(frame)
    given = ["movie.mrc", "one.mrcs", "raw/a.mrc"]
    assert [one.name for one in gather(given, Path("out"), "each").micrographs] == ["movie.mrcs", "one.mrc", "a.mrc"]
    assert [one.name for one in gather(given, Path("out")).micrographs] == ["movie.mrc", "one.mrc", "a.mrc"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("given", "output", "message"),
    [
        ([], "out", "no input"),
        (["gone.mrc"], "out", "gone.mrc: does not exist"),
        (["raw/x*.mrc"], "out", "matches 0 files"),
        (["raw/*.txt"], "out", "matches 1 files and folders, no micrograph"),
        (["raw/notes.txt"], "out", "ends in none of"),
        (["empty"], "out", "no micrograph directly in this folder"),
        (["raw/a.mrc", "raw2"], "out", "raw/a.mrc and raw2/a.mrc: both would be written as a.mrc"),
        (["raw/c.tif", "raw2/c.mrc"], "out", "raw/c.tif and raw2/c.mrc: both would be written as c.mrc"),
        (["raw/a.mrc"], "raw", "raw: holds the input a.mrc"),
        (["raw/c.tif"], "raw2/../raw", "holds the input c.tif"),
        (["raw/linked.mrc"], "raw2", "raw2: holds the input linked.mrc"),
        (["linked/b.mrc"], "raw", "raw: holds the input b.mrc"),
        (["raw/a\udcff.mrc"], "out", "not printable UTF-8"),
    ],
    ids=[
        "none", "missing", "no-match", "no-micrograph", "text", "empty", "same-name", "same-stem", "into-itself",
        "roundabout", "link", "linked-folder", "bytes",
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(given: list[str], output: str, message: str) -> None:
    touched("raw2/a.mrc", "raw2/c.mrc", "empty/notes.txt", "empty/deeper/a.mrc", "raw/a\udcff.mrc")
    if "raw/linked.mrc" in given:
        Path("raw/linked.mrc").symlink_to(Path("raw2/c.mrc").absolute())
    Path("linked").symlink_to("raw")
    with pytest.raises(UserError, match=message):
        gather(given, Path(output))


@pytest.mark.usefixtures("folder")
def test_an_output_folder_above_the_inputs_is_allowed() -> None:
    assert names("raw", output=".")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("ends", [("", ""), ("_EVN", "_ODD"), ("_even", "_odd"), ("_A", "_B")])
def test_halves_are_found_by_their_names(ends: tuple[str, str]) -> None:
    even, odd = ends
    touched(f"even/a{even}.mrc", f"even/b{even}.tif", f"odd/a{odd}.mrc", f"odd/b{odd}.mrc.gz", "odd/other.mrc")
    found = with_halves(gather(["raw/?.mrc"], Path("out")), Path("even"), Path("odd"))
    assert [(str(one.even), str(one.odd)) for one in found.micrographs] == [
        (f"even/a{even}.mrc", f"odd/a{odd}.mrc"),
        (f"even/b{even}.tif", f"odd/b{odd}.mrc.gz"),
    ]


@pytest.mark.usefixtures("folder")
def test_wholes_and_halves_may_lie_in_one_folder() -> None:
    touched("all/x.mrc", "all/x_EVN.mrc", "all/x_ODD.mrc")
    (one,) = with_halves(gather(["all"], Path("out")), Path("all"), Path("all")).micrographs
    assert (one.path, one.even, one.odd) == (Path("all/x.mrc"), Path("all/x_EVN.mrc"), Path("all/x_ODD.mrc"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("files", "even", "odd", "message"),
    [
        (["even/a.mrc", "odd/b.mrc"], "even", "odd", "no two halves of a, b: their names"),
        (["even/a.mrc", "even/a_EVN.mrc", "odd/a.mrc"], "even", "odd", "a.mrc and even/a_EVN.mrc: both could be"),
        (["odd/a.mrc", "odd/b.mrc"], "raw", "odd", "raw/a.mrc: is a half of itself"),
        (["odd/a.mrc"], "gone", "odd", "gone: no folder"),
        (["out/a.mrc", "out/b.mrc", "odd/a.mrc", "odd/b.mrc"], "out", "odd", "out: holds the input a.mrc"),
    ],
    ids=["missing", "several", "itself", "folder", "output"],
)
def test_halves_that_cannot_be_are_refused(files: list[str], even: str, odd: str, message: str) -> None:
    inputs = gather(["raw/?.mrc"], Path("out"))
    touched(*files)
    with pytest.raises(UserError, match=message):
        with_halves(inputs, Path(even), Path(odd))
