"""Networks of Topaz-Denoise in the tasks `test` and `denoise`, with their published weights."""

import json
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.metrics.accumulate import psnr_db
from cryodenoise.micrographs import mrc
from cryodenoise.models import topaz
from refusals import Refusal, noisy
from workspaces import Workspace

NAME = "topaz/fcnn"


def words(workspace: Workspace) -> list[str]:
    return [word for word in workspace.arguments("test") if not word.startswith("--model_dir=")]


def test_it_is_scored_as_it_is_and_with_the_best_affine_map(
    preprocessed: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    preprocessed.write("test", {"model": NAME, "figures": True})
    assert main(words(preprocessed)) == 0
    report = json.loads((preprocessed / "results/report.json").read_text())
    known = topaz.NETWORKS["fcnn"]
    assert report["denoiser"] == {
        "kind": "published", "name": NAME, "parameters": 511_233, "found": {}, "sha256": known.sha256
    }  # fmt: skip
    assert report["training"] is None
    assert report["made_from"]["inputs"]["published"] == known.sha256
    assert topaz.REMARK in report["remarks"]
    images = [
        np.fromfile(preprocessed / f"data/test_{role}.bin", "<f4").reshape(-1, 1, 32, 32)
        for role in ("input", "target", "truth")
    ]
    inputs, *others = images
    with torch.no_grad():
        denoised = topaz.load(NAME, "model")(torch.from_numpy(inputs)).double().numpy()
    for against, other in zip(("against_target", "against_truth"), others, strict=True):
        scores = report[against]
        assert scores["denoised"]["mse"] == pytest.approx(((denoised - other) ** 2).mean(), rel=1e-5)
        slope, offset = np.polyfit(denoised.ravel(), other.ravel().astype("f8"), 1)
        mse = ((slope * denoised + offset - other) ** 2).mean()
        assert scores["affine_fitted"]["mse"] == pytest.approx(mse, rel=1e-5)
        assert scores["affine_fitted"]["psnr_db"] == pytest.approx(psnr_db(float(mse)), abs=1e-4)
        noisy_input, bound = scores["methods"]["noisy_input"], scores["methods"]["scalar_wiener"]
        assert noisy_input["affine_fitted"]["mse"] == pytest.approx(bound["scores"]["mse"], rel=1e-9)
    page = (preprocessed / "results/report.html").read_text()
    assert "published network of 511,233 parameters" in " ".join(page.split())
    assert "With affine fit" in page
    shown = capsys.readouterr().out
    assert "fitted/dB" in shown
    assert main(words(preprocessed)) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_it_cannot_be_submitted(preprocessed: Workspace, refuse: Refusal) -> None:
    preprocessed.write("test", {"model": NAME})
    assert main(words(preprocessed)) == 0
    expected = f"scored {NAME} (published): only a network that `train` made can be submitted"
    arguments = [
        "submit",
        str(preprocessed / "results"),
        "--org=a",
        "--system=b",
        f"--output_dir={preprocessed / 'out'}",
    ]
    refuse.command(arguments, preprocessed.root, expected)


@pytest.mark.parametrize("model", ["topaz/x", "topaz/unet-3d"])
def test_a_name_that_there_is_not_is_told_the_names(preprocessed: Workspace, refuse: Refusal, model: str) -> None:
    preprocessed.write("test", {"model": model})
    refuse.command(
        words(preprocessed), preprocessed.root, f"test.yaml: model: found '{model}'",
        "expected one of: topaz/fcnn, topaz/unet, topaz/unet-small",
    )  # fmt: skip


def test_without_the_extra_it_is_told_how_to_install_it(
    preprocessed: Workspace, refuse: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocessed.write("test", {"model": NAME})
    monkeypatch.setitem(sys.modules, "topaz.denoising.models", None)
    remedy = "run `pip install --no-deps -r requirements-topaz.txt`"
    refuse.command(
        words(preprocessed), preprocessed.root, f"test.yaml: model: {NAME} needs the package topaz-em", remedy
    )
    assert not (preprocessed / "results").exists()


def test_whole_micrographs_are_denoised_as_topaz_normalises_them(tmp_path: Path, refuse: Refusal) -> None:
    image = noisy(1, 75, 61)
    mrc.write(tmp_path / "a.mrc", image, 1.5)
    output = tmp_path / "out"
    arguments = ["denoise", str(tmp_path / "a.mrc"), "--model", NAME, "--output_dir", str(output), "--device", "cpu"]
    assert main(arguments) == 0
    with torch.no_grad():
        expected = topaz.load(NAME, "model")(torch.from_numpy(image)[None, None])[0, 0].numpy()
    with mrcfile.open(output / "a.mrc") as written:
        found = np.array(written.data)
    assert found == pytest.approx(expected, abs=1e-3 * float(image.std()))
    other = [*arguments, "--output_dir", str(tmp_path / "other")]
    refuse.command([*other, "--precision", "bf16"], tmp_path, f"{NAME} computes in float32")
    refuse.command([*other, "--data_dir", str(tmp_path)], tmp_path, "--data_dir")
