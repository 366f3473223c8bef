import io
from collections.abc import Callable
from dataclasses import fields, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from cryodenoise.config.report import Report
from cryodenoise.errors import UserError
from cryodenoise.evaluation.measures import NAME, Measures, load, require_fitting, save

Variants = dict[str, tuple[Report, Measures]]


@pytest.fixture
def measures(variants: Variants) -> Measures:
    return variants["truth"][1]


def test_what_is_saved_is_loaded(tmp_path: Path, measures: Measures) -> None:
    digest = save(tmp_path / NAME, measures)
    loaded = load(tmp_path / NAME, digest)
    for field in fields(Measures):
        before, after = getattr(measures, field.name), getattr(loaded, field.name)
        assert np.array_equal(before, after)
        assert before.dtype == after.dtype
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_equal_measures_are_equal_bytes(tmp_path: Path, measures: Measures, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = save(tmp_path / "a.npz", measures)
    monkeypatch.setattr("time.time", lambda: 2e9)
    strided = replace(measures, joint=np.asfortranarray(measures.joint), row=measures.row.astype(np.int32))
    assert save(tmp_path / "b.npz", strided) == digest == sha256((tmp_path / "a.npz").read_bytes()).hexdigest()


def test_a_missing_or_altered_file_is_refused(tmp_path: Path, measures: Measures) -> None:
    path = tmp_path / NAME
    with pytest.raises(UserError, match=r"measures.npz: missing, though report.json names it: copy it"):
        load(path, "0" * 64)
    digest = save(path, measures)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"SHA-256 .*expected .* altered, or of another run: remove the folder"):
        load(path, digest)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UserError, match=r"measures.npz: 1099511627776 bytes, expected at most 268435456"):
        load(tmp_path / NAME, "0" * 64)


def archive(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


def compressed(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=True, **arrays)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: b"nothing", "no archive of numpy arrays"),
        (lambda arrays: archive(**arrays)[:500], "no archive of numpy arrays"),
        (lambda arrays: archive(**{**arrays, "row": np.array([None])}), "row.npy: no array of plain numbers"),
        (lambda arrays: compressed(**arrays), "micrograph.npy: compressed, expected plain bytes"),
        (lambda arrays: archive(**arrays).replace(b"(128, 128)", b"(928, 128)"), "joint.npy: .* by its shape|Bad CRC"),
        (lambda arrays: archive(**{**arrays, "more": np.zeros(1)}), "more missing or unknown"),
        (lambda arrays: archive(**{**arrays, "row": np.zeros(3, "i8")}), r"row: found int64 of shape \(3,\)"),
        (lambda arrays: archive(**{**arrays, "joint": np.zeros((128, 128))}), "joint: found float64"),
        (lambda arrays: archive(**{**arrays, "examples": np.zeros((3, 3, 4), "f4")}), "pixels, expected some|examples"),
        (lambda arrays: archive(**{**arrays, "example_samples": np.array([0, 1, 20])}), "found 20, expected less than"),
    ],
)  # fmt: skip
def test_anything_else_is_refused(
    tmp_path: Path, measures: Measures, change: Callable[[dict[str, np.ndarray]], bytes], told: str
) -> None:
    content = change({field.name: getattr(measures, field.name) for field in fields(Measures)})
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(UserError, match=told):
        load(tmp_path / NAME, sha256(content).hexdigest())


def test_measures_of_another_shape_are_not_saved(tmp_path: Path, measures: Measures) -> None:
    with pytest.raises(ValueError, match="joint: found"):
        save(tmp_path / NAME, replace(measures, joint=np.zeros((4, 4))))
    assert list(tmp_path.iterdir()) == []


def test_measures_of_another_number_of_patches_do_not_fit(variants: Variants) -> None:
    report, measures = variants["truth"]
    require_fitting(Path(NAME), measures, report)
    with pytest.raises(UserError, match=r"measures.npz: scores of 20 patches, but report.json tells of 21"):
        require_fitting(Path(NAME), measures, report.model_copy(update={"samples": 21}))
