"""How a test sees a command refuse: exit code 2, one message that helps, and files as they were."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cryodenoise.cli import main
from cryodenoise.config.schema import content_sha256
from cryodenoise.models.weights import read_tensors, write_tensors
from workspaces import Workspace

WriteMrc = Callable[..., Path]
TASKS = ("download", "preprocess", "train", "test")
OUTPUTS = {"download": "raw", "preprocess": "data", "train": "model", "test": "results"}
DOCUMENTS = {"raw": "download.json", "data": "dataset.json", "model": "training.json", "results": "report.json"}


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder but the logs."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".log")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@dataclass(frozen=True)
class Refusal:
    """Sees a command refuse with a message that holds some words, and leave every file as it was."""

    capsys: pytest.CaptureFixture[str]

    def __call__(self, workspace: Workspace, task: str, *words: str) -> str:
        if not (workspace / f"run/{task}.yaml").exists():
            workspace.write(task)
        return self.command(workspace.arguments(task), workspace.root, *words)

    def command(self, arguments: list[str], root: Path, *words: str) -> str:
        before = contents(root)
        self.capsys.readouterr()
        code = main(arguments)
        message = self.capsys.readouterr().err
        assert code == 2, message
        assert "Traceback" not in message
        assert all(line.startswith(f"cryodenoise {arguments[0]}: ") for line in message.splitlines())
        missing = [word for word in words if word not in message]
        assert not missing, message
        after = contents(root)
        assert {name for name in before | after if before.get(name) != after.get(name)} == set()
        return message


def noisy(seed: int = 0, height_px: int = 96, width_px: int = 80) -> np.ndarray:
    """Counted electrons, float32."""
    return np.random.default_rng(seed).poisson(50, (height_px, width_px)).astype(np.float32)


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a JSON document as somebody who knows of its digest would."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps({**document, "content_sha256": content_sha256(document)}))


def flip_byte(path: Path, position: int) -> None:
    """Alter one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def unfinish(workspace: Workspace) -> Path:
    """Make the finished training one of three epochs that was interrupted after two; its saved state."""
    document = workspace / "model/training.json"
    made_from = json.loads(document.read_text())["made_from"]
    made_from["parameters"]["epochs"] = 3
    (workspace / "model/unfinished.json").write_text(json.dumps({"task": "train", "made_from": made_from}))
    document.unlink()
    workspace.write("train", {"epochs": 3})
    (workspace / "model/last-2.safetensors").unlink()
    last = workspace / "model/last.safetensors"
    tensors, about = read_tensors(last)
    write_tensors(last, tensors, {**about, "made_from": made_from})
    return last
