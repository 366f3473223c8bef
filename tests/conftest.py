"""Fixtures: an empty workspace, a finished one, and a writer of MRC files."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cryodenoise.micrographs import mrc
from workspaces import Workspace


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    """A workspace with nothing in it."""
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("finished") / "workspace")
    assert workspace.run("download", "preprocess", "train", "test") == 0
    return workspace


@pytest.fixture
def finished(made_once: Workspace, tmp_path: Path) -> Workspace:
    """A copy of a workspace in which all four tasks have run."""
    shutil.copytree(made_once.root, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def preprocessed(finished: Workspace) -> Workspace:
    """A copy of it before the task `train`."""
    for name in ("model", "results"):
        shutil.rmtree(finished / name)
    return finished


@pytest.fixture
def write_mrc() -> Callable[..., Path]:
    """A function that writes an image as an MRC file and returns its path."""

    def write(path: Path, image: np.ndarray, pixel_size_angstrom: float = 1.0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        mrc.write(path, image, pixel_size_angstrom)
        return path

    return write
