"""A network as an ONNX file that says itself how to use it."""

import contextlib
import copy
import io
import logging
import random
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cryodenoise import __version__
from cryodenoise.config.onnx import PREFIX, OnnxMetadata
from cryodenoise.errors import UserError
from cryodenoise.files import write_atomically
from cryodenoise.inference.model import Model
from cryodenoise.inference.onnx_model import LARGEST_BYTES, trial_shape
from cryodenoise.inference.onnx_session import computed, imported, open_session
from cryodenoise.models import Network

INPUT, OUTPUT = "noisy", "denoised"
TOLERANCE = 1e-5
"""By which onnxruntime may differ from PyTorch, in units of the range of the output and zero."""
OPSET, IR_VERSION = 18, 8
"""Of 2022: the first operators that PyTorch's exporter writes without converting them, and their container."""
_TRIALS = 4
RULES_IN_WORDS = {
    "p95": "offset = 0; scale = the 95th percentile of the pixels above 0",
    "p1_p99": "offset = the 1st percentile of all pixels; scale = the 99th percentile of all pixels - offset",
    "none": "offset = 0; scale = 1",
}
"""The rules of signal.normalize, for who reads the file."""


def export(path: Path, network: Network, module: nn.Module, model: Model) -> None:
    """Write a network as an ONNX file that onnxruntime was seen to compute as PyTorch does.

    Input `noisy` and output `denoised` are float32 of shape (n, 1, height, width), all but the 1 free. Equal weights
    give equal bytes with the same versions of the packages.

    Args:
        path: The file; appears whole or not at all.
        network: The network; its name stands in the file, since a model's may tell of folders.
        module: Its weights, on any device; left as it is.
        model: What the file says of it.

    Raises:
        UserError: If the packages are not installed, PyTorch cannot export the network, onnxruntime does not open it,
            or both differ by more than TOLERANCE at images of several random sizes.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        imported(package, "export")
    alone = copy.deepcopy(module).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    exported = _exported(network, alone, model.multiple_px)
    content = _described(exported, network.name, model).SerializeToString(deterministic=True)
    if len(content) > LARGEST_BYTES:
        raise UserError(
            f"{network.name}: {len(content) >> 20} MiB as an ONNX file, of which {LARGEST_BYTES >> 20} are read: use a "
            "smaller network"
        )
    _require_equal(content, alone, network, model.multiple_px)
    write_atomically(path, content)


def _exported(network: Network, module: nn.Module, multiple_px: int) -> Any:
    """The onnx.ModelProto as PyTorch makes it."""
    sides: list[Any] = [torch.export.Dim.DYNAMIC] * 2
    if multiple_px > 1:
        sides = [multiple_px * torch.export.Dim(name) for name in ("rows", "columns")]
    sample = torch.rand(trial_shape(multiple_px), generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    try:
        with _silence(), torch.no_grad(), torch.random.fork_rng(devices=[]):
            program = torch.onnx.export(
                module,
                (sample,),
                dynamo=True,
                verbose=False,
                external_data=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC, 2: sides[0], 3: sides[1]},),
            )
        assert program is not None, "the exporter returns what it does not write"
        return program.model_proto
    except Exception as error:  # whatever a network of one's own does
        reason = error.__cause__ or error
        said = (str(reason).strip().splitlines() or [""])[0]
        raise UserError(
            f"{network.name}: PyTorch cannot export it to ONNX ({type(reason).__name__}: {said}): change what its "
            "forward does there, as docs.pytorch.org/docs/stable/onnx.html explains (--debug shows more)"
        ) from error


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Let the exporter print, log and warn of nothing: what fails is raised."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _described(exported: Any, name: str, model: Model) -> Any:
    """The model with what users must know in place of what the exporter notes of this machine."""
    onnx = imported("onnx", "export")
    described = onnx.ModelProto()
    described.CopyFrom(exported)
    _forget_notes(described)
    described.ir_version = IR_VERSION
    described.producer_name, described.producer_version = "cryodenoise", __version__
    described.graph.name = "denoiser"
    described.graph.ClearField("value_info")
    for value in (*described.graph.input, *described.graph.output):
        value.type.CopyFrom(onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, ("n", 1, "height", "width")))
    metadata = OnnxMetadata(
        format_version=1,
        name=name,
        weights_sha256=model.digest,
        normalization=model.normalization,
        clipped=model.clipped,
        multiple_px=model.multiple_px,
        reach_px=model.reach_px,
        bytes_per_px=model.bytes_per_px,
        trained_on=model.trained_on,
    )
    for key, value in metadata.properties().items():
        described.metadata_props.add(key=key, value=value)
    described.doc_string = in_words(name, model)
    return described


def _forget_notes(message: Any) -> None:
    """Remove doc strings and metadata at all levels: they hold lines of code and paths of this machine."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _forget_notes(part)


def in_words(name: str, model: Model) -> str:
    """How to normalise for a denoiser and to come back, in words and as formulas."""
    ratio = "(image - offset) / scale"
    clipped = model.clipped
    normalised = f"min(max({ratio}, 0), 1)" if clipped else ratio
    beyond = " Intensities beyond offset and offset + scale do not come back: it was trained without them." * clipped
    sides = f" and must be multiples of {model.multiple_px}" * (model.multiple_px > 1)
    return (
        f"{name}: denoises electron micrographs. Input {INPUT} and output {OUTPUT} are float32 of shape "
        f"(n, 1, height, width); height and width are free{sides}.\n"
        f"Once for each whole micrograph, not for each tile: {RULES_IN_WORDS[model.normalization]}. Percentiles "
        f"interpolate linearly, as numpy.percentile does.\n"
        f"{INPUT} = {normalised}\n"
        f"denoised image = {OUTPUT} * scale + offset\n"
        f"Intensities are in the micrograph's own units before and after.{beyond}\n"
        f"All else is in the metadata whose keys begin with {PREFIX} (cryodenoise, docs/FORMATS.md, section ONNX)."
    )


@torch.no_grad()
def _require_equal(content: bytes, module: nn.Module, network: Network, multiple_px: int) -> None:
    """Hold onnxruntime against PyTorch at one or two images of random sizes, always the same."""
    place = f"{network.name} as an ONNX file"
    session = open_session(content, place, torch.device("cpu"), None)
    drawn, noise = random.Random(0), torch.Generator().manual_seed(1)
    _, _, rows_px, columns_px = trial_shape(multiple_px)
    for number in range(_TRIALS):
        sides_px = (
            least_px + multiple_px * drawn.randrange(64 // multiple_px + 2) for least_px in (rows_px, columns_px)
        )
        noisy = torch.randn(1 + number % 2, 1, *sides_px, generator=noise) / 4 + 0.5
        expected: Tensor = module(noisy.clone())  # which may work in place
        found = torch.from_numpy(computed(session, noisy.numpy(), place))
        extent = max(expected.max().item(), 0.0) - min(expected.min().item(), 0.0)
        difference = (found - expected).abs().max().item()
        if not difference <= TOLERANCE * extent:  # nor where either is not a number
            raise UserError(
                f"{network.name}: onnxruntime and PyTorch differ by {difference:.3g} at an image of shape "
                f"{tuple(noisy.shape)}, whose output ranges over {extent:.3g}; at most {TOLERANCE:g} of that is "
                "expected: nothing was written; a network of one's own must do the same at every size"
            )
