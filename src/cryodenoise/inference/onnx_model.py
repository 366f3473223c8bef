"""A denoiser in an ONNX file, of this program or of another, computed by onnxruntime."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.config.onnx import PREFIX, OnnxMetadata, read_properties
from cryodenoise.errors import UserError, require_known
from cryodenoise.inference.model import Model
from cryodenoise.inference.onnx_session import computing_device, denoiser, imported, open_session
from cryodenoise.inference.receptive_field import is_the_same_in_parts
from cryodenoise.signal.normalize import RULES

LARGEST_BYTES = 512 << 20
"""A file of more is refused: the largest weights that a submission may hold."""
TRIAL_PX = (97, 129)
"""Height and width of a trial image, or of multiples the next odd one: what halves sides without asking fails."""


def open_onnx(path: Path, device: torch.device, threads: int | None = None) -> Model:
    """Open an ONNX file with the metadata of docs/FORMATS.md.

    It computes where `onnx_session.computing_device` says; images come and go on any device. Nothing but this file is
    read, whatever it asks for.

    Args:
        path: The file.
        device: Where images will be.
        threads: Of the processor; None takes as many as PyTorch.

    Raises:
        UserError: If onnxruntime is not installed; if it is no ONNX file, a damaged or too large one, or one whose
            weights lie in other files; if it maps anything else than images (n, 1, h, w) of any height and width to the
            same shape; if metadata are missing or make no sense, or the file fails at a small image.
    """
    content = _content(path)
    model = _parsed(content, path)
    about = read_properties({entry.key: entry.value for entry in model.metadata_props}, path)
    require_known(f"{path}: metadata_props: {PREFIX}normalization", about.normalization, RULES)
    session = open_session(content, str(path), computing_device(device, str(path)), threads)
    _require_images(session, path)
    denoise = denoiser(session, str(path))
    _try(denoise, about, path)
    if about.reach_px is not None and not is_the_same_in_parts(denoise, about.multiple_px, about.reach_px):
        raise UserError(
            f"{path}: an output pixel depends on more than {about.reach_px} pixels around it, as {PREFIX}reach_px says "
            f"it does not, or {PREFIX}multiple_px is too small: tiles would leave seams: correct them, or leave "
            "reach_px out"
        )
    return Model(
        name=about.name or path.stem,
        digest=hashlib.sha256(content).hexdigest(),
        denoise=denoise,
        normalization=about.normalization,
        clipped=about.clipped,
        multiple_px=about.multiple_px,
        reach_px=about.reach_px,
        bytes_per_px=about.bytes_per_px,
        trained_on=about.trained_on,
    )


def trial_shape(multiple_px: int) -> tuple[int, int, int, int]:
    """Shape of the smallest image to try a denoiser on whose sides are odd multiples."""
    rows_px, columns_px = ((-(-side_px // multiple_px) | 1) * multiple_px for side_px in TRIAL_PX)
    return 1, 1, rows_px, columns_px


def _content(path: Path) -> bytes:
    if not path.is_file():
        found = "is no file" if path.exists() else "no such file"
        raise UserError(f"{path}: {found}, expected an ONNX file: give the path of one")
    with path.open("rb") as stream:
        content = stream.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise UserError(f"{path}: more than {LARGEST_BYTES >> 20} MiB, the most that is read: give a smaller model")
    return content


def _parsed(content: bytes, path: Path) -> Any:
    """The onnx.ModelProto, which asks for no other file."""
    onnx = imported("onnx", str(path))
    decode_error = imported("google.protobuf.message", str(path)).DecodeError
    try:
        model = onnx.ModelProto.FromString(content)
    except decode_error as error:
        raise UserError(f"{path}: no ONNX file, or a damaged one ({error}): give another") from error
    if not model.ir_version or not model.graph.node:
        raise UserError(f"{path}: no ONNX file: it holds no graph: give another")
    for tensor in _tensors(model, onnx.TensorProto):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UserError(
                f"{path}: its tensor {tensor.name!r} lies in another file, which is not read: save it as one file "
                "(onnx.save_model with save_as_external_data=False)"
            )
    return model


def _tensors(message: Any, kind: type) -> Iterator[Any]:
    """All tensors of a graph, wherever they are: initialisers, attributes, subgraphs, functions."""
    if isinstance(message, kind):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(part, kind)


def _require_images(session: Any, path: Path) -> None:
    """Refuse what does not map one float32 image of any height and width to one."""

    def told(values: list[Any]) -> str:
        return ", ".join(f"{value.name}: {value.type} {value.shape}" for value in values) or "none"

    inputs, outputs = session.get_inputs(), session.get_outputs()
    fits = len(inputs) == len(outputs) == 1 and inputs[0].type == outputs[0].type == "tensor(float)"
    if fits and len(shape := inputs[0].shape) == 4:
        fits = all(side == 1 or not isinstance(side, int) for side in shape[:2])
        if fits and any(isinstance(side, int) for side in shape[2:]):
            raise UserError(
                f"{path}: takes images of the one size {shape} alone, expected any height and width: export it with "
                "dynamic axes 2 and 3"
            )
    else:
        fits = False
    if not fits:
        raise UserError(
            f"{path}: inputs {told(inputs)}; outputs {told(outputs)}; expected one input and one output, float32 of "
            "shape (n, 1, height, width): export a model that maps an image to an image"
        )


def _try(denoise: Denoise, about: OnnxMetadata, path: Path) -> None:
    shape = trial_shape(about.multiple_px)
    # No constant image, since a network may divide by its standard deviation.
    sample = torch.linspace(0, 1, shape[2] * shape[3]).view(shape)
    try:
        denoised = denoise(sample)
    except UserError as error:
        raise UserError(f"{error}; if sides must be multiples, {PREFIX}multiple_px must say so") from error
    if not denoised.isfinite().all():
        raise UserError(f"{path}: of an image of shape {shape} it made values that are not finite: replace that file")
