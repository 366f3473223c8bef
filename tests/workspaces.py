"""A workspace on tiny data, and the four tasks that work on it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cryodenoise.cli import main

TINY: dict[str, dict[str, Any]] = {
    "download": {
        "source": "synthetic",
        "synthetic": {
            "micrographs": 4, "height_px": 96, "width_px": 80, "pixel_size_angstrom": 8.0,
            "specimen": {"particles": 4}, "detector": {"dose_e_per_a2": 1.2, "frames": 4},
        },
    },
    "preprocess": {"patches": {"size_px": 32, "stride_px": 16}, "workers": 1},
    "train": {"epochs": 2, "batch_size": 4, "device": "cpu"},
    "test": {"batch_size": 4, "device": "cpu", "slow_patches": 0, "figures": False},
}  # fmt: skip
"""Run files of the four tasks: 4 micrographs of some 50 electrons a pixel, 20 patches each, a few seconds in all."""
NOTHING: dict[str, Any] = {"specimen": {"particles": 0}, "ice": {"thickness_nm": 0.0}}
"""A specimen of which nothing is in the beam, so that pixels are shot noise alone."""


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A mapping with changes laid over it, section by section."""
    both = dict(base)
    for key, value in changes.items():
        both[key] = merged(both[key], value) if isinstance(value, dict) and isinstance(both.get(key), dict) else value
    return both


@dataclass(frozen=True)
class Workspace:
    """A folder with raw/, data/, model/, results/ and run files, and the commands that work on it."""

    root: Path

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def write(self, task: str, changes: dict[str, Any] | None = None) -> Path:
        """Write the run file of a task: TINY with changes."""
        path = self.root / "run" / f"{task}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(merged(TINY[task], changes or {})))
        return path

    def arguments(self, task: str) -> list[str]:
        """The words of a command line for a task in this workspace."""
        folders = {
            "download": ["raw"],
            "preprocess": ["raw", "data"],
            "train": ["data", "model"],
            "test": ["data", "model", "results"],
        }[task]
        words = [task, f"--parameters_file={self.root / 'run' / f'{task}.yaml'}", f"--log_dir={self.root / 'logs'}"]
        return words + [f"--{name}_dir={self.root / name}" for name in folders]

    def run(self, *tasks: str) -> int:
        """Run tasks in this process, up to the first that fails; the last exit code."""
        code = 0
        for task in tasks:
            if not (self.root / "run" / f"{task}.yaml").exists():
                self.write(task)
            code = main(self.arguments(task))
            if code:
                break
        return code
