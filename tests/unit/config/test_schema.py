import json
from pathlib import Path

import pytest
from pydantic import Field

from cryodenoise.config.comparison import CompareParameters
from cryodenoise.config.denoising import DenoiseParameters
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.schema import Document, Parameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError

RUN_FILES = Path(__file__).resolve().parents[3] / "run"
SCHEMAS: dict[str, type[Parameters]] = {
    "download": DownloadParameters,
    "preprocess": PreprocessParameters,
    "train": TrainParameters,
    "test": TestParameters,
    "denoise": DenoiseParameters,
    "compare": CompareParameters,
}


class Inner(Parameters):
    size_px: int = Field(4, ge=2)


class Outer(Parameters):
    inner: Inner = Inner()
    rate: float = 1.0
    name: str | None = None


class Note(Document):
    FORMAT = "cryodenoise/note"
    VERSION = 2
    TASK = "train"
    value: float


def load(tmp_path: Path, text: str) -> Outer:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return Outer.load(path)


@pytest.mark.parametrize("path", sorted(RUN_FILES.rglob("*.yaml")), ids=lambda path: str(path.relative_to(RUN_FILES)))
def test_every_run_file_of_the_project_is_valid(path: Path) -> None:
    SCHEMAS[path.stem].load(path)


def test_the_full_benchmark_has_the_references_definitions() -> None:
    preprocess = PreprocessParameters.load(RUN_FILES / "preprocess.yaml")
    assert (preprocess.normalization, preprocess.patches.size_px, preprocess.patches.stride_px) == ("p95", 1024, 512)
    noise = preprocess.noise
    assert (noise.model, noise.electrons_at_one, noise.sigma) == ("poisson_gaussian", 100, 0.05)
    for name, optimizer, batch_size, epochs in (("train.yaml", "adam", 8, 5), ("baseline/train.yaml", "sgd", 4, 2)):
        train = TrainParameters.load(RUN_FILES / name)
        assert (train.optimizer.name, train.optimizer.learning_rate) == (optimizer, 1e-3)
        assert (train.model, train.batch_size, train.epochs) == ("cnn3", batch_size, epochs)


def test_defaults_fill_in_and_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Outer()
    assert load(tmp_path, "inner: {size_px: 9}").inner.size_px == 9


@pytest.mark.parametrize("text", ["1e-3", "1.0e-3", "0.001", "1E-3"])
def test_numbers_are_read_as_people_write_them(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"rate: {text}").rate == 0.001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inner: {size: 3}", "inner.size: unknown key; did you mean 'size_px'?"),
        ("zzz: 1", "zzz: unknown key; known here: inner, name, rate"),
        ("inner: {size_px: '3'}", 'inner.size_px: found "3", expected a valid integer'),
        ("inner: {size_px: true}", "inner.size_px: found true, expected a valid integer"),
        ("inner: {size_px: 1}", "inner.size_px: found 1, expected at least 2"),
        ("inner: 3", "inner: found 3, expected"),
        ("rate: .nan", "rate"),
        ("rate: fast", 'rate: found "fast", expected a valid number'),
        ("rate: 1\nrate: 2", "key 'rate' given twice"),
        ("- 1", "holds a list, expected `key: value` lines"),
        ("rate: [", "not YAML: line 1"),
        ("inner: {size_px: 010}", 'inner.size_px: found "010", expected a valid integer'),
        ("inner: {size_px: 1:30}", 'inner.size_px: found "1:30", expected a valid integer'),
        ("? [a, b]\n: c", "not YAML: line 1: a key must be a word"),
        ("2020-01-01: x", "not YAML"),
        ("!!binary aGk=: 2", "not YAML"),
        ("rate: " + 3000 * "[", "not YAML"),
        ("rate: !!python/object:os.system x", "not YAML"),
    ],
)
def test_a_mistake_names_file_place_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert str(tmp_path / "run.yaml") in str(caught.value)
    assert message in str(caught.value)


def test_every_mistake_is_listed(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, "rate: x\nnmae: y\ninner: {size_px: 0}")
    assert len(str(caught.value).splitlines()) == 3


def test_parameters_of_the_machine_do_not_determine_the_output() -> None:
    assert PreprocessParameters(workers=1).determining() == PreprocessParameters(workers=7).determining()
    assert TrainParameters(epochs=1).determining() != TrainParameters(epochs=2).determining()


def test_a_document_comes_back_as_it_was_written(tmp_path: Path) -> None:
    note = Note(format=Note.FORMAT, format_version=Note.VERSION, value=0.1 + 0.2)
    (tmp_path / "note.json").write_text(note.dumps())
    loaded = Note.load_document(tmp_path / "note.json")
    assert loaded.model_copy(update={"content_sha256": ""}) == note


def test_an_edited_document_is_refused(tmp_path: Path) -> None:
    text = Note(format=Note.FORMAT, format_version=Note.VERSION, value=1.5).dumps()
    (tmp_path / "note.json").write_text(text.replace("1.5", "1.6"))
    with pytest.raises(UserError, match=r"content_sha256: found .*edited since it was written"):
        Note.load_document(tmp_path / "note.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected 'cryodenoise/note' version 2"),
        (json.dumps({"format": "cryodenoise/note", "format_version": 1, "value": 1}), "version 1, expected"),
        (json.dumps({"format": "other", "format_version": 2, "value": 1}), "format 'other'"),
        (json.dumps({"format": "cryodenoise/note", "format_version": 2}), "value: missing"),
        (json.dumps({"format": "cryodenoise/note", "format_version": 2, "value": 1, "x": 1}), "x: unknown key"),
    ],
)
def test_a_document_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "note.json").write_text(text)
    with pytest.raises(UserError) as caught:
        Note.load_document(tmp_path / "note.json")
    assert message in str(caught.value)
