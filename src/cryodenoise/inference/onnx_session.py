"""onnxruntime, an optional extra: what is asked of it, and its faults in words."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cryodenoise.baselines.baseline import Denoise
from cryodenoise.errors import UserError

_CUDA = "CUDAExecutionProvider"
_QUIET = 4  # only what ends the process is logged; all else is raised
_NO_MEMORY = ("bad_alloc", "bad allocation", "failed to allocate", "out of memory")


def imported(package: str, place: str) -> Any:
    """A package of requirements-onnx.txt.

    Args:
        package: Its name.
        place: Start of the message.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(
            f"{place}: ONNX needs the package {package}, which cannot be imported ({error}): run `pip install -r "
            "requirements-onnx.txt`; the container image does not have it"
        ) from error


def computing_device(device: torch.device, place: str) -> torch.device:
    """Where onnxruntime computes: on the processor, unless a GPU is meant and onnxruntime-gpu is installed.

    Args:
        device: Where the caller's tensors are.
        place: Start of messages.

    Raises:
        UserError: If onnxruntime is not installed.
    """
    usable = device.type == "cuda" and _CUDA in imported("onnxruntime", place).get_available_providers()
    return device if usable else torch.device("cpu")


def open_session(content: bytes, place: str, device: torch.device, threads: int | None) -> Any:
    """An onnxruntime.InferenceSession that gives equal results for equal images and reads no other file.

    Args:
        content: A serialised onnx.ModelProto without external data.
        place: Start of messages.
        device: Where it is to compute, as `computing_device` tells.
        threads: Of the processor; None takes as many as PyTorch.

    Raises:
        UserError: If onnxruntime is not installed or refuses the model.
    """
    onnxruntime = imported("onnxruntime", place)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.load_model_format", "ONNX")  # bytes may look like its own format, too
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # other threads read and write meanwhile
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        choices = {"device_id": device.index or 0, "use_tf32": 0, "cudnn_conv_algo_search": "DEFAULT"}
        providers.insert(0, (_CUDA, choices))
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # its exceptions have no base of their own
        raise _told(error, f"{place}: onnxruntime {onnxruntime.__version__} cannot open it") from error


def computed(session: Any, images: np.ndarray, place: str) -> np.ndarray:
    """What a session of one input and one output makes of float32 images, shape (n, 1, h, w).

    Args:
        session: Of `open_session`.
        images: What it is given.
        place: Start of messages.

    Raises:
        UserError: If onnxruntime fails, or makes something of another shape.
        MemoryError: If memory runs out.
    """
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    options = imported("onnxruntime", place).RunOptions()
    options.log_severity_level = _QUIET
    try:
        (denoised,) = session.run([made.name], {given.name: images}, options)
    except Exception as error:  # its exceptions have no base of their own
        raise _told(error, f"{place}: onnxruntime failed at an image of shape {images.shape}") from error
    if denoised.shape != images.shape:
        raise UserError(f"{place}: made {denoised.shape} of an image of shape {images.shape}, expected that shape")
    return np.asarray(denoised)


def denoiser(session: Any, place: str) -> Denoise:
    """A session as a way to denoise: image by image, in float32.

    Args:
        session: Of `open_session`, with one input and one output.
        place: Start of messages.
    """

    def denoise(noisy: Tensor) -> Tensor:
        images = noisy.detach().to("cpu", torch.float32).contiguous().numpy()
        denoised = [computed(session, images[number : number + 1], place) for number in range(len(images))]
        return torch.from_numpy(np.concatenate(denoised)).to(noisy)

    return denoise


def _told(error: Exception, what: str) -> Exception:
    """What it raised as a UserError, but for memory that ran out."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if any(word in str(error).lower() for word in _NO_MEMORY):
        return MemoryError(f"{what}: {lines[0]}")
    return UserError(f"{what} ({lines[0]}): mend or replace that file")
