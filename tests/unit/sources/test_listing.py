from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.config.sources import SelectionParameters
from cryodenoise.errors import UserError
from cryodenoise.sources.listing import name_in, names_in_index, select, unusable

URL = "https://host/10025/data/x/"
APACHE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><head><title>Index of /x</title></head><body>
<h1>Index of /x</h1><table><tr><th valign="top"><img src="/icons/blank.gif" alt="[ICO]"></th>
<th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/10025/data/">Parent Directory</a></td><td align="right">  - </td></tr>
<tr><td><a href="frames/">frames/</a></td><td align="right">2015-03-05 10:57  </td></tr>
<tr><td><a href="b_00004es_c.mrc">b_00004es_..&gt;</a></td><td align="right">217M</td></tr>
<tr><td><a href="a%20%2B1.mrc">a +1.mrc</a></td><td align="right">217M</td></tr></table></body></html>"""


def test_the_files_of_an_apache_index_without_folders_and_sort_links() -> None:
    assert names_in_index(APACHE, URL) == (["a +1.mrc", "b_00004es_c.mrc"], [])


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (URL + "a.mrc", "a.mrc"),
        ("/10025/data/x/a.mrc", "a.mrc"),
        ("./a.mrc#top", "a.mrc"),
        ("//host/10025/data/x/a.mrc", "a.mrc"),
        ("sub/../a.mrc", "a.mrc"),
        ("HTTPS://HOST/10025/data/x/a.mrc", "a.mrc"),
        ("https://host:443/10025/data/x/a.mrc", "a.mrc"),
        ("/10025/data/%78/a.mrc", "a.mrc"),
        ("/10025/d%61ta/x/%61.mrc", "a.mrc"),
    ],
)
def test_a_link_may_be_written_in_any_way(link: str, expected: str) -> None:
    assert names_in_index(f"<a href='{link}'>x</a>", URL) == ([expected], [])


@pytest.mark.parametrize(
    "link",
    ["../a.mrc", "/a.mrc", "//other/10025/data/x/a.mrc", "http://host/10025/data/x/a.mrc", "..%2fa.mrc", "%2e%2e",
     "%2Fetc%2Fpasswd", "a%5Cb.mrc", "a%00.mrc", ".a.mrc", "javascript:alert(1)", "http://[/a.mrc", "x" * 300,
     "https://host:444/10025/data/x/a.mrc", "https://host:x/10025/data/x/a.mrc", "/10025/data%2Fx/a.mrc",
     "https://host@other/10025/data/x/a.mrc", "journal.3.jsonl", "Download.JSON"],
)  # fmt: skip
def test_a_link_that_names_no_file_of_the_folder_is_left_out_and_told(link: str) -> None:
    names, left_out = names_in_index(f"<a href='{link}'>x</a>", URL)
    assert names == []
    assert len(left_out) == 1


@given(st.text())
def test_no_page_whatever_breaks_the_reading_or_leads_out_of_the_folder(page: str) -> None:
    for text in (page, f'<a href="{page}">'):
        names, _ = names_in_index(text, URL)
        assert all((Path("/raw") / name).resolve().parent == Path("/raw") for name in names)


@given(st.text())
def test_a_usable_name_stays_in_the_folder(name: str) -> None:
    if unusable(name) is None:
        assert (Path("/raw") / name).resolve() == Path("/raw") / name


@pytest.mark.parametrize(
    "name",
    [
        "download.json",
        "unfinished.json",
        "journal.jsonl",
        "journal.1.jsonl",
        "Journal-Survey.2.JSONL",
        "Unfinished.json",
        "a.mrc.partial",
        "a.mrc.PARTIAL",
        "a.rejected",
        "x.log",
    ],
)
def test_a_name_of_our_own_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="`download` itself writes"):
        name_in(URL + name)


@given(st.lists(st.text("abc\u00e9", min_size=1), min_size=1, unique=True), st.integers(1, 20))
def test_the_first_few_come_in_order_of_names(names: list[str], first: int) -> None:
    assert select(names, SelectionParameters(first=first), "x") == sorted(names)[:first]


def test_a_name_that_is_not_there_is_told_with_one_that_is() -> None:
    with pytest.raises(UserError, match=r"x: selection.names: b\.mrc, c\.mrc are not among its 1 files.*a\.mrc"):
        select(["a.mrc"], SelectionParameters(names=("a.mrc", "c.mrc", "b.mrc")), "x")


@pytest.mark.parametrize("pair", [("A.mrc", "a.mrc"), ("caf\u00e9.mrc", "cafe\u0301.mrc")])
def test_names_that_some_disks_take_for_one_are_refused_unless_one_of_them_is_selected(pair: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=r"x: .* differ in capitals or in how accents are written alone"):
        select([*pair, "b.mrc"], SelectionParameters(), "x")
    assert select([*pair, "b.mrc"], SelectionParameters(names=(pair[0], "b.mrc")), "x") == sorted([pair[0], "b.mrc"])


def test_an_empty_folder_is_refused() -> None:
    with pytest.raises(UserError, match="lists no files"):
        select([], SelectionParameters(), "x")
