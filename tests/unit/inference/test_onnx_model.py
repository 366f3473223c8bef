"""ONNX files of other programs: what is opened, how it computes, and what is refused."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from cryodenoise.errors import UserError
from cryodenoise.inference import onnx_model
from cryodenoise.inference.onnx_model import open_onnx, trial_shape
from cryodenoise.inference.onnx_session import computing_device

CPU = torch.device("cpu")
METADATA = {
    "cryodenoise.format_version": "1",
    "cryodenoise.normalization": "p1_p99",
    "cryodenoise.clipped": "false",
    "cryodenoise.multiple_px": "1",
    "cryodenoise.bytes_per_px": "40",
}
FREE = ("n", 1, "h", "w")
Shape = Sequence[str | int | None]


def image(name: str, shape: Shape = FREE, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def proto(*nodes: onnx.NodeProto, **changes: Any) -> onnx.ModelProto:
    """A model that maps x to y; without nodes the one that gives its input back."""
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        changes.get("inputs", [image("x")]),
        changes.get("outputs", [image("y")]),
        changes.get("weights", []),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    helper.set_model_props(model, changes.get("metadata", METADATA))
    return model


def written(folder: Path, model: onnx.ModelProto) -> Path:
    path = folder / "other.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def refused(path: Path, *words: str) -> str:
    """Opens a file that must not be opened; the message."""
    with pytest.raises(UserError) as caught:
        open_onnx(path, CPU)
    message = str(caught.value)
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    assert not [word for word in words if word not in message], message
    return message


BLUR = np.full((1, 1, 3, 3), 1 / 9, np.float32)


def blur(weights: onnx.TensorProto | None = None, **changes: Any) -> onnx.ModelProto:
    """A model that takes the mean of 3 × 3 pixels."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    return proto(node, weights=[weights or numpy_helper.from_array(BLUR, "w")], **changes)


def test_a_model_of_another_program_computes(tmp_path: Path) -> None:
    path = written(tmp_path, blur())
    model = open_onnx(path, CPU, threads=2)
    assert (model.name, model.digest) == ("other", hashlib.sha256(path.read_bytes()).hexdigest())
    assert (model.normalization, model.clipped, model.multiple_px, model.bytes_per_px) == ("p1_p99", False, 1, 40.0)
    assert (model.reach_px, model.trained_on) == (None, None)
    for shape in ((1, 1, 1, 1), (1, 1, 17, 64), (3, 1, 5, 9)):
        noisy = torch.randn(shape)
        expected = torch.nn.functional.conv2d(noisy, torch.from_numpy(BLUR), padding=1)
        assert torch.allclose(model.denoise(noisy), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [("n", 1, "h", "w"), (1, 1, "h", "w"), (None, None, None, None)])
def test_an_identity_gives_its_input_back(tmp_path: Path, shape: Shape) -> None:
    model = open_onnx(written(tmp_path, proto(inputs=[image("x", shape)], outputs=[image("y", shape)])), CPU)
    noisy = torch.randn(2, 1, 31, 18)
    kept = noisy.clone()
    assert torch.equal(model.denoise(noisy), kept)
    assert torch.equal(noisy, kept)
    turned = noisy.transpose(2, 3)
    assert torch.equal(model.denoise(turned), turned)
    assert torch.equal(model.denoise(noisy.to(memory_format=torch.channels_last)), noisy)
    assert model.denoise(noisy.double()).dtype == torch.float64


def test_all_metadata_are_taken(tmp_path: Path) -> None:
    more = {
        "cryodenoise.name": "Größe 3", "cryodenoise.reach_px": "12", "cryodenoise.weights_sha256": "0f" * 32,
        "cryodenoise.clipped": "true", "cryodenoise.normalization": "p95", "cryodenoise.multiple_px": "4",
        "another": "program's",
    }  # fmt: skip
    model = open_onnx(written(tmp_path, proto(metadata=METADATA | more)), CPU)
    assert (model.name, model.reach_px, model.clipped, model.normalization) == ("Größe 3", 12, True, "p95")
    assert model.multiple_px == 4


def test_a_reach_that_is_too_small_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, blur(metadata=METADATA | {"cryodenoise.reach_px": "0"}))
    refused(path, "more than 0 pixels", "tiles would leave seams")


@pytest.mark.parametrize("multiple_px", [1, 2, 3, 8, 64, 1024])
def test_a_trial_has_odd_multiples_for_sides(multiple_px: int) -> None:
    sides = [side_px / multiple_px for side_px in trial_shape(multiple_px)[2:]]
    assert all(side % 2 == 1 for side in sides)
    assert 97 <= min(trial_shape(multiple_px)[2:]) <= 97 + 2 * multiple_px


def test_what_is_no_onnx_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path / "none.onnx", "no such file")
    refused(tmp_path, "is no file")
    path = written(tmp_path, blur())
    whole = path.read_bytes()
    for content in (b"", b"\x08\x08", b"no ONNX at all", whole[: len(whole) // 2], bytes(1000)):
        path.write_bytes(content)
        refused(path, "no ONNX file")
    path.write_bytes(whole)
    monkeypatch.setattr(onnx_model, "LARGEST_BYTES", len(whole) - 1)
    refused(path, "the most that is read")


def test_a_damaged_graph_is_refused(tmp_path: Path) -> None:
    refused(written(tmp_path, proto(helper.make_node("Identity", ["nowhere"], ["y"]))), "onnxruntime", "cannot open it")
    refused(written(tmp_path, proto(helper.make_node("Unheard", ["x"], ["y"]))), "Unheard")
    weights = numpy_helper.from_array(BLUR, "w")
    weights.raw_data = weights.raw_data[:-4]
    refused(written(tmp_path, blur(weights)), "cannot open it")
    own = helper.make_node("Run", ["x"], ["y"], domain="some.where")
    refused(written(tmp_path, proto(own)), "cannot open it")


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([image("x"), image("other")], [image("y")]),
        ([image("x")], [image("y"), image("x")]),
        ([image("x", kind=TensorProto.DOUBLE)], [image("y", kind=TensorProto.DOUBLE)]),
        ([image("x", ("h", "w"))], [image("y", ("h", "w"))]),
        ([image("x", ("n", 3, "h", "w"))], [image("y", ("n", 3, "h", "w"))]),
        ([image("x", (2, 1, "h", "w"))], [image("y", (2, 1, "h", "w"))]),
    ],
)
def test_other_inputs_and_outputs_than_an_image_are_refused(
    tmp_path: Path, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> None:
    path = written(tmp_path, proto(inputs=inputs, outputs=outputs))
    refused(path, "x: tensor(", "expected one input and one output, float32 of shape (n, 1, height, width)")


def test_a_fixed_size_is_refused(tmp_path: Path) -> None:
    shape = (1, 1, 512, 512)
    path = written(tmp_path, proto(inputs=[image("x", shape)], outputs=[image("y", shape)]))
    refused(path, "[1, 1, 512, 512]", "any height and width")


def test_missing_metadata_are_named_with_where_they_are_described(tmp_path: Path) -> None:
    path = written(tmp_path, proto(metadata={"another": "program's"}))
    refused(path, *METADATA, "missing", 'docs/FORMATS.md describes them in the section "ONNX"')
    for key in METADATA:
        message = refused(written(tmp_path, proto(metadata={k: v for k, v in METADATA.items() if k != key})), key)
        assert not [other for other in METADATA if other != key and other in message]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("format_version", "2", "1"),
        ("normalization", "p59", "did you mean 'p95'?"),
        ("clipped", "yes", "boolean"),
        ("clipped", "1", "boolean"),
        ("multiple_px", "0", "at least 1"),
        ("multiple_px", "100000", "at most 1024"),
        ("multiple_px", "2.5", "integer"),
        ("reach_px", "-1", "at least 0"),
        ("bytes_per_px", "0", "more than 0"),
        ("bytes_per_px", "NaN", "finite"),
        ("bytes_per_px", "1e999", "finite"),
        ("name", "two\nlines", "match"),
        ("name", "", "match"),
        ("weights_sha256", "ab", "match"),
        ("trained_on", '{"normalization": "p95"}', "missing"),
        ("trained_on", "[" * 100000, "section"),
        ("reach_pix", "3", "did you mean 'reach_px'?"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(tmp_path: Path, key: str, value: str, words: str) -> None:
    metadata = METADATA | {f"cryodenoise.{key}": value}
    refused(written(tmp_path, proto(metadata=metadata)), f"cryodenoise.{key}", words)


def test_a_multiple_that_does_not_suffice_is_found(tmp_path: Path) -> None:
    halves = helper.make_node("MaxPool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2])
    doubles = helper.make_node("Resize", ["half", "", "scales"], ["y"], mode="nearest")
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")

    def given(multiple_px: int) -> Path:
        metadata = METADATA | {"cryodenoise.multiple_px": json.dumps(multiple_px)}
        return written(tmp_path, proto(halves, doubles, weights=[scales], metadata=metadata))

    refused(given(1), "(1, 1, 96, 128)", "cryodenoise.multiple_px must say so")
    model = open_onnx(given(2), CPU)
    assert model.denoise(torch.rand(1, 1, 6, 10)).shape == (1, 1, 6, 10)
    with pytest.raises(UserError, match=r"made \(1, 1, 6, 10\) of an image of shape \(1, 1, 7, 10\)"):
        model.denoise(torch.rand(1, 1, 7, 10))


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    refused(written(tmp_path, proto(helper.make_node("Log", ["x"], ["y"]))), "not finite")


def external(name: str = "w") -> onnx.TensorProto:
    """A tensor of which the file says that it lies in another."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 1, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def test_tensors_in_other_files_are_refused_wherever_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(BLUR.tobytes())
    constant = helper.make_node("Constant", [], ["w"], value=external())
    branch = helper.make_graph([constant], "branch", [], [image("w", (1, 1, 3, 3))])
    choice = helper.make_node("If", ["yes"], ["w"], then_branch=branch, else_branch=branch)
    convolved = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    sparse = proto()
    sparse.graph.sparse_initializer.add(values=external())
    function = proto()
    function.functions.add(name="f", domain="d", node=[constant])
    half_told = external()
    half_told.data_location = TensorProto.DEFAULT
    yes = numpy_helper.from_array(np.array(True), "yes")
    for model in (
        blur(external()), blur(half_told), proto(constant, convolved), proto(choice, convolved, weights=[yes]), sparse,
        function,
    ):  # fmt: skip
        refused(written(tmp_path, model), "'w' lies in another file, which is not read")


def test_a_file_is_read_as_onnx_alone(tmp_path: Path) -> None:
    """Bytes 4 to 8 of a file in onnxruntime's own format are `ORTM`; here they are a name."""
    model = proto()
    model.producer_name = "ORTM of somebody"
    path = written(tmp_path, model)
    assert path.read_bytes()[4:8] == b"ORTM"
    assert open_onnx(path, CPU).denoise(torch.ones(1, 1, 2, 2)).sum() == 4


def test_an_image_that_does_not_fit_into_memory_is_no_fault_of_the_file(tmp_path: Path) -> None:
    many = numpy_helper.from_array(np.array([1 << 20, 1 << 10, 1, 1]), "many")
    tiled = helper.make_node("Expand", ["x", "many"], ["much"])
    summed = helper.make_node("ReduceMax", ["much", "axes"], ["y"], keepdims=1)
    axes = numpy_helper.from_array(np.array([0, 1]), "axes")
    with pytest.raises(MemoryError, match="failed at an image of shape"):
        open_onnx(written(tmp_path, proto(tiled, summed, weights=[many, axes])), CPU)


def test_a_missing_package_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, blur())
    for package in ("onnx", "onnxruntime"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, package, None)
            refused(path, package, "pip install -r requirements-onnx.txt")


def test_a_gpu_that_onnxruntime_cannot_use_leaves_the_work_to_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    gpu = torch.device("cuda", 0)
    assert computing_device(gpu, "here") == CPU
    assert open_onnx(written(tmp_path, blur()), gpu).denoise(torch.ones(1, 1, 3, 3))[0, 0, 1, 1] == pytest.approx(1)
    assert capfd.readouterr() == ("", "")
    monkeypatch.setattr(
        "onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    assert computing_device(gpu, "here") == gpu
    assert computing_device(CPU, "here") == CPU


def test_the_heavy_packages_are_imported_when_a_file_is_opened() -> None:
    program = (
        "import sys\n"
        "from cryodenoise.inference import onnx_export, onnx_model\n"
        "sys.exit(bool({'onnx', 'onnxruntime', 'onnxscript'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
