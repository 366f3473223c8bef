"""`check` finds what was altered, wherever that is, names it, and calls a sound folder sound."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cryodenoise.cli import main
from refusals import DOCUMENTS, contents, edit, flip_byte
from workspaces import Workspace

FOLDERS = ("raw", "data", "model", "results")
SAMPLE_BYTES = 32 * 32 * 4


class Checked:
    """What `check` said of a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = contents(folder)
        self.code = main(["check", str(folder)])
        captured = capsys.readouterr()
        self.said, self.errors = captured.out, captured.err
        self.findings = [line.strip() for line in self.said.splitlines() if re.match(r"  [A-Z]+-\d+: ", line)]
        assert contents(folder) == before

    def rules(self) -> set[str]:
        return {line.split(":")[0] for line in self.findings}

    def only(self, rule: str, *words: str) -> None:
        """One finding, of a rule, that holds all words."""
        assert self.code == 1
        assert len(self.findings) == 1, self.said
        assert self.findings[0].startswith(f"{rule}: ")
        assert not [word for word in words if word not in self.findings[0]], self.findings


Check = Callable[[Path], Checked]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Check:
    return lambda folder: Checked(folder, capsys)


@pytest.mark.parametrize("name", [".", *FOLDERS])
def test_what_the_tasks_wrote_is_sound(finished: Workspace, check: Check, name: str) -> None:
    checked = check(finished / name)
    assert (checked.code, checked.findings) == (0, [])
    assert checked.said.endswith("no findings\n")
    for folder in FOLDERS if name == "." else [name]:
        assert str(finished / folder) in checked.said
    if name in (".", "data"):
        assert "checked: 80 inputs and targets, 0.7 MB" in checked.said


def test_float16_is_checked_too(empty: Workspace, check: Check) -> None:
    empty.write("preprocess", {"dtype": "float16"})
    assert empty.run("download", "preprocess") == 0
    assert check(empty / "data").code == 0
    flip_byte(empty / "data/train_input.bin", 21 * SAMPLE_BYTES // 2)
    check(empty / "data").only("DATA-4", "train_input.bin: sample 21 (bytes 43008 to 45055; ")


@pytest.mark.parametrize("role", ["input", "target"])
@pytest.mark.parametrize(
    ("stem", "position"),
    [("train", 0), ("train", 20 * SAMPLE_BYTES - 1), ("train", 33 * SAMPLE_BYTES + 7), ("train", 60 * SAMPLE_BYTES - 1),
     ("test", 0), ("test", 11 * SAMPLE_BYTES + 2), ("test", 20 * SAMPLE_BYTES - 1)],
)  # fmt: skip
def test_an_altered_byte_is_named(finished: Workspace, check: Check, stem: str, role: str, position: int) -> None:
    path = finished / f"data/{stem}_{role}.bin"
    flip_byte(path, position)
    dataset = json.loads((finished / "data/dataset.json").read_text())
    sample = position // SAMPLE_BYTES
    number, segment = next(
        (number, entry)
        for number, entry in enumerate(dataset["segments"])
        if entry["file"] == stem and entry["first_sample"] <= sample < entry["first_sample"] + 20
    )
    row, column = divmod(sample - segment["first_sample"], 4)
    name = dataset["micrographs"][segment["micrograph"]]["name"]
    where = f"segment {number}, {segment['split']}, row {16 * row}, column {16 * column} of {name}"
    checked = check(finished / "data")
    checked.only("DATA-4", f"{path}: sample {sample} (bytes {sample * SAMPLE_BYTES} to", where, "XXH3-64", "expected")


def test_altered_samples_in_a_row_are_one_finding_and_others_their_own(finished: Workspace, check: Check) -> None:
    for sample in (3, 4, 5, 9, 19, 20):
        flip_byte(finished / "data/train_target.bin", sample * SAMPLE_BYTES)
    flip_byte(finished / "data/test_input.bin", 0)
    checked = check(finished.root)
    assert checked.rules() == {"DATA-4"}
    shown = [re.findall(r"_(?:target|input).bin: (samples? [\d to]*\d)", line)[0] for line in checked.findings]
    assert shown == ["samples 3 to 5", "sample 9", "sample 19", "sample 20", "sample 0"]


@pytest.mark.parametrize("role", ["input", "target"])
@pytest.mark.parametrize(
    ("stem", "length", "lost"),
    [("train", 60 * SAMPLE_BYTES - 1, 59), ("train", 20 * SAMPLE_BYTES, 20), ("train", 0, 0), ("test", 5, 0)],
)
def test_a_truncated_file_is_named(
    finished: Workspace, check: Check, stem: str, role: str, length: int, lost: int
) -> None:
    path = finished / f"data/{stem}_{role}.bin"
    expected = path.stat().st_size
    os.truncate(path, length)
    check(finished / "data").only(
        "DATA-2", f"{path}: {length} bytes, expected {expected}", f"lost from sample {lost} on (segment "
    )


def test_what_is_left_of_a_truncated_file_is_read(finished: Workspace, check: Check) -> None:
    path = finished / "data/train_input.bin"
    flip_byte(path, 41 * SAMPLE_BYTES)
    os.truncate(path, 50 * SAMPLE_BYTES)
    checked = check(finished / "data")
    assert checked.rules() == {"DATA-2", "DATA-4"}
    assert "sample 41 " in checked.findings[1]


def test_a_file_that_is_too_long_is_named(finished: Workspace, check: Check) -> None:
    path = finished / "data/test_target.bin"
    os.truncate(path, 20 * SAMPLE_BYTES + 1)
    check(finished / "data").only("DATA-2", f"{path}: 81921 bytes, expected 81920")


@pytest.mark.parametrize("name", ["train_input.bin", "test_target.bin", "train_target.xxh3", "test_input.xxh3"])
def test_a_missing_file_is_named(finished: Workspace, check: Check, name: str) -> None:
    (finished / "data" / name).unlink()
    check(finished / "data").only("DATA-2", f"{finished / 'data' / name}: missing")


def test_an_altered_checksum_is_told_from_an_altered_sample(finished: Workspace, check: Check) -> None:
    path = finished / "data/test_input.xxh3"
    flip_byte(path, 8 * 7 + 3)
    checked = check(finished / "data")
    assert checked.rules() == {"DATA-3", "DATA-4"}
    assert f"{path}: sample 7 " in checked.findings[1]
    assert "the bytes are right" in checked.findings[1]


def test_a_sample_altered_together_with_its_checksum_is_found_by_its_segment(finished: Workspace, check: Check) -> None:
    source, data = finished / "data/train_input.bin", finished / "data"
    content = bytearray(source.read_bytes())
    content[2 * SAMPLE_BYTES : 3 * SAMPLE_BYTES] = content[:SAMPLE_BYTES]
    source.write_bytes(content)
    sums = bytearray((data / "train_input.xxh3").read_bytes())
    sums[16:24] = sums[:8]
    (data / "train_input.xxh3").write_bytes(sums)
    checked = check(data)
    assert checked.rules() == {"DATA-3", "DATA-4"}
    assert f"{source}: segment 0 (samples 0 to 19, train, " in checked.findings[1]


def segment(key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["segments"][1].update({key: value})


EDITS: dict[str, tuple[str, Callable[[dict[str, Any]], object]]] = {
    "no-segments": ("FOLDER-3", lambda document: document.pop("segments")),
    "other-version": ("FOLDER-3", lambda document: document.update(format_version=1)),
    "no-version": ("FOLDER-3", lambda document: document.pop("format_version")),
    "other-format": ("FOLDER-3", lambda document: document.update(format="cryodenoise/training")),
    "unknown-key": ("FOLDER-3", lambda document: document.update(formats=1)),
    "other-dtype": ("FOLDER-3", lambda document: document.update(dtype="<f8")),
    "identity": ("DATA-1", lambda document: document.update(identity="0" * 64)),
    "float16": ("DATA-1", lambda document: document.update(dtype="<f2")),
    "shape": ("DATA-1", lambda document: document.update(sample_shape=[32, 64])),
    "negative-shape": ("DATA-1", lambda document: document.update(sample_shape=[-32, 32])),
    "no-pixels": ("DATA-1", lambda document: document.update(sample_shape=[0, 32])),
    "huge-shape": ("DATA-1", lambda document: document.update(sample_shape=[2**40, 2**40])),
    "stride": ("DATA-1", lambda document: document.update(stride_px=7)),
    "held-out": ("DATA-1", lambda document: document.update(held_out="regions")),
    "a-split-less": ("DATA-1", lambda document: document["splits"].pop("validation")),
    "samples": ("DATA-1", lambda document: document["splits"]["train"].update(samples=39)),
    "no-files": ("DATA-1", lambda document: document.update(files=[])),
    "file-outside": ("DATA-1", lambda document: document["files"][0].update(name="../../run/train.yaml")),
    "file-digest": ("DATA-1", lambda document: document["files"][2].update(digest="0" * 64)),
    "file-size": ("DATA-1", lambda document: document["files"][2].update(size_bytes=0)),
    "checksums-digest": ("DATA-3", lambda document: document["files"][2].update(checksums_sha256="0" * 64)),
    "segment-digest": ("DATA-1", segment("sha256", {"input": "0" * 64, "target": "0" * 64})),
    "segment-place": ("DATA-1", segment("first_sample", 10**15)),
    "segment-rows": ("DATA-1", segment("rows", [0, 10**9])),
    "segment-backwards": ("DATA-1", segment("columns", [4, 0])),
    "segment-micrograph": ("DATA-1", segment("micrograph", 99)),
    "pixel-digest": ("DATA-1", lambda document: document["micrographs"][0].update(pixel_digest="0" * 64)),
    "a-micrograph-less": ("DATA-1", lambda document: document["micrographs"].pop()),
    "no-run-file": ("DATA-1", lambda document: document["made_from"].update(parameters={"patches": 1})),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_dataset_document_is_named(finished: Workspace, check: Check, name: str) -> None:
    rule, change = EDITS[name]
    path = finished / "data/dataset.json"
    edit(path, change)
    checked = check(finished / "data")
    assert checked.code == 1, checked.said
    assert checked.errors == ""
    assert any(line.startswith(f"{rule}: {path if rule != 'DATA-3' else ''}") for line in checked.findings)


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(finished: Workspace, check: Check) -> None:
    for name in ("data/test_input.xxh3", "model/last.safetensors"):
        (finished / name).unlink()
        os.mkfifo(finished / name)
    checked = check(finished.root)
    assert checked.code == 1
    assert any("test_input.xxh3" in line for line in checked.findings)
    assert any("last.safetensors: missing" in line for line in checked.findings)


@pytest.mark.parametrize("name", ["synthetic_0001.mrc", "truth/synthetic_0001.mrc"])
def test_data_made_from_other_images_than_raw_holds_are_found(finished: Workspace, check: Check, name: str) -> None:
    def alter(document: dict[str, Any]) -> None:
        next(file for file in document["files"] if file["name"] == name)["pixel_digest"] = "0" * 64

    edit(finished / "raw/download.json", alter)
    found = [line for line in check(finished.root).findings if line.startswith("WORKSPACE-1")]
    assert found == [f"WORKSPACE-1: {finished / 'data'}: {name}: made from other pixels than raw/ holds now"]


def test_data_from_movies_are_not_held_against_the_digests_of_whole_movies(empty: Workspace, check: Check) -> None:
    empty.write("download", {"synthetic": {"movies": True}})
    empty.write("preprocess", {"pairs": {"kind": "halves", "halves": "movies"}, "noise": {"model": "none"}})
    assert empty.run("download", "preprocess") == 0
    assert check(empty.root).findings == []


def test_what_is_left_in_the_folders_of_raw_is_a_finding(finished: Workspace, check: Check) -> None:
    path = finished / "raw/truth/synthetic_0001.mrc.partial"
    path.touch()
    check(finished / "raw").only("FOLDER-2", str(path))


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values within a JSON value that hold no others."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner:
        yield place
    for key, content in inner:
        yield from places(content, (*place, key))


@pytest.mark.parametrize("folder", FOLDERS)
def test_any_edit_of_a_document_is_found(finished: Workspace, check: Check, folder: str) -> None:
    path = finished / folder / DOCUMENTS[folder]
    text = path.read_text()
    tried = 0
    found_in = list(places(json.loads(text)))
    for place in found_in[:: 1 + len(found_in) // 200]:  # of many, some everywhere
        document = value = json.loads(text)
        for key in place[:-1]:
            value = value[key]
        found = value[place[-1]]
        value[place[-1]] = found[:-1] + "~" if isinstance(found, str) else found + 1 if found else "~"
        path.write_text(json.dumps(document))
        checked = check(finished / folder)
        assert checked.code == 1, place
        assert any(line.startswith(f"FOLDER-3: {path}: ") for line in checked.findings), place
        tried += 1
    assert tried > 20


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"a":' * 100_000, "[" * 100_000])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_document_that_is_none_is_a_finding(finished: Workspace, check: Check, folder: str, text: str) -> None:
    path = finished / folder / DOCUMENTS[folder]
    path.write_text(text)
    checked = check(finished / folder)
    checked.only("FOLDER-3", str(path))


@pytest.mark.parametrize("folder", FOLDERS)
def test_unfinished_work_is_a_finding(finished: Workspace, check: Check, folder: str) -> None:
    document = finished / folder / DOCUMENTS[folder]
    task = {"raw": "download", "data": "preprocess", "model": "train", "results": "test"}[folder]
    document.unlink()
    (finished / folder / "unfinished.json").write_text(json.dumps({"task": task, "made_from": {}}))
    for place in (finished / folder, finished.root):
        check(place).only("FOLDER-1", str(finished / folder / "unfinished.json"), f"run `{task}` again")


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_unfinished_work_left_is_a_finding(finished: Workspace, check: Check, folder: str) -> None:
    path = finished / folder / "journal.2.jsonl"
    path.write_text("")
    check(finished / folder).only("FOLDER-2", str(path))


def test_a_foreign_file_is_a_finding(finished: Workspace, check: Check) -> None:
    for folder in ("data", "model", "results"):
        (finished / folder / "notes.txt").write_text("mine")
    checked = check(finished.root)
    assert checked.rules() == {"FOLDER-2"}
    assert len(checked.findings) == 3


def test_a_dataset_without_its_document_is_a_finding(finished: Workspace, check: Check) -> None:
    (finished / "data/dataset.json").unlink()
    for place in (finished / "data", finished.root):
        check(place).only("FOLDER-3", f"{finished / 'data/dataset.json'}: missing")


def test_micrographs_are_held_against_download_json(finished: Workspace, check: Check) -> None:
    raw = finished / "raw"
    flip_byte(raw / "synthetic_0000.mrc", 1030)
    flip_byte(raw / "synthetic_0001.mrc", 230)
    os.truncate(raw / "synthetic_0002.mrc", 100)
    (raw / "synthetic_0003.mrc").rename(raw / "other.mrc")
    checked = check(raw)
    expected = [
        ("RAW-1", "synthetic_0002.mrc: 100 bytes, expected 31744"),
        ("RAW-1", "synthetic_0003.mrc: missing"),
        ("RAW-2", "synthetic_0000.mrc: digest of pixels"),
        ("RAW-2", "its pixels are those that were downloaded"),
        ("RAW-3", "other.mrc: not named"),
    ]
    assert len(checked.findings) == len(expected)
    for line, (rule, words) in zip(checked.findings, expected, strict=True):
        assert line.startswith(rule)
        assert words in line


@pytest.mark.parametrize("name", ["../data/test_input.bin", "truth/../../data/test_input.bin"])
def test_a_name_that_leads_out_of_raw_is_not_followed(finished: Workspace, check: Check, name: str) -> None:
    edit(finished / "raw/download.json", lambda document: document["files"][0].update(name=name))
    checked = check(finished / "raw")
    assert checked.rules() == {"RAW-1", "RAW-3"}


@pytest.mark.parametrize(
    ("name", "rules"), [("best.safetensors", {"MODEL-2", "MODEL-3"}), ("last.safetensors", {"MODEL-3"})]
)
def test_altered_weights_are_named(finished: Workspace, check: Check, name: str, rules: set[str]) -> None:
    path = finished / "model" / name
    flip_byte(path, path.stat().st_size - 1)
    checked = check(finished / "model")
    assert checked.rules() == rules
    assert all(str(path) in line for line in checked.findings)


@pytest.mark.parametrize(
    ("folder", "rule", "change"),
    [
        ("model", "MODEL-1", lambda document: document.update(best_epoch=document["best_epoch"] % 2 + 1)),
        ("model", "MODEL-1", lambda document: document.update(parameters=2626)),
        ("model", "MODEL-1", lambda document: document["history"].pop()),
        ("results", "RESULTS-1", lambda document: document["against_target"]["denoised"].update(psnr_db=99.0)),
        (
            "results",
            "RESULTS-1",
            lambda document: document["against_target"]["methods"]["wiener"]["scores"].update(rmse=0.0),
        ),
        ("results", "RESULTS-1", lambda document: document["against_target"]["methods"]["wiener"].update(gain_db=1.0)),
        (
            "results",
            "RESULTS-1",
            lambda document: document["against_target"]["methods"]["noisy_input"].update(gain_db=None),
        ),
    ],
)
def test_contradictions_of_other_documents(
    finished: Workspace, check: Check, folder: str, rule: str, change: Callable[[dict[str, Any]], object]
) -> None:
    edit(finished / folder / DOCUMENTS[folder], change)
    checked = check(finished / folder)
    assert rule in checked.rules()
    assert checked.code == 1


def test_folders_that_were_not_made_from_each_other(finished: Workspace, check: Check, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    other.write("preprocess", {"noise": {"seed": 1}})
    assert other.run("download", "preprocess") == 0
    shutil.rmtree(finished / "data")
    shutil.copytree(other / "data", finished / "data")
    checked = check(finished.root)
    assert checked.rules() == {"WORKSPACE-1"}
    assert [str(finished / name) in line for name, line in zip(("model", "results"), checked.findings, strict=True)]


def test_a_folder_of_nothing_is_refused(finished: Workspace, check: Check, tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", finished / "run"):
        checked = check(place)
        assert checked.code == 2
        assert checked.errors.startswith(f"cryodenoise check: {place}: ")


def test_a_file_is_judged_as_a_submission(finished: Workspace, check: Check) -> None:
    checked = check(finished / "data/dataset.json")
    assert (checked.code, checked.rules()) == (1, {"PACKAGE-1"})
