"""What tasks left, as far as two runs must agree on it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryodenoise.models.weights import read_tensors
from cryodenoise.submission import events
from refusals import OUTPUTS
from workspaces import Workspace

MEASURED = {
    "elapsed_s", "train_s", "train_patches_per_s", "read_mb_per_s", "waited_s", "waiting_fraction",
    "resources", "patches_per_s", "sessions", "peak_host_memory_bytes", "environment",
    "machine", "content_sha256", "initialization_s", "finished_ms",
}  # fmt: skip
"""Keys whose values two runs need not share."""


def without_measurements(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_measurements(item) for key, item in value.items() if key not in MEASURED}
    return [without_measurements(item) for item in value] if isinstance(value, list | tuple) else value


def content(path: Path) -> Any:
    """What a file holds, as far as two runs must agree on it."""
    if path.suffix == ".json":
        return without_measurements(json.loads(path.read_text()))
    if path.name == "last.safetensors":
        tensors, about = read_tensors(path)
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, without_measurements(about)
    if path.suffix == ".txt":  # a log: times are measured, and so is what the last line of a result tells beside scores
        told = [without_measurements(each.told()[1:]) for each in events.read(path)[0]]
        return [line for line in told if line[0] != "submission_github_commit_version"]  # of the environment
    return hashlib.sha256(path.read_bytes()).hexdigest()


def outcome(workspace: Workspace, *tasks: str) -> dict[str, Any]:
    """What tasks left, by file; which states before the last are kept depends on when a run was interrupted."""
    folders = [workspace / OUTPUTS[task] for task in tasks]
    files = [
        (folder, path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.name[:5] != "last-"
    ]
    return {f"{folder.name}/{path.relative_to(folder)}": content(path) for folder, path in files}
