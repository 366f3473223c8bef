"""Command `denoise`: micrographs of one's own through whatever there is to denoise with."""

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import mrcfile
import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.config.denoising import DenoisedRecord
from cryodenoise.micrographs import mrc
from cryodenoise.submission import reference_sets
from cryodenoise.tasks.models_given import SHIPPED
from cryodenoise.training.record import open_training
from packages import PACKAGE, reference_of
from processes import Start
from refusals import Refusal, contents, flip_byte, noisy
from workspaces import Workspace

NAMES = tuple("abcdef")
SHAPE = (150, 131)


@pytest.fixture(autouse=True)
def _threads_as_they_were() -> Iterator[None]:
    """`--j` holds for the process, in which other tests compare weights bit for bit."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """A folder with six micrographs, `a.mrc` to `f.mrc`."""
    folder = tmp_path / "own"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        mrc.write(folder / f"{name}.mrc", noisy(number, *SHAPE), 8.0)
    return folder


def words(folder: Path, output_dir: Path, *more: str) -> list[str]:
    return ["denoise", str(folder), "--output_dir", str(output_dir), "--device", "cpu", *more]


def record_of(output_dir: Path) -> DenoisedRecord:
    return DenoisedRecord.load_document(output_dir / "denoised.json")


def outputs(output_dir: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output_dir.glob("*.mrc*"))}


def read(path: Path) -> np.ndarray:
    with mrcfile.open(path) as opened:
        return np.array(opened.data)


def test_micrographs_come_back_in_their_own_units(
    six: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(six)
    assert main(words(six, tmp_path / "out")) == 0
    record = record_of(tmp_path / "out")
    assert [file.name for file in record.files] == [f"{name}.mrc" for name in NAMES]
    assert contents(six) == before
    for name in NAMES:
        path = tmp_path / "out" / f"{name}.mrc"
        with warnings.catch_warnings():
            assert mrcfile.validate(path)
        noisy_image, denoised = read(six / f"{name}.mrc"), read(path)
        assert denoised.shape == SHAPE
        assert denoised.mean() == pytest.approx(noisy_image.mean(), rel=0.05)
        assert denoised.std() < noisy_image.std() / 2
    assert not list((tmp_path / "out").glob("*.partial"))
    assert "6 denoised micrographs" in capsys.readouterr().out


def test_the_same_gives_the_same_bytes_and_is_not_done_twice(six: Path, tmp_path: Path) -> None:
    assert main(words(six, tmp_path / "one")) == main(words(six, tmp_path / "two")) == 0
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").glob("*.mrc")}
    assert main(words(six, tmp_path / "one")) == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert record_of(tmp_path / "one").megapixels_per_s is None


def test_what_was_added_or_altered_is_denoised_later(six: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (six / "f.mrc").rename(tmp_path / "f.mrc")
    assert main(words(six, out)) == 0
    kept = (out / "a.mrc").stat().st_mtime_ns
    (tmp_path / "f.mrc").rename(six / "f.mrc")
    mrc.write(six / "b.mrc", noisy(77, *SHAPE), 8.0)
    b_before = (out / "b.mrc").read_bytes()
    assert main(words(six, out)) == 0
    assert (out / "a.mrc").stat().st_mtime_ns == kept
    assert (out / "b.mrc").read_bytes() != b_before
    assert [file.name for file in record_of(out).files] == [f"{name}.mrc" for name in NAMES]


@pytest.mark.parametrize(
    ("moment", "sent"),
    [
        ("open a.mrc.partial 1", SIGKILL),
        ("rename c.mrc 1", SIGKILL),
        ("open journal.jsonl 4", SIGKILL),
        ("rename d.mrc 1", SIGTERM),
        ("rename b.mrc 1", SIGINT),
        ("rename denoised.json 1", SIGKILL),
        ("remove unfinished.json 1", SIGKILL),
    ],
)
def test_interrupted_it_goes_on_at_the_file(
    six: Path, tmp_path: Path, start: Start, moment: str, sent: Signals
) -> None:
    out = tmp_path / "out"
    assert main(words(six, tmp_path / "undisturbed")) == 0
    code, errors = start(words(six, out), moment, sent).end()
    assert code == {SIGKILL: -9, SIGTERM: 143, SIGINT: 130}[sent]
    if sent != SIGKILL:
        assert errors == f"cryodenoise denoise: stopped by {sent.name}: run the same command again to go on\n"
    journal = out / "journal.jsonl"
    noted = [json.loads(line)["name"] for line in journal.read_text().splitlines()] if journal.exists() else []
    times = {name: (out / name).stat().st_mtime_ns for name in noted}
    assert main(words(six, out)) == 0
    assert times == {name: (out / name).stat().st_mtime_ns for name in noted}
    assert outputs(out) == outputs(tmp_path / "undisturbed")
    left = {path.name for path in out.iterdir()}
    assert left == {f"{name}.mrc" for name in NAMES} | {"denoised.json"}


def test_a_training_is_used_by_its_own_normalisation(finished: Workspace, tmp_path: Path) -> None:
    assert main(words(finished / "raw", tmp_path / "out", "--model", str(finished / "model"))) == 0
    record = record_of(tmp_path / "out")
    assert (record.normalization, record.clipped) == ("p95", True)
    assert record.trained_on
    told = record.files[0].warnings
    assert any("clipped" in warning for warning in told)


def test_a_workspace_and_an_onnx_file_denoise_alike(finished: Workspace, tmp_path: Path) -> None:
    onnx = tmp_path / "cnn3.onnx"
    assert main(["export", "--model", str(finished / "model"), "--output", str(onnx)]) == 0
    for name, model in (("torch", finished.root), ("onnx", onnx)):
        assert main(words(finished / "raw", tmp_path / name, "--model", str(model))) == 0
    for path in sorted((tmp_path / "torch").glob("*.mrc")):
        one, other = read(path), read(tmp_path / "onnx" / path.name)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.ptp(one))


@pytest.mark.parametrize("name", ["identity", "lowpass20"])
def test_filters_that_need_no_data(six: Path, tmp_path: Path, name: str) -> None:
    assert main(words(six, tmp_path / "out", "--model", f"baseline/{name}")) == 0
    if name == "identity":
        np.testing.assert_allclose(read(tmp_path / "out/a.mrc"), read(six / "a.mrc"), rtol=1e-6)


@pytest.mark.parametrize("name", ["affine", "pointwise", "gaussian", "lowpass", "wiener", "tv", "nlm"])
def test_filters_are_fitted_on_a_dataset(finished: Workspace, tmp_path: Path, name: str) -> None:
    data = ["--model", f"baseline/{name}", "--data_dir", str(finished / "data")]
    assert main(words(finished / "raw", tmp_path / "out", *data)) == 0
    assert len(record_of(tmp_path / "out").files) == 4


def test_halves_tell_the_gain_and_without_them_nothing_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:256, :256] / 256 * 2 * np.pi
    clean = 50 + 12 * np.sin(3 * rows) * np.cos(2 * columns)
    halves = {half: rng.poisson(clean / 2).astype(np.float32) for half in ("even", "odd")}
    for folder, image in {**halves, "whole": halves["even"] + halves["odd"]}.items():
        (tmp_path / folder).mkdir()
        mrc.write(tmp_path / folder / "m.mrc", image, 2.63)
    assert main(words(tmp_path / "whole", tmp_path / "none")) == 0
    assert "a gain of" not in capsys.readouterr().out
    assert record_of(tmp_path / "none").halves is None
    given = ["--even", str(tmp_path / "even"), "--odd", str(tmp_path / "odd")]
    assert main(words(tmp_path / "whole", tmp_path / "out", *given)) == 0
    found = record_of(tmp_path / "out").halves
    assert found
    assert found.gain_db is not None
    assert found.gain_db > 6
    assert f"a gain of {found.gain_db:+.2f} dB" in capsys.readouterr().out
    denoised = read(tmp_path / "none/m.mrc")
    assert np.square(denoised - clean).mean() < np.square(halves["even"] + halves["odd"] - clean).mean() / 4


def test_halves_are_told_of_those_that_were_given(
    finished: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("whole", "even", "odd", "other"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(6)
    for name in "ab":
        halves = [rng.poisson(25, (96, 80)).astype(np.float32) for _ in range(3)]
        for folder, image in zip(("even", "odd", "other"), halves, strict=True):
            mrc.write(tmp_path / folder / f"{name}.mrc", image, 8.0)
        mrc.write(tmp_path / "whole" / f"{name}.mrc", halves[0] + halves[1], 8.0)
    model = ("--model", str(finished / "model"))
    both = words(tmp_path / "whole", tmp_path / "out", *model, "--even", str(tmp_path / "even"))
    assert main([*both, "--odd", str(tmp_path / "odd")]) == 0
    first = record_of(tmp_path / "out").halves
    assert main([*both, "--odd", str(tmp_path / "other")]) == 0
    assert record_of(tmp_path / "out").halves != first
    capsys.readouterr()
    assert main(words(tmp_path / "whole/a.mrc", tmp_path / "out", *model)) == 0
    assert "halves: " not in capsys.readouterr().out


def test_another_dose_is_told_of_at_once(six: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(six, tmp_path / "out")) == 0
    assert "the dose is" not in capsys.readouterr().out
    assert main(words(six, tmp_path / "out", "--dose_e_per_a2", "1000")) == 0
    assert "the dose is 1000" in capsys.readouterr().out
    assert record_of(tmp_path / "out").warnings


def test_stacks_are_summed_or_denoised_image_by_image(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frames = np.stack([noisy(number, 80, 70) for number in range(4)])
    with mrcfile.new(tmp_path / "in/movie.mrcs") as opened:
        opened.set_data(frames)
        opened.set_image_stack()
    assert main(words(tmp_path / "in", tmp_path / "sum")) == 0
    assert main(words(tmp_path / "in", tmp_path / "each", "--stacks", "each", "--preview")) == 0
    assert read(tmp_path / "sum/movie.mrc").shape == (80, 70)
    each = read(tmp_path / "each/movie.mrcs")
    assert each.shape == frames.shape
    alone = tmp_path / "alone"
    alone.mkdir()
    mrc.write(alone / "frame.mrc", frames[2], 1.0)
    assert main(words(alone, tmp_path / "one")) == 0
    np.testing.assert_allclose(each[2], read(tmp_path / "one/frame.mrc"), rtol=1e-6)
    assert (tmp_path / "each/previews/movie.mrcs.png").read_bytes().startswith(b"\x89PNG")


def test_previews_that_are_missing_are_drawn_later(six: Path, tmp_path: Path) -> None:
    assert main(words(six, tmp_path / "out")) == 0
    assert main(words(six, tmp_path / "out", "--preview")) == 0
    assert len(list((tmp_path / "out/previews").glob("*.png"))) == len(NAMES)


@pytest.mark.usefixtures("six")
def test_a_star_file_comes_back_with_other_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = "".join(f"own/{name}.mrc 1 {number}.5\n" for number, name in enumerate(NAMES))
    star = (
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup #1\n_rlnMicrographPixelSize #2\n1 1.250000\n\n"
        "# version 30001\n\ndata_micrographs\n\nloop_\n_rlnMicrographName #1\n_rlnOpticsGroup #2\n"
        f"_rlnAccumMotionTotal #3\n{lines}\n"
    )
    (tmp_path / "mics.star").write_text(star)
    job = tmp_path / "External/job007"
    job.mkdir(parents=True)
    (job / "job.star").write_text("what RELION puts there\n")
    assert main(["denoise", "--o", "External/job007/", "--in_mics", "mics.star", "--j", "1", "--device", "cpu"]) == 0
    assert (job / "mics.star").read_text() == star.replace("own/", "External/job007/denoised/")
    assert (job / "RELION_JOB_EXIT_SUCCESS").exists()
    with mrcfile.open(job / "denoised/a.mrc") as opened:
        assert float(opened.voxel_size.x) == pytest.approx(1.25)


@pytest.mark.parametrize("more", [["--in_mics", "none.star"], ["--mode", "floot"], ["--j", "0"]])
def test_relion_is_told_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    job = tmp_path / "External/job001"
    job.mkdir(parents=True)
    (job / "RELION_JOB_EXIT_SUCCESS").touch()
    assert main(["denoise", "--o", "External/job001/", *more]) == 2
    assert (job / "RELION_JOB_EXIT_FAILURE").exists()
    assert not (job / "RELION_JOB_EXIT_SUCCESS").exists()


@pytest.mark.usefixtures("six")
def test_what_a_star_file_says_anew_is_done_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for size in (1.25, 2.5):
        (tmp_path / "mics.star").write_text(
            f"data_\n\nloop_\n_rlnMicrographName #1\n_rlnMicrographPixelSize #2\nown/a.mrc {size}\n"
        )
        assert main(["denoise", "mics.star", "--output_dir", "out", "--device", "cpu"]) == 0
        with mrcfile.open(tmp_path / "out/a.mrc") as opened:
            assert float(opened.voxel_size.x) == pytest.approx(size)


def test_a_damaged_output_is_made_anew(six: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(six, out)) == 0
    whole = (out / "c.mrc").read_bytes()
    (out / "c.mrc").write_bytes(whole[:3000])
    assert main(words(six, out)) == 0
    assert (out / "c.mrc").read_bytes() == whole


def test_an_input_that_became_unusable_is_no_longer_told_of_as_done(six: Path, tmp_path: Path) -> None:
    assert main(words(six, tmp_path / "out")) == 0
    mrc.write(six / "c.mrc", np.full(SHAPE, 7, np.float32), 8.0)
    assert main(words(six, tmp_path / "out", "--on_bad_micrograph", "skip")) == 1
    record = record_of(tmp_path / "out")
    assert [file.name for file in record.files] == [f"{name}.mrc" for name in "abdef"]
    assert [Path(each.source).name for each in record.left_out] == ["c.mrc"]


def test_the_same_files_named_otherwise_are_known(
    six: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words(Path("own"), tmp_path / "out")) == 0
    assert main(words(six, tmp_path / "out")) == 0
    assert "6 of 6 micrographs are denoised already" in capsys.readouterr().out
    assert len(record_of(tmp_path / "out").files) == 6


def test_everything_that_cannot_be_used_is_left_out(six: Path, tmp_path: Path) -> None:
    (tmp_path / "even").mkdir()
    (tmp_path / "odd").mkdir()
    (six / "x.mrc").symlink_to("/nonexistent.mrc")
    mrc.write(six / "y.mrc", noisy(1, *SHAPE) * np.float32(1e5), 8.0)
    for name in (*NAMES, "x", "y"):
        for number, folder in enumerate(("even", "odd")):
            mrc.write(tmp_path / folder / f"{name}.mrc", noisy(number + ord(name), *SHAPE), 8.0)
    cut = tmp_path / "even/a.mrc"
    cut.write_bytes(cut.read_bytes()[:5000])
    given = ["--even", str(tmp_path / "even"), "--odd", str(tmp_path / "odd"), "--mode", "float16"]
    assert main(words(six, tmp_path / "out", *given, "--on_bad_micrograph", "skip")) == 1
    record = record_of(tmp_path / "out")
    assert [file.name for file in record.files] == [f"{name}.mrc" for name in "bcdef"]
    reasons = {Path(each.source).name: each.reason for each in record.left_out}
    assert reasons.keys() == {"a.mrc", "x.mrc", "y.mrc"}
    assert "even/a.mrc" in reasons["a.mrc"]
    assert "No such file" in reasons["x.mrc"]
    assert "float16" in reasons["y.mrc"]


def test_a_bad_file_stops_or_is_left_out(six: Path, tmp_path: Path, refuse: Refusal) -> None:
    spoilt = noisy(9, *SHAPE)
    spoilt[3, 4] = np.nan
    mrc.write(six / "b.mrc", spoilt, 8.0)
    (six / "c.mrc").write_bytes((six / "c.mrc").read_bytes()[:-5])
    mrc.write(six / "d.mrc", np.full(SHAPE, 7, np.float32), 8.0)
    (six / "e.mrc").write_bytes(b"")
    message = refuse.command(words(six, tmp_path / "out"), six, "c.mrc", "truncated", "--on_bad_micrograph skip")
    assert not list((tmp_path / "out").glob("*.mrc")), message
    assert main(words(six, tmp_path / "out", "--on_bad_micrograph", "skip")) == 1
    record = record_of(tmp_path / "out")
    assert [file.name for file in record.files] == ["a.mrc", "f.mrc"]
    reasons = {Path(each.source).name: each.reason for each in record.left_out}
    assert {name: word in reasons[name] for name, word in {
        "b.mrc": "NaN", "c.mrc": "truncated", "d.mrc": "all pixels are 7", "e.mrc": "0 bytes",
    }.items()} == dict.fromkeys(("b.mrc", "c.mrc", "d.mrc", "e.mrc"), True)  # fmt: skip


def test_mistakes_are_refused_before_anything_is_written(
    six: Path, finished: Workspace, tmp_path: Path, refuse: Refusal
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished / "model", tmp_path / "spoilt")
    (tmp_path / "spoilt/best.safetensors").write_bytes(b"spoilt")
    (tmp_path / "empty").mkdir()
    for arguments, *expected in (
        (words(six, six), "inputs are never touched"),
        (words(tmp_path / "none", out), "does not exist"),
        (words(tmp_path / "empty", out), "no micrograph"),
        (words(six, out, "--model", "nowhere"), "nowhere", "no such file or folder"),
        (words(six, out, "--model", str(six)), "training.json", "package"),
        (words(six, out, "--model", str(tmp_path / "spoilt")), "altered"),
        (words(six, out, "--model", "baseline/gauss"), "did you mean 'gaussian'"),
        (words(six, out, "--model", "baseline/wiener"), "--data_dir"),
        (words(six, out, "--model", str(six / "a.onnx")), "a.onnx"),
        (words(six, out, "--model", str(finished / "model/best.safetensors")), "give the folder"),
        (words(six, out, "--data_dir", str(finished / "data")), "--data_dir", "leave it out"),
        (words(six, out, "--mode", "int8"), "command line", "mode", "int8"),
        (words(six, out, "--memory_limit_gib", "1.001"), "memory_limit_gib"),
        (words(six, out, "--even", str(six)), "--even, --odd"),
        (words(six, out, "--j", "0"), "threads"),
        (words(six, out, "--model", "baseline/identity", "--precision", "bf16"), "precision", "leave it out"),
        (words(six, out, "--pixel_size_angstrom", "[1"), "--pixel_size_angstrom", "[1"),
        (["denoise", "--output_dir", str(out)], "no input"),
    ):
        refuse.command(arguments, tmp_path, *expected)
    assert not out.exists() or not any(out.iterdir())


def test_another_model_needs_another_folder(six: Path, tmp_path: Path, refuse: Refusal) -> None:
    assert main(words(six, tmp_path / "out")) == 0
    refuse.command(words(six, tmp_path / "out", "--model", "baseline/identity"), tmp_path, "made from something else")


def test_the_task_of_the_cube(six: Path, finished: Workspace, tmp_path: Path) -> None:
    run_file = tmp_path / "denoise.yaml"
    run_file.write_text("on_bad_micrograph: skip\ndevice: cpu\n")
    (tmp_path / "nothing").mkdir()
    for model_dir, name in ((finished / "model", "cnn3"), (tmp_path / "nothing", "as shipped")):
        task = [
            str(run_file), f"--micrographs_dir={six}", f"--model_dir={model_dir}",
            f"--denoised_dir={tmp_path / model_dir.name}-out", f"--log_dir={tmp_path / 'logs'}",
        ]  # fmt: skip
        assert main(task) == 0
        assert name in record_of(tmp_path / f"{model_dir.name}-out").model
    assert (tmp_path / "logs/denoise.log").is_file()


def test_the_shipped_model_is_as_its_reports_say(tmp_path: Path) -> None:
    """On a micrograph like those of its tracks, which it never saw, it gains what it is said to gain."""
    run_file = tmp_path / "download.yaml"
    run_file.write_text("source: synthetic\nsynthetic: {preset: smoke, micrographs: 1, seed: 7}\n")
    assert main(["download", f"--parameters_file={run_file}", f"--raw_dir={tmp_path / 'raw'}"]) == 0
    assert main(words(tmp_path / "raw", tmp_path / "out", "--dose_e_per_a2", "53")) == 0
    name = "synthetic_0000.mrc"
    images = (read(tmp_path / folder / name).astype(np.float64) for folder in ("raw", "raw/truth", "out"))
    noisy_image, truth, denoised = images
    gain_db = 10 * np.log10(np.square(noisy_image - truth).mean() / np.square(denoised - truth).mean())
    report = json.loads((SHIPPED / "truth.json").read_text())
    assert gain_db == pytest.approx(report["against_target"]["methods"]["noisy_input"]["gain_db"], abs=1.0)
    assert record_of(tmp_path / "out").files[0].warnings == []


def test_the_shipped_model_is_small_and_what_its_reports_are_of() -> None:
    weights = SHIPPED / "best.safetensors"
    assert weights.stat().st_size <= 5_000_000
    record = open_training(SHIPPED)
    for track in ("truth", "halves"):
        denoiser = json.loads((SHIPPED / f"{track}.json").read_text())["denoiser"]
        assert denoiser["sha256"] == record.weights.sha256
        assert denoiser["parameters"] == record.parameters


def test_a_package_denoises_as_the_training_that_it_holds(
    finished: Workspace, tmp_path: Path, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_sets, "all", lambda: (reference_of(finished),))
    handed_in = tmp_path / "handed-in"
    assert main(["submit", str(finished.root), "--org=acme", "--system=box", f"--output_dir={handed_in}"]) == 0
    (archive,) = handed_in.glob("*.tar")
    package = handed_in / PACKAGE
    for name, model in (("training", finished / "model"), ("archive", archive), ("folder", package)):
        assert main(words(finished / "raw", tmp_path / name, "--model", str(model))) == 0
    assert outputs(tmp_path / "training") == outputs(tmp_path / "archive") == outputs(tmp_path / "folder")
    flip_byte(package / "runs/0/model/best.safetensors", 2000)
    refuse.command(words(finished / "raw", tmp_path / "new", "--model", str(package)), tmp_path, "check", "refuses")
