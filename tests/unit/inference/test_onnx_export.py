"""Networks as ONNX files: what onnxruntime computes of them, what they say, and what cannot be exported."""

import logging
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from cryodenoise.config.training_record import TrainedOn
from cryodenoise.errors import UserError
from cryodenoise.inference import onnx_export
from cryodenoise.inference.model import Model
from cryodenoise.inference.onnx_export import RULES_IN_WORDS, TOLERANCE, export
from cryodenoise.inference.onnx_model import open_onnx
from cryodenoise.models import MODELS, Network
from cryodenoise.signal import normalize

CPU = torch.device("cpu")
TRAINED_ON = TrainedOn(
    normalization="p1_p99",
    clipped=False,
    pairs="halves",
    micrographs=12,
    pixel_size_angstrom=(0.6575, 1.3),
    dose_e_per_a2=None,
    standard_deviation=(0.19, 0.23),
    neighbour_correlation=(-0.01, 0.125),
)


def model_of(network: Network, **changes: Any) -> Model:
    """What is known of a network made up for a test."""
    known = Model(
        name=network.name,
        digest="ab" * 32,
        denoise=lambda images: images,
        normalization="p1_p99",
        clipped=False,
        multiple_px=network.multiple_px,
        reach_px=network.receptive_field_px,
        bytes_per_px=123.5,
        trained_on=TRAINED_ON,
    )
    return replace(known, **changes)


Exported = tuple[Path, Network, nn.Module, Model]


@pytest.fixture(scope="module", params=sorted(MODELS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A network with weights and statistics that are not the initial ones, and its file."""
    network = MODELS[request.param]
    torch.manual_seed(4)
    module = network.build()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(2, 1, 32, 32) + 0.5)  # moves the statistics
    path = tmp_path_factory.mktemp("onnx") / f"{network.name}.onnx"
    rule = {"normalization": "p95", "clipped": True} if network.name == "cnn3" else {}
    model = model_of(network, name=f"{network.name} of {path}", **rule)
    export(path, network, module, model)
    assert module.training
    return path, network, module.eval(), model


@torch.no_grad()
def test_onnxruntime_computes_what_pytorch_does_at_any_size(exported: Exported) -> None:
    path, network, module, _ = exported
    denoise, drawn = open_onnx(path, CPU).denoise, random.Random(7)
    step_px = network.multiple_px
    sizes = [
        (drawn.randrange(1, 200 // step_px) * step_px, drawn.randrange(1, 200 // step_px) * step_px) for _ in "12345"
    ]
    for rows_px, columns_px in [(step_px, step_px), *sizes]:
        noisy = torch.randn(1, 1, rows_px, columns_px) / 4 + 0.5
        expected = module(noisy)
        extent = max(expected.max().item(), 0) - min(expected.min().item(), 0)
        assert torch.allclose(denoise(noisy), expected, rtol=0, atol=TOLERANCE * extent)


@torch.no_grad()
def test_equal_images_give_equal_bits_alone_and_among_others(exported: Exported) -> None:
    path, network, _, _ = exported
    noisy = torch.rand(3, 1, 8 * network.multiple_px, 9 * network.multiple_px)
    denoise = open_onnx(path, CPU, threads=1).denoise
    denoised = denoise(noisy)
    assert torch.equal(denoised, open_onnx(path, CPU, threads=1).denoise(noisy))
    assert torch.equal(denoised[1:2], denoise(noisy[1:2]))


@torch.no_grad()
def test_the_words_in_the_file_suffice_to_denoise_with_numpy_alone(exported: Exported) -> None:
    path, _, module, model = exported
    micrograph = np.random.default_rng(0).poisson(16, (128, 96)).astype(np.float32) - 3
    micrograph[5, 7] = 900

    words = onnx.load(path).doc_string
    assert RULES_IN_WORDS[model.normalization] in words
    if model.normalization == "p95":
        offset, scale = 0.0, np.percentile(micrograph[micrograph > 0].astype(float), 95)
        assert "noisy = min(max((image - offset) / scale, 0), 1)\n" in words
    else:
        offset, high = np.percentile(micrograph.astype(float), (1, 99))
        scale = high - offset
        assert "noisy = (image - offset) / scale\n" in words
    noisy = (micrograph - np.float32(offset)) / np.float32(scale)
    if model.clipped:
        noisy = np.clip(noisy, 0, 1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (denoised,) = session.run(["denoised"], {"noisy": noisy[None, None].astype(np.float32)})
    found = denoised[0, 0] * scale + offset
    assert "denoised image = denoised * scale + offset\n" in words

    if model.clipped:
        trained_like = micrograph.copy()
        scaling = normalize.normalize(trained_like, model.normalization)
    else:
        scaling = normalize.find_scaling(micrograph, model.normalization)
        trained_like = normalize.scaled(micrograph, scaling, np.empty_like(micrograph))
    expected = module(torch.from_numpy(trained_like)[None, None])[0, 0].numpy() * scaling.scale + scaling.offset
    assert np.abs(found - expected).max() <= 2 * TOLERANCE * max(np.ptp(expected), np.abs(expected).max())


def test_a_file_is_valid_and_tells_nothing_of_the_machine(exported: Exported) -> None:
    path, network, _, _ = exported
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (given,), (made,) = model.graph.input, model.graph.output
    assert (given.name, made.name) == ("noisy", "denoised")
    for value in (given, made):
        shape = [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        assert shape == ["n", 1, "height", "width"]
    assert not any(part.doc_string or part.metadata_props for part in (*model.graph.node, model.graph, given, made))
    assert not any(weights.doc_string or weights.external_data for weights in model.graph.initializer)
    for stranger in (sys.prefix, str(Path.cwd()), str(path.parent), "site-packages", "stack_trace", "pkg.torch", ".py"):
        assert stranger.encode() not in path.read_bytes()
    assert (f"must be multiples of {network.multiple_px}" in model.doc_string) == (network.multiple_px > 1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_what_is_known_of_a_model_comes_back(exported: Exported) -> None:
    path, network, _, model = exported
    known = open_onnx(path, CPU)
    same = replace(model, name=network.name, denoise=known.denoise, digest=known.digest)
    assert known == same
    assert {entry.key: entry.value for entry in onnx.load(path).metadata_props}[
        "cryodenoise.weights_sha256"
    ] == "ab" * 32


def test_equal_weights_give_equal_bytes_and_nothing_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    network = MODELS["cnn3"]
    module = network.build()
    state = torch.random.get_rng_state()
    model = model_of(network, reach_px=None, trained_on=None)
    for name in ("a", "b"):
        export(tmp_path / f"{name}.onnx", network, module, model)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert torch.equal(state, torch.random.get_rng_state())
    opened = open_onnx(tmp_path / "a.onnx", CPU)
    assert (opened.reach_px, opened.trained_on) == (None, None)


class Own(nn.Module):
    """A network of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)


class Padding(Own):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows_px, columns_px = images.shape[-2:]
        padded = functional.pad(images, (0, -columns_px % 4, 0, -rows_px % 4))
        rough = functional.interpolate(functional.avg_pool2d(padded, 4), scale_factor=4.0)
        return self.layer(rough)[..., :rows_px, :columns_px]  # type: ignore[no-any-return]


class Deciding(Own):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(images) if images.mean() > 0 else images


class Counting(Own):
    calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.layer(images) * self.calls  # type: ignore[no-any-return]


def test_a_network_of_ones_own_is_exported(tmp_path: Path) -> None:
    network = Network("mine:build", Padding)
    export(tmp_path / "own.onnx", network, network.build(), model_of(network))
    assert open_onnx(tmp_path / "own.onnx", CPU).denoise(torch.rand(1, 1, 50, 61)).shape == (1, 1, 50, 61)


@pytest.mark.parametrize(
    ("kind", "words"), [(Deciding, "mine:build: PyTorch cannot export it to ONNX"), (Counting, "differ by")]
)
def test_a_network_that_cannot_be_exported_leaves_no_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: type[nn.Module], words: str
) -> None:
    network = Network("mine:build", kind)
    with pytest.raises(UserError, match=words) as caught:
        export(tmp_path / "own.onnx", network, network.build(), model_of(network))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_sides_that_need_multiples_nobody_told_of_are_refused(tmp_path: Path) -> None:
    network = replace(MODELS["unet8"], multiple_px=1)
    with pytest.raises(UserError, match="unet8: PyTorch cannot export it"):
        export(tmp_path / "own.onnx", network, network.build(), model_of(network))


def test_a_file_larger_than_is_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_export, "LARGEST_BYTES", 1000)
    with pytest.raises(UserError, match="use a smaller network"):
        export(tmp_path / "a.onnx", MODELS["cnn3"], MODELS["cnn3"].build(), model_of(MODELS["cnn3"]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=rf"needs the package {package}.*pip install -r requirements-onnx\.txt"):
        export(tmp_path / "a.onnx", MODELS["cnn3"], MODELS["cnn3"].build(), model_of(MODELS["cnn3"]))
    assert list(tmp_path.iterdir()) == []


def test_all_rules_are_told_in_words() -> None:
    assert RULES_IN_WORDS.keys() == normalize.RULES.keys()
