"""Command `export`: a network as an ONNX file."""

from dataclasses import replace
from pathlib import Path

import torch

from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import make_directory
from cryodenoise.inference import onnx_export
from cryodenoise.inference.networks import of_network
from cryodenoise.tasks.models_given import open_network


def export(model: str | None, output: Path, code_dir: Path | None, console: Console) -> None:
    """Write a network as an ONNX file, with all that a program needs to denoise micrographs with it.

    Args:
        model: What `open_network` takes.
        output: The file; one that is there is replaced.
        code_dir: Folder of the code of a network of one's own; None without one.
        console: Takes what is to be said.

    Raises:
        UserError: If the network cannot be read or exported, or the file not be written.
    """
    if output.suffix != ".onnx" or output.is_dir():
        found = "is a folder" if output.is_dir() else "has another suffix"
        raise UserError(f"{output}: {found}, expected the name of a file *.onnx: give another --output")
    trained = open_network(model, code_dir)
    make_directory(output.parent)
    described = of_network(*trained[:7], "fp32", torch.device("cpu"), trained.own)
    network = replace(trained.network, multiple_px=described.multiple_px)  # of one's own it was measured
    onnx_export.export(output, network, trained.module, described)
    console.say(
        f"{output}: {trained.name}, {output.stat().st_size / 1e6:.2f} MB, computed by onnxruntime as by PyTorch"
    )
