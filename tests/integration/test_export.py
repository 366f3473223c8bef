"""The command `export`, on a finished training."""

from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch

from cryodenoise.cli import main
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.inference.onnx_model import open_onnx
from cryodenoise.models import MODELS
from cryodenoise.training.checkpoints import load_network
from refusals import Refusal, edit, flip_byte
from workspaces import Workspace

CPU = torch.device("cpu")
OWN = """
from torch import nn

class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images):
        {forward}

build = Mine
"""


def words(workspace: Workspace, output: Path, *more: str) -> list[str]:
    return ["export", f"--model={workspace / 'model'}", f"--output={output}", *more]


def test_a_training_becomes_a_file_that_computes_the_same(
    finished: Workspace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "cnn3.onnx"
    capfd.readouterr()
    assert main(words(finished, output)) == 0
    told = capfd.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"{output}: cnn3")
    assert told.out.endswith(", 0.01 MB, computed by onnxruntime as by PyTorch\n")
    assert str(finished.root).encode() not in output.read_bytes()
    assert [path.name for path in output.parent.iterdir()] == ["cnn3.onnx"]

    record = TrainingRecord.load_document(finished / "model/training.json")
    module = load_network(finished / "model/best.safetensors", MODELS["cnn3"]).eval()
    noisy = torch.rand(1, 1, 45, 70)
    with torch.no_grad():
        expected = module(noisy)
    session = onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
    (found,) = session.run(["denoised"], {"noisy": noisy.numpy()})
    assert abs(torch.from_numpy(found) - expected).max() <= 1e-5 * expected.abs().max()
    model = open_onnx(output, CPU)
    assert (model.name, model.trained_on, model.multiple_px) == ("cnn3", record.trained_on, 1)
    assert (model.normalization, model.clipped) == (record.trained_on.normalization, record.trained_on.clipped)
    assert model.reach_px is not None
    assert model.reach_px >= 3
    assert model.bytes_per_px >= 4 * (16 + 16)
    noted = {entry.key: entry.value for entry in onnx.load(output).metadata_props}
    assert noted["cryodenoise.weights_sha256"] == record.weights.sha256

    first = output.read_bytes()
    assert main(words(finished, output)) == 0
    assert output.read_bytes() == first


def own(workspace: Workspace, forward: str) -> Path:
    """Train a network of one's own; the folder of its code."""
    code = workspace / "code"
    code.mkdir()
    (code / "mine.py").write_text(OWN.format(forward=forward))
    workspace.write("train", {"model": {"import": "mine:build"}, "epochs": 1})
    assert main([*workspace.arguments("train"), f"--code_dir={code}"]) == 0
    return code


def test_a_network_of_ones_own_is_exported_with_its_code(
    preprocessed: Workspace, tmp_path: Path, refuse: Refusal
) -> None:
    code = own(preprocessed, "return images - self.layer(images)")
    output = tmp_path / "own.onnx"
    assert main(words(preprocessed, output, f"--code_dir={code}")) == 0
    model = open_onnx(output, CPU)
    assert (model.name, model.reach_px) == ("mine:build", 1)
    assert model.denoise(torch.rand(1, 1, 33, 34)).shape == (1, 1, 33, 34)
    output.unlink()
    refuse.command(words(preprocessed, output), tmp_path, "no code_dir was given")


def test_a_network_that_cannot_be_exported_is_told(preprocessed: Workspace, tmp_path: Path, refuse: Refusal) -> None:
    code = own(preprocessed, "return self.layer(images) if images.sum() > -1 else images")
    more = words(preprocessed, tmp_path / "own.onnx", f"--code_dir={code}")
    refuse.command(more, tmp_path, "mine:build: PyTorch cannot export it to ONNX")


def test_mistakes_are_told(finished: Workspace, tmp_path: Path, refuse: Refusal) -> None:
    output = tmp_path / "a.onnx"
    refuse.command(["export", f"--model={tmp_path / 'none'}", f"--output={output}"], tmp_path, "none", "train")
    refuse.command(words(finished, finished / "model/best.safetensors"), tmp_path, "best.safetensors", "*.onnx")
    (tmp_path / "folder.onnx").mkdir()
    refuse.command(words(finished, tmp_path / "folder.onnx"), tmp_path, "is a folder")
    edit(finished / "model/training.json", lambda document: document.update(format_version=5))
    refuse.command(words(finished, output), tmp_path, "training.json", "version 5")
    edit(finished / "model/training.json", lambda document: document.update(format_version=6))
    flip_byte(finished / "model/best.safetensors", 1000)
    refuse.command(words(finished, output), tmp_path, "best.safetensors", "altered")
