import io
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.errors import UserError
from cryodenoise.models.weights import write_tensors
from cryodenoise.submission import contents
from cryodenoise.submission.contents import (
    read_bytes,
    read_json,
    read_text,
    read_yaml,
    require_npz,
    require_safetensors,
)


def refused(read: Callable[[Path], object], path: Path) -> str:
    """What is said of a file that is refused: one line that begins with its path, whatever it holds."""
    with pytest.raises(UserError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < len(str(path)) + 600
    return message


@pytest.mark.parametrize("read", [read_json, read_yaml, read_text, require_safetensors, require_npz])
def test_what_is_no_file_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "file").write_text("1")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    assert "missing" in refused(read, tmp_path / "none")
    assert "cannot be read" in refused(read, tmp_path / "link")
    assert "no file" in refused(read, tmp_path / "fifo")
    assert "cannot be read" in refused(read, tmp_path)


def test_long_files_are_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    for read in (read_json, read_yaml, read_text, require_npz):
        assert f"{1 << 40} bytes, expected at most" in refused(read, path)
    assert "no mapping" not in refused(require_safetensors, path)
    path.write_bytes(b"123")
    assert read_bytes(path, 3) == b"123"
    assert "3 bytes, expected at most 2" in refused(lambda path: read_bytes(path, 2), path)


# JSON


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        max_leaves=20,
    ),
    st.booleans(),
)  # fmt: skip
def test_json_is_read_as_written(tmp_path_factory: pytest.TempPathFactory, value: Any, ascii_only: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "a.json"
    path.write_text(json.dumps(value, ensure_ascii=ascii_only), encoding="utf-8")
    assert read_json(path) == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("{} {}", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "key 'b' given twice"),
        ('{"\\u001b[2J": 1, "\\u001b[2J": 3}', r"key '\x1b[2J' given twice"),
        ('{"a": NaN}', "found NaN, expected a number"),
        ("[-Infinity]", "found -Infinity"),
        ("[1e999]", "found 1e999"),
        ("1" * 5000, "not JSON"),
        (r'["\ud800"]', "surrogates not allowed"),
        ("[" * 100_000, "more than 40 lists and mappings"),
        ('{"a":' * 41 + "1" + "}" * 41, "more than 40 lists and mappings"),
        ('"' + "\\" * 100_001, "not JSON"),
        ('"a' * 100_000, "not JSON"),
    ],
)
def test_other_json_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.json").write_text(text)
    assert told in refused(read_json, tmp_path / "a.json")


def test_nesting_is_counted_outside_of_texts(tmp_path: Path) -> None:
    value = [json.loads("[" * 39 + "]" * 39), "[" * 100, '\\"[' * 100]
    (tmp_path / "a.json").write_text(json.dumps(value))
    assert read_json(tmp_path / "a.json") == value


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'["\xff"]')
    assert "no text in UTF-8 (byte 2)" in refused(read_json, tmp_path / "a")


# YAML


def test_yaml_is_read_as_run_files_are(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "model: cnn3  # small\nrate: 1e-3\ncode: 010\nlist:\n- [1, {b: null}]\nno: no\n1: 2\n"
    )
    assert read_yaml(tmp_path / "a.yaml") == {
        "model": "cnn3", "rate": 1e-3, "code": "010", "list": [[1, {"b": None}]], "false": False, "1": 2,
    }  # fmt: skip


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, "line 1: an anchor, an alias or a tag"),
        ("a: &x 1", "an anchor"),
        ("a: *x", "an anchor, an alias"),
        ("a: !!python/object/apply:os.system [true]", "line 1: an anchor, an alias or a tag"),
        ("a: !!binary aGk=", "a tag"),
        ("a: 1\nb: 2\na: 3", "line 3: key 'a' given twice"),
        ("a: .nan", "not plain YAML"),
        ("a: .inf", "not plain YAML"),
        ("a: 2024-01-01", "not plain YAML"),
        ("a: 2024-13-01", "not plain YAML"),
        ("? [a]\n: 1", "a key must be a word"),
        ("a: b: c", "line 1: mapping values"),
        ("a: 1\n---\nb: 1", "not plain YAML"),
        ("a: \x00", "not plain YAML"),
        (r'a: "\ud800"', "not plain YAML"),
        ("[" * 100_000, "line 1: more than 40 lists"),
        ("".join(f"{' ' * depth}a:\n" for depth in range(60)), "line 41: more than 40 lists"),
    ],
)
def test_other_yaml_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert told in refused(read_yaml, tmp_path / "a.yaml")


# Weights


def test_weights_of_this_program_are_accepted(tmp_path: Path) -> None:
    tensors = {
        "a": torch.zeros(3, 2), "b": torch.ones(2, dtype=torch.bfloat16), "c": torch.ones((), dtype=torch.float16),
        "norm.num_batches_tracked": torch.tensor(7), "none": torch.zeros(0, 3),
    }  # fmt: skip
    write_tensors(tmp_path / "a.safetensors", tensors, {"model": "unet"})
    header = require_safetensors(tmp_path / "a.safetensors")
    assert header.keys() == {*tensors, "__metadata__"}


def packed(header: object, content: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def tensor(
    begin: int = 0, end: int = 8, shape: object = (2,), dtype: object = "F32", **others: object
) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **others}


def saved(legacy: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (saved(legacy=False), "pickled weights"),
        (saved(legacy=True), "pickled weights"),
        *((pickle.dumps({"a": 1}, protocol), "pickled weights") for protocol in (2, 3, 4, 5)),
        (pickle.dumps({"a": 1}, 0), "expected safetensors"),
        (b"", "0 bytes, expected safetensors"),
        (b"1234567", "7 bytes, expected safetensors"),
        (packed({}, length=1 << 63), f"a header of {1 << 63} bytes"),
        (packed({}, length=3), "a header of 3 bytes in a file of 10"),
        (packed({}, bytes(2 << 20), length=(1 << 20) + 1), "a header of 1048577 bytes"),
        (packed(b"\xff\xff"), "'utf-8' codec"),
        (packed(b"not json"), "Expecting value"),
        (packed(b"[" * 50_000), "more than 40 lists"),
        (packed([1]), "no mapping"),
        (packed(b'{"a":1,"a":1}'), "key 'a' given twice"),
        (packed({"__metadata__": {"a": 1}}), "__metadata__: expected texts alone"),
        (packed({"__metadata__": "a"}), "__metadata__: expected texts alone"),
        (packed({"__metadata__": {"a": "x" * 70_000}}), "__metadata__: 70000 characters"),
        (packed({"a": 1}), "'a': expected data_offsets, dtype, shape"),
        (packed({"a": tensor(more=1)}, bytes(8)), "'a': expected data_offsets, dtype, shape"),
        (packed({"a": tensor(dtype="F64", end=16)}, bytes(16)), "'a': found dtype 'F64', expected BF16, F16, F32"),
        (packed({"a": tensor(dtype="I64", end=16)}, bytes(16)), "found dtype 'I64'"),
        (packed({"a": tensor(dtype="U8", end=2)}, bytes(2)), "found dtype 'U8'"),
        (packed({"a": tensor(dtype=["F32"])}, bytes(8)), "found dtype ['F32']"),
        (packed({"a": tensor(shape=[-2])}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape=[True, 2])}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape=[2.0])}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape="2")}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape=[1] * 9)}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape=[1 << 60])}, bytes(8)), "are no lengths"),
        (packed({"a": {**tensor(), "data_offsets": [0]}}, bytes(8)), "are no lengths"),
        (packed({"a": tensor(shape=[3])}, bytes(8)), "'a': 8 bytes, expected 12 by its shape"),
        (packed({"a": tensor(8, 0)}, bytes(8)), "'a': -8 bytes, expected 8"),
        (packed({"a": tensor(), "b": tensor(4, 12)}, bytes(12)), "'b': begins at byte 4, expected 8: tensors overlap"),
        (packed({"a": tensor(), "b": tensor()}, bytes(8)), "tensors overlap"),
        (packed({"a": tensor(4, 12)}, bytes(12)), "begins at byte 4, expected 0"),
        (packed({"a": tensor()}, bytes(7)), "7 bytes of tensors, expected 8"),
        (packed({"a": tensor()}, bytes(9)), "9 bytes of tensors, expected 8"),
        (packed({}, b"hidden"), "6 bytes of tensors, expected 0"),
    ],
)  # fmt: skip
def test_other_weights_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert told in refused(require_safetensors, path)


# Arrays


def test_only_plain_arrays_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, row=np.ones(3), column=np.ones(3))
    assert require_npz(path) == ["row.npy", "column.npy"]
    np.savez_compressed(path, row=np.ones(3))
    assert "row.npy: compressed, expected plain bytes" in refused(require_npz, path)


def test_limits_hold_together() -> None:
    assert contents.MAX_METADATA_CHARACTERS < contents.MAX_TENSORS_HEADER_BYTES < contents.MAX_TEXT_BYTES
