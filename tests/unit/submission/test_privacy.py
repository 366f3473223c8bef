import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cryodenoise.models.weights import write_tensors
from cryodenoise.submission.privacy import names_of_this_machine, personal_data, texts_of

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/ann", "absolute path '/home/ann'"),
        ("read from /home/ann/run 2/x.mrc", "absolute path '/home/ann/run'"),
        ("/Users/ann/x", "absolute path"),
        ("'/mnt/gpfs/group/x'", "absolute path '/mnt/gpfs/group/x'"),
        ("data_dir=/scratch/ann", "absolute path '/scratch/ann'"),
        ("cluster:/scratch/ann", "absolute path '/scratch/ann'"),
        ("PATH=/usr/bin:/home/ann/bin", "absolute path '/home/ann/bin'"),
        ("(/data/x)", "absolute path '/data/x'"),
        ("“/data/x”", "absolute path '/data/x'"),
        ("</home/ann/x>", "absolute path '/home/ann/x'"),
        ("`/tmp/x`", "absolute path '/tmp/x'"),
        ("-I/opt/ann/include or gcc -I/opt/ann/include", "absolute path '/opt/ann/include'"),
        ("/home/jürgen/x", "absolute path '/home/jürgen/x'"),
        ("/c/Users/ann", "absolute path '/c/Users/ann'"),
        ("first\n/home/ann/x\nlast", "absolute path '/home/ann/x'"),
        ("/root", "absolute path '/root'"),
        ("in /root, there", "absolute path '/root'"),
        ("/.hidden/x", "absolute path"),
        ("~/x.mrc", "path in a home folder '~/x.mrc'"),
        ("file:///home/ann/x", "address of a file 'file:///home/ann/x'"),
        ("file:/home/ann/x", "address of a file"),
        ("smb://host/share", "address of a file"),
        (r"C:\Users\ann", r"Windows path 'C:\\Users\\ann'"),
        (r"d:\data", "Windows path"),
        ("C:/Users/ann", "Windows path 'C:/Users/ann'"),
        (r"\\host\share\x", "network path"),
        ("ann@example.org", "e-mail address 'ann@example.org'"),
        ("Ann B. <ann.b+x@mail.uni.example>", "e-mail address 'ann.b+x@mail.uni.example'"),
        ("mailto:ann@example.org.", "e-mail address 'ann@example.org'"),
    ],
)
def test_personal_data_is_found(text: str, told: str) -> None:
    assert any(told in found for found in personal_data(text)), list(personal_data(text))


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/home/ann/x", "see http://example.org/~ann/x?y=/home/ann.", "[x](https://a.org/b/c)",
        "https://github.com/a/b/blob/main/x.py", "git@github.com:a/b.git",
        "1/Å", "0.25 1/Å", "patches/s", "21 patches/s/GPU", "e⁻/Å²", "53 e⁻/Å²/s", "counts / s", "(1/Å)", "MB/s", "/s",
        "truth/x.mrc", "./data/x", "../x/y", "runs/0/model/best.safetensors", "run/smoke/train.yaml", "a/b/c",
        "1.2.3", "2.13.0+cpu", "v1.0/v2.0", "Python 3.11/3.12", "torch==2.13.0", "mlperf-logging/4.1.68",
        "0f" * 32, "sha256:" + "0f" * 32, "application/json", "text/html; charset=utf-8",
        "2026-11-21", "21/11/2026", "on 21/11/2026", "12:30:15", "2026-11-21T12:30:15Z",
        "float32/64", "and/or", "n/a", "yes/no", "1/2", "±0.1 / 0.2", "24/7", "w/o", "</td></tr>", "<br/>", "// x", "/",
        "*_c.mrc", "*/x/*.mrc", "**/figures/*.png", r"\d+/\d+", r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        r".*_(?P<n>\d+)\.mrc$",
        "~10/s", "~ 5 patches/s", "≈1/Å", "~0.1", "key: value", "a:b", "K: 3", r"\alpha\beta", r"a\b", "x:\ny",
        "Intel(R) Xeon(R) CPU @ 2.20GHz", "psnr@epoch5", "@ann", "a@b", "8 @ 3x3", "Linux 6.1.0 x86_64",
        "rooted/x", "/roots",
    ],
)  # fmt: skip
def test_no_false_alarms(text: str) -> None:
    for around in ("{}", " {} ", "a {}, b", "a\n{}\nb", '"{}"'):
        assert list(personal_data(around.format(text))) == []


PART = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{1,11}[a-z0-9]", fullmatch=True)
AROUND = st.sampled_from(["{}", "in {} there", '"{}"', "'{}'", "({})", "a={}", "a, {}, b", "\t{}\n", "[{}]", "x: {}"])


@settings(deadline=None)
@given(st.lists(PART, min_size=2, max_size=5), AROUND)
def test_every_absolute_path_is_found(parts: list[str], around: str) -> None:
    path = "/" + "/".join(parts)
    assert list(personal_data(around.format(path))) == [f"absolute path {path!r}"]
    windows = "C:\\" + "\\".join(parts)
    assert list(personal_data(around.format(windows))) == [f"Windows path {windows!r}"]
    home = f"~{path}"
    assert list(personal_data(around.format(home))) == [f"path in a home folder {home!r}"]


@settings(deadline=None)
@given(st.lists(PART, min_size=1, max_size=5), AROUND)
def test_no_relative_path_is_found(parts: list[str], around: str) -> None:
    assert list(personal_data(around.format("/".join(parts)))) == []
    assert list(personal_data(around.format("https://" + "/".join(["example.org", *parts])))) == []


@settings(deadline=None)
@given(st.floats(), st.sampled_from(["1/Å", "e⁻/Å²", "patches/s", "MB/s", "dB", "GiB", "px/Å"]), AROUND)
def test_no_figure_is_found(value: float, unit: str, around: str) -> None:
    assert list(personal_data(around.format(f"{value} {unit}"))) == []
    assert list(personal_data(around.format(f"{value}{unit}"))) == []


@settings(deadline=None)
@given(st.emails(domains=st.from_regex(r"[a-z0-9]{1,9}(\.[a-z0-9]{1,9}){0,3}\.[a-z]{2,9}", fullmatch=True)), AROUND)
def test_every_plain_address_is_found(address: str, around: str) -> None:
    assume(re.fullmatch(r"[\w.+-]+@.*", address) and not address.startswith("git@"))
    assert f"e-mail address {address!r}" in personal_data(around.format(address))


def test_each_is_told_once() -> None:
    assert list(personal_data("/a1/b /a1/b ann@x.org")) == ["absolute path '/a1/b'", "e-mail address 'ann@x.org'"]


def test_names_are_found_as_whole_words() -> None:
    words = {"ann", "box.x+"}
    assert list(personal_data("by Ann on box.x+", words=words)) == [
        "name of a user or machine 'ann'",
        "name of a user or machine 'box.x+'",
    ]
    assert list(personal_data("annual planning boxyx+ hannah", words=words)) == []


@pytest.mark.parametrize(
    ("host", "user", "names"),
    [
        ("gpu17.uni.example", "ann", {"gpu17.uni.example", "gpu17", "ann"}),
        ("vm", "root", set()),
        ("localhost", "Ubuntu", set()),
        ("lab-7", "jo", {"lab-7"}),
    ],
)
def test_names_of_this_machine(host: str, user: str, names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    monkeypatch.setenv("LOGNAME", user)
    assert names_of_this_machine() == names


def test_a_user_without_an_entry_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "vm")
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 3_999_999_999)
    assert names_of_this_machine() == set()


def found_in(path: Path) -> list[str]:
    return [found for text in texts_of(path) for found in personal_data(text)]


LEAKS = {"a": ["/home/ann/x"], "ann@x.org": json.dumps({"b": "C:\\Users\\ann"}), "fine": "K:\nbelow", "n": 1.5}
TOLD = {"absolute path '/home/ann/x'", "e-mail address 'ann@x.org'", r"Windows path 'C:\\Users\\ann'"}


def test_texts_of_json_and_logs(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LEAKS).replace("/", "\\/"))
    assert set(found_in(tmp_path / "a.json")) == TOLD
    (tmp_path / "result_0.txt").write_text(f"hello\n:::MLLOG {json.dumps(LEAKS)}\nsent by ~/x\n:::MLLOG not /a1/b\n")
    assert set(found_in(tmp_path / "result_0.txt")) == TOLD | {"path in a home folder '~/x'", "absolute path '/a1/b'"}


def test_a_key_given_twice_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": {"b": "/home/ann/x", "b": 1}}')
    assert found_in(tmp_path / "a.json") == ["absolute path '/home/ann/x'"]


@pytest.mark.parametrize("name", ["config.yaml", "README.md", "broken.json", "code.py"])
def test_other_texts_are_taken_as_they_are(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"a: /home/ann/x \xff\n")
    assert found_in(tmp_path / name) == ["absolute path '/home/ann/x'"]


def test_texts_of_weights_and_arrays(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a.safetensors", {"/a1/b": torch.zeros(2)}, LEAKS)
    assert set(found_in(tmp_path / "a.safetensors")) == TOLD | {"absolute path '/a1/b'"}
    np.savez(tmp_path / "a.npz", row=np.ones(3))
    assert list(texts_of(tmp_path / "a.npz")) == ["row.npy"]


def test_own_run_files_and_documents_tell_nothing() -> None:
    files = [*(ROOT / "run").rglob("*.yaml"), ROOT / "docs/FORMATS.md", ROOT / "docs/SIMULATION.md"]
    assert len(files) > 10
    assert [(path, found) for path in files for found in found_in(path)] == []


@pytest.mark.parametrize(
    "text", ["a", "a/", "/", "~/", "/a", "a@", "a.", "\\", "C:\\", "\\\\a", "{", '"', "file:", "/home/"]
)
def test_long_texts_take_time_in_proportion(text: str) -> None:
    """Would take hours if the time grew with the square."""
    list(personal_data(text * 200_000))
