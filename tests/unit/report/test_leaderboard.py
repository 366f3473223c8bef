import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

import leaderboards
from cryodenoise.config.submission import Leaderboard, LeftOut
from cryodenoise.report import leaderboard, leaderboard_page
from cryodenoise.report.leaderboard_columns import COLUMNS
from pages import parsed

TEXTS = ("organization", "system", "descriptor", "reference_set", "model", "best_baseline", "device", "package_sha256")


def board(entries: list[Any], left_out: list[LeftOut]) -> Leaderboard:
    placed = [entry.model_copy(update={"place": 1}) for entry in entries]
    return Leaderboard(format=Leaderboard.FORMAT, format_version=Leaderboard.VERSION, entries=placed, left_out=left_out)


@pytest.fixture(scope="module")
def twelve() -> Leaderboard:
    return board(leaderboards.twelve(), leaderboards.left_out())


@pytest.fixture(scope="module")
def hostile() -> Leaderboard:
    bad = leaderboards.HOSTILE
    entry = leaderboards.entry(**dict.fromkeys(TEXTS, bad), reviews=[bad], page="javascript:alert(1)")
    return board([entry], [LeftOut(name=bad, findings=[f"RULE-1: {bad}"])])


def test_three_files_are_written_the_same_for_the_same_submissions(twelve: Leaderboard, tmp_path: Path) -> None:
    paths = leaderboard.write(twelve, tmp_path / "a")
    again = leaderboard.write(twelve, tmp_path / "b")
    assert [path.name for path in paths] == ["leaderboard.json", "leaderboard.md", "leaderboard.html"]
    assert [path.read_bytes() for path in paths] == [path.read_bytes() for path in again]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(path.name for path in paths)
    read = Leaderboard.load_document(paths[0])
    assert read.entries == twelve.entries
    assert read.left_out == twelve.left_out


def test_the_page_is_whole_and_needs_nothing_else(twelve: Leaderboard) -> None:
    found = parsed(leaderboard_page.page(twelve))
    assert found.unclosed == []
    assert [level for level, _ in found.headings].count(1) == 1
    identifiers = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert not {tag for tag, _ in found.tags} & {"iframe", "object", "embed", "base", "form", "img"}
    for _, attributes in found.tags:
        assert not {key for key in attributes if key.startswith("on") or key == "style"}
        for key in ("src", "href", "action", "srcset"):
            assert re.fullmatch(r"data:,|#.*|[\w./-]*", attributes.get(key, "")), attributes
    places = {attributes["href"][1:] for attributes in found.of("a") if attributes["href"].startswith("#")}
    assert places <= set(identifiers)
    assert all(set(entry.device.split()) <= set(found.text.split()) for entry in twelve.entries)


def test_the_policy_lets_run_only_the_script_and_style_of_the_page(hostile: Leaderboard) -> None:
    html = leaderboard_page.page(hostile)
    policy = next(
        each["content"] for each in parsed(html).of("meta") if "content" in each and "default" in each["content"]
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_text_of_a_package_is_never_markup(hostile: Leaderboard) -> None:
    html = leaderboard_page.page(hostile)
    found = parsed(html)
    assert found.unclosed == []
    assert found.of("img") == []
    assert len(found.of("script")) == 1
    assert not any("javascript" in attributes.get("href", "") for _, attributes in found.tags)
    assert "<img" not in html
    assert html.count("&lt;/script&gt;&lt;img src=x") > len(TEXTS)
    for sign in leaderboards.HOSTILE[-3:-1]:
        assert sign not in html
    assert "\\u202e\\u001b\\u000a" in found.text


def test_text_of_a_package_stays_in_its_cell_of_markdown(hostile: Leaderboard) -> None:
    text = leaderboard.markdown(hostile)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {len(COLUMNS)}
    assert not re.search(r"(?<!\\)[<`]", text)
    assert not re.search(r"(?<!\\)\]\(", text)
    assert "\u202e" not in text


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "//elsewhere.example/x", "/etc/passwd", "../x.html", "a/../../x", "a//b", "https://x",
     "a b", "a\\b", "a?b", "a#b", "", "data:text/html,x", ".hidden", "a\n"],
)  # fmt: skip
def test_only_plain_places_below_the_leaderboard_are_linked(address: str) -> None:
    entry = leaderboards.entry(page=address)
    assert leaderboard_page.address(entry) is None
    shown = board([entry], [])
    assert not [each for each in parsed(leaderboard_page.page(shown)).of("a") if not each["href"].startswith("#")]
    assert "](" not in leaderboard.markdown(shown)


def test_reports_are_linked(twelve: Leaderboard) -> None:
    expected = [entry.page for entry in twelve.entries if entry.page]
    links = [each["href"] for each in parsed(leaderboard_page.page(twelve)).of("a")]
    assert [link for link in links if not link.startswith("#")] == expected
    assert re.findall(r"\]\((.*?)\)", leaderboard.markdown(twelve)) == expected


def test_numbers_read_as_elsewhere(twelve: Leaderboard) -> None:
    entry = leaderboards.entry(gain_db=-0.25, training_s=None, peak_device_memory_bytes=None, seeds=[1])
    for text in (parsed(leaderboard_page.page(board([entry], []))).text, leaderboard.markdown(board([entry], []))):
        plain = text.replace("\\", "")
        for shown in ("24.200", "[24.000, 24.400]", "−0.25", "0.7123", "812.30", "2.00 GiB", "1,925,025 parameters"):
            assert shown in plain
        assert "1 seed" in plain
    assert "12.2 min" not in leaderboard.markdown(board([entry], []))
    assert "11.4 h, 3 seeds" in leaderboard.markdown(twelve)
    assert r"26.110 \[25.990, 26.230\]" in leaderboard.markdown(twelve)


def test_what_was_left_out_and_what_is_for_review_is_told(twelve: Leaderboard) -> None:
    for text in (parsed(leaderboard_page.page(twelve)).text, leaderboard.markdown(twelve).replace("\\", "")):
        assert "LOG-4: result_0.txt: eval_accuracy: missing" in text
        assert "somebody-workstation-own.tar" in text
        assert "psnr_db: beyond the pointwise optimum by 0.41 dB" in text


def test_places_on_the_machine_are_not_told(tmp_path: Path) -> None:
    refused = LeftOut(name="a.tar", findings=["LOG-1: /home/somebody/inbox/a/result_0.txt: empty"])
    for path in leaderboard.write(board([], [refused]), tmp_path):
        text = path.read_text(encoding="utf-8")
        assert "somebody" not in text
        assert "result" in text


def test_without_submissions_the_page_says_so() -> None:
    found = parsed(leaderboard_page.page(board([], [])))
    assert "No submission is ranked." in found.text
    assert found.of("select") == found.of("table") == []
    assert "No submission is ranked." in leaderboard.markdown(board([], []))


def test_long_texts_are_cut() -> None:
    entry = leaderboards.entry(device="x" * 100_000)
    assert "x" * 401 not in leaderboard_page.page(board([entry], []))


def test_more_rows_than_letters() -> None:
    entries = [leaderboards.entry(descriptor=f"d{place}") for place in range(30)]
    letters = [
        each["data-letters"] for each in parsed(leaderboard_page.page(board(entries, []))).of("tr") if "id" in each
    ]
    assert letters[:2] + letters[25:28] == ["A", "B", "Z", "AA", "AB"]
    assert len(set(letters)) == 30
