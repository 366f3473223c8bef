import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from gemmi import cif
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.errors import UserError
from cryodenoise.inference import star_text
from cryodenoise.inference.star import read_star, write_star

RELION_31 = """
# version 30001

data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographOriginalPixelSize #3
_rlnVoltage #4
_rlnMicrographPixelSize #5
opticsGroup1            1     0.3     300.000000     0.885000
opticsGroup2            2     0.3     300.000000     1.060000


# version 30001

data_micrographs

loop_
_rlnCtfPowerSpectrum #1
_rlnMicrographName #2
_rlnOpticsGroup #3
_rlnAccumMotionTotal #4
MotionCorr/job002/Movies/a_PS.mrc MotionCorr/job002/Movies/a.mrc            2    16.420495
MotionCorr/job002/Movies/b_PS.mrc MotionCorr/job002/Movies/b.mrc            1    13.1
MotionCorr/job002/Movies/c_PS.mrc MotionCorr/job002/Movies/c.mrc            1    'not yet'


"""
RELION_30 = """
data_

loop_
_rlnMicrographName #1
_rlnMagnification #2
_rlnDetectorPixelSize #3
_rlnVoltage #4
M/a.mrc  10000.0  5.0  300.0
M/b.mrc  20000.0  5.0  300.0
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with micrographs, beside which RELION does not run."""
    folder = tmp_path / "project"
    for name in ("a", "b", "c"):
        touched(folder / f"MotionCorr/job002/Movies/{name}.mrc")
        touched(folder / f"M/{name}.mrc")
    monkeypatch.chdir(tmp_path)
    return folder


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def written(folder: Path, text: str, name: str = "CtfFind/job003/micrographs_ctf.star") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_micrographs_have_the_pixel_size_of_their_optics_group(project: Path) -> None:
    found = read_star(written(project, RELION_31))
    assert [row.path for row in found.rows] == [project / f"MotionCorr/job002/Movies/{name}.mrc" for name in "abc"]
    assert [row.pixel_size_angstrom for row in found.rows] == [1.06, 0.885, 0.885]
    assert found.project_dir == project
    assert all(row.even is row.odd is None for row in found.rows)


def test_image_pixel_size_serves_where_there_is_no_other(project: Path) -> None:
    found = read_star(written(project, RELION_31.replace("_rlnMicrographPixelSize", "_rlnImagePixelSize")))
    assert found.rows[0].pixel_size_angstrom == 1.06


def test_relion_3_0_gives_detector_and_magnification(project: Path) -> None:
    found = read_star(written(project, RELION_30))
    assert [row.pixel_size_angstrom for row in found.rows] == [5.0, 2.5]


def test_optics_as_pairs_are_read(project: Path) -> None:
    text = """data_optics
_rlnOpticsGroup 1
_rlnMicrographPixelSize 0.885
data_micrographs
loop_
_rlnMicrographName
M/a.mrc
"""
    assert read_star(written(project, text)).rows[0].pixel_size_angstrom == 0.885


def test_without_any_word_of_it_the_pixel_size_is_unknown(project: Path) -> None:
    assert (
        read_star(written(project, "data_\nloop_\n_rlnMicrographName\nM/a.mrc\n")).rows[0].pixel_size_angstrom is None
    )


def test_halves_are_read_where_they_are_named(project: Path) -> None:
    text = """data_micrographs
loop_
_rlnMicrographName #1
_rlnMicrographNameEven #2
_rlnMicrographNameOdd #3
M/a.mrc M/a_EVN.mrc M/a_ODD.mrc
M/b.mrc None None
"""
    first, second = read_star(written(project, text)).rows
    assert (first.even, first.odd) == (project / "M/a_EVN.mrc", project / "M/a_ODD.mrc")
    assert (second.even, second.odd) == (None, None)


def test_the_current_folder_comes_before_those_above_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(project, RELION_30)
    other = touched(project.parent / "other/M/a.mrc").parents[1]
    monkeypatch.chdir(other)
    assert read_star(path).project_dir == other


def test_where_the_first_micrograph_is_nowhere_all_folders_are_named(project: Path) -> None:
    path = written(project, RELION_30.replace("M/a.mrc", "gone/a.mrc"))
    with pytest.raises(UserError, match=rf"gone/a.mrc is in none of the folders .*{re.escape(str(project))}.*project"):
        read_star(path)


def test_absolute_names_are_taken_as_they_are(project: Path) -> None:
    text = f"data_\nloop_\n_rlnMicrographName\n{project}/M/a.mrc\n"
    found = read_star(written(project, text))
    assert (found.project_dir, found.rows[0].path) == (None, project / "M/a.mrc")


def test_only_names_change_and_rows_of_others_go(project: Path) -> None:
    star = read_star(written(project, RELION_31))
    outputs = {row.path: project / "External/job004/denoised" / row.path.name for row in (star.rows[0], star.rows[2])}
    target = project / "External/job004/micrographs.star"
    target.parent.mkdir(parents=True)
    write_star(target, star, outputs)
    expected = RELION_31.replace("MotionCorr/job002/Movies/a.mrc", "External/job004/denoised/a.mrc")
    expected = expected.replace("MotionCorr/job002/Movies/c.mrc", "External/job004/denoised/c.mrc")
    lines = [line for line in expected.splitlines(keepends=True) if "b_PS" not in line]
    assert target.read_text() == "".join(lines)


def test_an_output_outside_of_the_project_has_its_absolute_name(project: Path) -> None:
    star = read_star(written(project, RELION_30))
    write_star(project / "out.star", star, {row.path: project.parent / "out" / row.path.name for row in star.rows})
    names = [project.parent / "out" / name for name in ("a.mrc", "b.mrc")]
    assert [row.path for row in read_star(project / "out.star").rows] == names


def test_names_with_spaces_go_in_and_out(project: Path) -> None:
    touched(project / "M x/a b.mrc")
    text = "data_\nloop_\n_rlnMicrographName\n_rlnVoltage\n'M x/a b.mrc' \"300 kV\"\nM/c.mrc 300\n"
    star = read_star(written(project, text))
    assert star.rows[0].path == project / "M x/a b.mrc"
    write_star(project / "out.star", star, {row.path: project / "it's out" / row.path.name for row in star.rows})
    assert (project / "out.star").read_text() == (
        "data_\nloop_\n_rlnMicrographName\n_rlnVoltage\n'it's out/a b.mrc' \"300 kV\"\n'it's out/c.mrc' 300\n"
    )


def test_letters_beyond_ascii_and_windows_line_ends_are_read(project: Path) -> None:
    touched(project / "M/é.mrc")
    path = written(project, "")
    path.write_bytes("data_\r\nloop_\r\n_rlnMicrographName #1\r\nM/é.mrc \r\nM/a.mrc\r\n".encode())
    star = read_star(path)
    assert star.rows[0].path == project / "M/é.mrc"
    write_star(path, star, {star.rows[0].path: project / "o/é.mrc"})
    assert path.read_bytes() == "data_\r\nloop_\r\n_rlnMicrographName #1\r\no/é.mrc \r\n".encode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data_particles\nloop_\n_rlnImageName\n_rlnMicrographName\n1@a.mrcs M/a.mrc\n", "lists particles"),
        ("data_\nloop_\n_rlnCoordinateX\n_rlnCoordinateY\n1 2\n", "lists coordinates of particles"),
        ("data_movies\nloop_\n_rlnMicrographMovieName\n_rlnOpticsGroup\na.tif 1\n", "lists movies"),
        ("data_global\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesStarFile\nx a.star\n", "lists tilt series"),
        ("data_x\nloop_\n_rlnVoltage\n300\n", "expected a column _rlnMicrographName, found _rlnVoltage"),
        ("data_\n", "found no table"),
        ("", "found no table"),
        ("data_micrographs\nloop_\n_rlnMicrographName #1\n", "its table of micrographs is empty"),
        ("data_a\nloop_\n_rlnMicrographName\nx\ndata_b\nloop_\n_rlnMicrographName\ny\n", "several tables"),
        ("data_\nloop_\n_rlnMicrographName\n_rlnVoltage\nM/a.mrc 300 M/b.mrc\n", "damaged one .*Wrong number"),
        ("data_\nloop_\n_rlnMicrographName\n'M/a.mrc\n", "no STAR file, or a damaged one"),
        ("M/a.mrc\nM/b.mrc\n", "no STAR file, or a damaged one"),
        (RELION_30.replace("10000.0", "often"), "_rlnMagnification is often, expected a number"),
    ],
    ids=[
        "particles", "coordinates", "movies", "tilt-series", "other", "block", "empty", "no-rows", "several", "ragged",
        "quote", "text", "number",
    ],
)  # fmt: skip
def test_what_lists_no_micrographs_is_refused(project: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_star(written(project, text))


def test_what_is_no_text_or_missing_is_refused(project: Path) -> None:
    path = written(project, "")
    path.write_bytes(b"data_\n\xff\xfe")
    with pytest.raises(UserError, match="no text in UTF-8"):
        read_star(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_star(project / "gone.star")


LABELS = st.lists(st.from_regex(r"_rln[A-Z][a-z]{1,8}", fullmatch=True), min_size=1, max_size=5, unique_by=str.lower)
VALUES = st.one_of(
    st.from_regex(r"[A-Za-z0-9./@-][A-Za-z0-9./@#'_-]{0,9}", fullmatch=True).filter(
        lambda value: not re.match(r"(data_|save_|loop_|stop_|global_)", value, re.IGNORECASE)
    ),
    st.from_regex(r"'[a-z #_\"]{0,9}'", fullmatch=True),
    st.from_regex(r'"[a-z #_]{0,9}"', fullmatch=True),
)
NEW_NAMES = st.text(st.sampled_from("ab /.'\"#_é;"), min_size=1, max_size=8).filter(
    lambda name: not (re.search(r"'([\s#]|$)", name) and re.search(r'"([\s#]|$)', name))
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, int]:
    """A STAR file with several tables, comments and odd spaces, and which table is meant."""
    blocks = draw(st.lists(LABELS, min_size=1, max_size=3))
    parts = [draw(st.sampled_from(["", "\n# version 30001\n\n", "# a 'comment\n"]))]
    for number, labels in enumerate(blocks):
        parts.append(
            f"data_{number}\n\nloop_ \n" + "".join(f"{label} #{place}\n" for place, label in enumerate(labels, 1))
        )
        for _ in range(draw(st.integers(1, 4))):
            parts.append(draw(st.sampled_from(["", "  "])))
            parts.append(draw(st.sampled_from([" ", "\t", "    "])).join(draw(VALUES) for _ in labels))
            parts.append(draw(st.sampled_from(["\n", " \n", "\t\n"])))
        parts.append(draw(st.sampled_from(["", "\n", "\n# end\n"])))
    return "".join(parts), draw(st.integers(0, len(blocks) - 1))


def contents(text: str) -> list[tuple[str, list[str], list[str]]]:
    """All tables as gemmi reads them, the values as they are written."""
    escaped = text.encode("ascii", "backslashreplace").decode()
    blocks = cif.read_string(escaped)
    return [(one.name, list(item.loop.tags), list(item.loop.values)) for one in blocks for item in one if item.loop]


@settings(deadline=None, max_examples=150)
@given(documents(), st.data())
def test_an_edit_changes_one_column_of_one_table_and_drops_rows(document: tuple[str, int], data: st.DataObject) -> None:
    text, place = document
    tables = star_text.tables(text)
    assert [(table.block, table.labels, [token.raw for token in table.tokens]) for table in tables] == contents(text)
    table = tables[place]
    column = data.draw(st.sampled_from(table.labels))
    count = len(table.rows)
    same = {number: row[column].value for number, row in enumerate(table.rows)}
    assert star_text.edited(text, table, column, same) == text
    kept = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    names: Mapping[int, str] = {number: data.draw(NEW_NAMES) for number in sorted(kept)}
    edited = star_text.edited(text, table, column, names)
    assert re.findall(r"^#.*", edited, re.MULTILINE) == re.findall(r"^#.*", text, re.MULTILINE)
    again = star_text.tables(edited)
    for number, (before, after) in enumerate(zip(tables, again, strict=True)):
        assert (after.block, after.labels) == (before.block, before.labels)
        if number != place:
            assert [token.raw for token in after.tokens] == [token.raw for token in before.tokens]
    for row, (number, name) in zip(again[place].rows, names.items(), strict=True):
        assert row[column].value == name
        for label in set(table.labels) - {column}:
            assert row[label].raw == table.rows[number][label].raw
