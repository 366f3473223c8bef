"""`inspect` draws a dataset's patches: PNG files, whole or not at all, the same again."""

from pathlib import Path

import pytest

from cryodenoise.cli import main
from cryodenoise.tasks.inspect import spread
from exposures import exposed
from refusals import Refusal, contents, flip_byte
from workspaces import Workspace

FIGURES = ["contact_sheet.png", "histograms.png", "power_spectra.png"]
PNG = b"\x89PNG\r\n\x1a\n"


def test_figures_lie_beside_the_dataset_and_leave_it_as_it_was(
    finished: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(finished / "data")
    assert main(["inspect", str(finished / "data")]) == 0
    shown = capsys.readouterr().out
    figures = contents(finished / "figures")
    assert sorted(figures) == FIGURES
    for name, content in figures.items():
        assert content.startswith(PNG)
        assert str(finished / "figures" / name) in shown
    assert contents(finished / "data") == before
    assert main(["check", str(finished.root)]) == 0
    assert main(["inspect", str(finished / "data")]) == 0
    assert contents(finished / "figures") == figures


@pytest.mark.parametrize("noise", ["gaussian", "none"])
def test_other_noise_and_a_stored_type_of_16_bits(empty: Workspace, tmp_path: Path, noise: str) -> None:
    empty.write("preprocess", {"noise": {"model": noise}, "dtype": "float16"})
    assert empty.run("download", "preprocess") == 0
    words = ["inspect", str(empty / "data"), f"--output_dir={tmp_path / 'out'}", "--patches=3"]
    assert main(words) == 0
    assert sorted(contents(tmp_path / "out")) == FIGURES


@pytest.mark.parametrize("where", ["data", "data/figures", "data/../data"])
def test_no_figures_within_the_dataset(finished: Workspace, refuse: Refusal, where: str) -> None:
    words = ["inspect", str(finished / "data"), f"--output_dir={finished / where}"]
    refuse.command(words, finished.root, "--output_dir")


@pytest.mark.parametrize("patches", ["0", "2", "25"])
def test_a_number_of_patches_that_makes_no_figure(finished: Workspace, refuse: Refusal, patches: str) -> None:
    refuse.command(["inspect", str(finished / "data"), "--patches", patches], finished.root, patches, "3 to 24")


def test_an_altered_sample_is_refused(finished: Workspace, refuse: Refusal) -> None:
    flip_byte(finished / "data/test_input.bin", 10 * 4096)
    words = ["inspect", str(finished / "data"), "--patches=3"]
    refuse.command(words, finished.root, "test_input.bin: sample 10 ", "altered")


def test_an_altered_truth_is_refused(tmp_path: Path, refuse: Refusal) -> None:
    workspace = exposed(tmp_path, "", "truth")
    assert workspace.run("preprocess") == 0
    words = ["inspect", str(workspace / "data"), "--patches=3"]
    assert main(words) == 0
    flip_byte(workspace / "data/test_truth.bin", 10 * 4096)
    refuse.command(words, workspace.root, "test_truth.bin: sample 10 ", "altered")


def test_a_folder_without_a_dataset_is_refused(finished: Workspace, refuse: Refusal) -> None:
    refuse.command(["inspect", str(finished / "raw")], finished.root, "dataset.json")


@pytest.mark.parametrize(("samples", "count"), [(1, 1), (1, 8), (5, 2), (49, 2), (26_871, 8)])
def test_patches_are_spread_evenly(samples: int, count: int) -> None:
    indices = spread(samples, count)
    assert len(indices) == min(samples, count)
    assert sorted(set(indices)) == indices
    assert 0 <= indices[0] <= indices[-1] < samples
    assert abs(indices[0] - (samples - 1 - indices[-1])) <= 1  # as far from the beginning as from the end
