"""Small graphene sets in the published layout, for the tests."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from workspaces import Workspace, merged

NOISY, CLEAN = "graphene_img_noise.h5", "graphene_img_clean.h5"
NAMES = [f"{part}/{name}" for part in ("test", "train") for name in (CLEAN, NOISY)]
TASKS: dict[str, dict[str, Any]] = {
    "download": {
        "source": "graphene",
        "synthetic": None,
        "graphene": {"simulated": {"train_images": 6, "test_images": 3, "side_px": 32}},
    },
    "preprocess": {
        "pairs": {"kind": "given", "noisy": NOISY, "clean": CLEAN},
        "normalization": "none",
        "split": {"by": "folders"},
        "patches": {"size_px": 32, "stride_px": 32},
        "noise": {"model": "none"},
    },
    "train": {"model": "emdenoise", "micro_batch_size": 2, "batch_size": 2, "epochs": 1},
    "test": {},
}  # fmt: skip
"""Changes to the tiny run files that make them those of run/emdenoise/smoke, but smaller."""


def prepare(workspace: Workspace, task: str, changes: dict[str, Any] | None = None) -> None:
    """Write the run file of a task."""
    workspace.write(task, merged(TASKS[task], changes or {}))


def images(seed: int, count: int, side_px: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean images; float32, shape (n, side, side, 1)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side_px, :side_px]
    waves = [0.5 + 0.4 * np.sin(y / rng.uniform(2, 6) + x / rng.uniform(2, 6)) for _ in range(count)]
    clean = np.array(waves, np.float32)[..., None]
    return (rng.poisson(20 * clean) / 20).astype(np.float32), clean


def write_stack(path: Path, pixels: np.ndarray, **how: Any) -> None:
    """Write a file as its publishers do: by h5py."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=pixels, **how)


def write_published(folder: Path, counts: dict[str, int]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write all four files; what they hold, by part."""
    found = {}
    for number, (part, count) in enumerate(counts.items()):
        found[part] = images(number, count)
        for name, pixels in zip((NOISY, CLEAN), found[part], strict=True):
            write_stack(folder / part / name, pixels)
    return found
