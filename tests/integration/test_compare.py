"""Command `compare` on tiny data."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryodenoise.cli import main
from cryodenoise.config.comparison import CompareParameters, ComparisonRecord, Row
from cryodenoise.config.report import Report
from cryodenoise.tasks.compare import _run_file
from pages import parsed
from workspaces import TINY, merged

SIX = merged(TINY["download"], {"synthetic": {"micrographs": 8}})
TRUTH = {"pairs": {"kind": "truth"}, "normalization": "p1_p99", "noise": {"model": "none"}}
PREPROCESS = merged(TINY["preprocess"], {**TRUTH, "split": {"test_fraction": 0.63}})
TRAIN = merged(TINY["train"], {"epochs": 1})
RUN_FILE: dict[str, Any] = {
    "tracks": {
        "truth": {"title": "Truth", "about": "Tiny micrographs.", "download": SIX, "preprocess": PREPROCESS},
        "own": {"title": "Own", "about": "One's own.", "preprocess": TINY["preprocess"]},
    },
    "systems": {
        "cnn3": {
            "title": "A network <b>",
            "about": "Trained here.",
            "train": TRAIN,
            "epochs": {"truth": 2},
            "literature": [{"track": "truth", "figure": "21.57 dB elsewhere", "source": "https://example.org/paper"}],
        },
        "shipped": {"title": "As shipped", "about": "Trained elsewhere.", "model": "shipped"},
        "wiener": {"title": "Wiener filter", "about": "A filter.", "model": "baseline/wiener"},
        "tv": {"title": "Total variation", "about": "A slow filter.", "model": "baseline/tv", "tracks": ["truth"]},
    },
    "test": TINY["test"],
}


def write(folder: Path, changes: dict[str, Any] | None = None) -> Path:
    path = folder / "compare.yaml"
    path.write_text(yaml.safe_dump(merged(RUN_FILE, changes or {}), sort_keys=False))
    return path


def run(run_file: Path, workspace: Path, *words: str) -> int:
    return main(["compare", str(run_file), f"--workspace={workspace}", *words])


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the command has run, with its output in `out`."""
    folder = tmp_path_factory.mktemp("compared")
    assert run(write(folder), folder / "workspace", f"--output_dir={folder / 'out'}") == 0
    return folder


def record(folder: Path) -> ComparisonRecord:
    return ComparisonRecord.load_document(folder / "out/comparison/comparison.json")


def rows(folder: Path) -> dict[str, Row]:
    return {row.name: row for row in record(folder).tracks[0].rows}


def report(folder: Path, system: str) -> Report:
    return Report.load_document(folder / f"workspace/truth/{system}/results/report.json")


def test_each_row_has_the_scores_of_its_report(compared: Path) -> None:
    found = rows(compared)
    for name in RUN_FILE["systems"]:
        of_report = report(compared, name)
        counts, row = of_report.that_counts, found[name]
        assert row.psnr_db == counts.denoised.psnr_db
        assert row.affine_psnr_db == counts.affine_fitted.psnr_db
        assert counts.intervals is not None
        assert row.psnr_interval_db == counts.intervals.psnr_db
        assert row.parameters == of_report.denoiser.parameters
        assert of_report.resources.megapixels_per_s is not None
        assert row.s_per_megapixel == pytest.approx(1 / of_report.resources.megapixels_per_s)
        assert row.report_sha256 == of_report.content_sha256
    assert found["noisy_input"].psnr_db == report(compared, "tv").that_counts.methods["noisy_input"].scores.psnr_db


def test_gains_are_over_the_filter_with_the_lowest_error(compared: Path) -> None:
    track, found = record(compared).tracks[0], rows(compared)
    filters = {name: row.psnr_db for name, row in found.items() if row.kind in ("filter", "input")}
    assert track.best_filter == max(filters, key=lambda name: filters[name] or 0)
    best = filters[track.best_filter]
    assert best is not None
    for row in found.values():
        if row.name == track.best_filter or row.kind == "bound":
            assert row.gain_db is None
        else:
            assert row.psnr_db is not None
            assert row.gain_db == pytest.approx(row.psnr_db - best)
        if row.gain_interval_db and row.gain_db is not None:
            assert row.gain_interval_db.low <= row.gain_db <= row.gain_interval_db.high


def test_rows_come_in_the_order_of_what_they_are_worth_under_an_affine_map(compared: Path) -> None:
    fitted = [row.affine_psnr_db or 0 for row in record(compared).tracks[0].rows]
    assert fitted == sorted(fitted, reverse=True)


def test_trainings_are_told_where_there_were_some(compared: Path) -> None:
    found, told = rows(compared), json.loads((compared / "workspace/truth/cnn3/model/training.json").read_text())
    training = found["cnn3"].training
    assert training is not None
    assert len(told["history"]) == 2  # the track's epochs, not the system's
    assert (
        training.samples_seen == told["history"][-1]["samples_seen"] == 2 * record(compared).tracks[0].training_samples
    )
    assert training.elapsed_s == told["history"][-1]["elapsed_s"]
    assert found["shipped"].training is None


def test_a_filter_is_one_row_though_every_report_has_it(compared: Path) -> None:
    titles = [row.title for row in record(compared).tracks[0].rows]
    assert titles.count("Wiener filter") == 1
    assert "Spectral Wiener filter" not in titles


def test_tables_and_page_tell_the_same(compared: Path) -> None:
    markdown, html = ((compared / "out" / name).read_text() for name in ("COMPARISON.md", "COMPARISON.html"))
    page = parsed(html)
    assert not page.unclosed
    assert "A network <b>" in page.text
    for row in record(compared).tracks[0].rows:
        shown = f"{row.psnr_db:.2f}".replace("-", "−")
        assert shown in markdown
        assert shown in page.text
    for text in ("21.57 dB elsewhere", "https://example.org/paper", "published†"):
        assert text in markdown
        assert text in page.text
    assert all(image["src"].startswith("data:") for image in page.of("img"))
    assert len([image for image in page.of("img") if image["alt"].startswith("the patch")]) == 2 + len(
        RUN_FILE["systems"]
    )


def test_published_figures_stand_in_the_last_column_alone(compared: Path) -> None:
    line = next(
        line for line in (compared / "out/COMPARISON.md").read_text().splitlines() if line.startswith("| A network")
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[-1] == "21.57 dB elsewhere"
    assert not any("21.57" in cell for cell in cells[:-1])


def test_a_track_of_ones_own_micrographs_is_left_out_without_any(compared: Path) -> None:
    assert record(compared).left_out_tracks == {"own": "takes micrographs of one's own, and no --raw_dir was given"}
    assert record(compared).left_out_systems == {}


def test_another_system_is_added_without_doing_the_others_again(
    compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = compared / "workspace/truth/cnn3/model/best.safetensors"
    before = weights.stat().st_mtime_ns
    gaussian = {"title": "Gaussian", "about": "A filter.", "model": "baseline/gaussian"}
    run_file = write(tmp_path, {"systems": {"gaussian": gaussian}})
    assert run(run_file, compared / "workspace", f"--output_dir={tmp_path}", "--leave_out", "tv", "shipped") == 0
    assert weights.stat().st_mtime_ns == before
    found = ComparisonRecord.load_document(tmp_path / "comparison/comparison.json")
    names = [row.name for row in found.tracks[0].rows]
    assert "gaussian" in names
    assert not {"tv", "shipped"} & set(names)
    assert found.left_out_systems == {"tv": "not wanted", "shipped": "not wanted"}
    assert "truth: gaussian: " in capsys.readouterr().out


def test_micrographs_of_ones_own_fill_the_tracks_that_download_none(compared: Path, tmp_path: Path) -> None:
    own = compared / "workspace/truth/raw"
    words = (f"--raw_dir={own}", "--tracks", "own", "--leave_out", "shipped", "tv", f"--output_dir={tmp_path}")
    assert run(write(tmp_path), tmp_path / "workspace", *words) == 0
    track = ComparisonRecord.load_document(tmp_path / "comparison/comparison.json").tracks[0]
    assert (track.name, track.pairs) == ("own", "added_noise")
    assert {row.name for row in track.rows} >= {"cnn3", "wiener"}


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        ({"systems": {"cnn3": {"model": "shipped"}}}, (), "give either train or model"),
        ({"systems": {"gaussian": {"title": "G", "about": "G.", "model": "shipped"}}}, (), "another method 'gaussian'"),
        ({"systems": {"data": {"title": "D", "about": "D.", "model": "shipped"}}}, (), "'data' is the name of another"),
        ({"tracks": {"logs": RUN_FILE["tracks"]["truth"]}}, (), "'logs' is the name of another folder there"),
        ({"systems": {"tv": {"title": "two\nlines"}}}, (), "systems.tv.title"),
        ({}, ("--leave_out", *RUN_FILE["systems"]), "no track is left"),
        ({"systems": {"wiener": {"epochs": {"truth": 2}}}}, (), "epochs are those of a training"),
        ({"systems": {"wiener": {"model": "baseline/weiner"}}}, (), "systems.wiener.model"),
        ({"systems": {"cnn3": {"train": {"model": "cnn4"}}}}, (), "systems.cnn3.train.model"),
        ({"systems": {"shipped": {"model": "/no/such/folder"}}}, (), "systems.shipped.model: /no/such/folder"),
        ({"systems": {"tv": {"tracks": ["thruth"]}}}, (), "'thruth', expected one of truth, own"),
        ({"test": {"model": "baseline/wiener"}}, (), "test.model names one system"),
        ({}, ("--tracks", "own"), "no track is left: give --raw_dir"),
        ({}, ("--tracks", "ownn"), "--tracks: found 'ownn'"),
        ({}, ("--leave_out", "cnn"), "--leave_out: found 'cnn'"),
    ],
)
def test_mistakes_are_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: tuple[str, ...], message: str
) -> None:
    assert run(write(tmp_path, changes), tmp_path / "workspace", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "workspace/truth").exists()


def test_an_output_folder_that_cannot_be_written_is_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(write(tmp_path), tmp_path / "workspace", f"--output_dir={tmp_path / 'file/out'}") == 2
    assert f"{tmp_path / 'file/out'}: cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "workspace/truth").exists()


def test_a_system_that_fails_costs_the_others_nothing(
    compared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging = {
        "title": "Diverging",
        "about": "Of a test.",
        "train": merged(TRAIN, {"optimizer": {"learning_rate": 1e9}}),
    }
    run_file = write(tmp_path, {"systems": {"diverging": diverging}})
    words = ("--leave_out", "tv", "shipped", f"--output_dir={tmp_path}")
    assert run(run_file, compared / "workspace", *words) == 1
    assert "truth: diverging: FAILED: " in capsys.readouterr().out
    found = ComparisonRecord.load_document(tmp_path / "comparison/comparison.json")
    assert "truth, diverging" in found.left_out_systems
    assert {"cnn3", "wiener"} <= {row.name for row in found.tracks[0].rows}
    assert "truth, diverging: " in (tmp_path / "COMPARISON.md").read_text()


def test_a_track_and_a_system_of_one_name_are_two_things(tmp_path: Path) -> None:
    same = {"tracks": {"cnn3": RUN_FILE["tracks"]["truth"]}}
    words = ("--tracks", "truth", "--leave_out", "shipped", "tv", f"--output_dir={tmp_path}")
    assert run(write(tmp_path, same), tmp_path / "workspace", *words) == 0
    found = ComparisonRecord.load_document(tmp_path / "comparison/comparison.json")
    assert found.left_out_tracks["cnn3"] == "not wanted"
    assert "cnn3" in {row.name for row in found.tracks[0].rows}


@pytest.mark.parametrize("name", ["truth", "halves", "emdenoise", "added_noise"])
def test_what_is_written_as_a_run_file_is_read_as_it_was(tmp_path: Path, name: str) -> None:
    parameters = CompareParameters.load(Path(__file__).parents[2] / "run/compare.yaml")
    track = parameters.tracks[name]
    systems = [each.training_on(name) for each in parameters.systems.values()]
    for number, given in enumerate((track.download, track.preprocess, *systems)):
        if given is not None:
            again = type(given).load(_run_file(given, tmp_path / f"{number}.yaml"))
            assert again == given
            assert again.model_fields_set == given.model_fields_set
