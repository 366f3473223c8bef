"""Downloads from the server on loopback: its micrographs, the run files that fetch them, and what became of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cryodenoise.micrographs import mrc
from loopback import Site, cut, status
from workspaces import Workspace

FOLDER = "/10025/data/averaged/"
FIRST = FOLDER + "m000.mrc"
"""Path of the first micrograph."""
NO_WAITS = {"backoff_s": 0.0, "stall_timeout_s": 30.0}


def micrograph(folder: Path, seed: int, height_px: int = 32) -> bytes:
    """An MRC file of counted electrons."""
    path = folder / "made.mrc"
    mrc.write(path, np.random.default_rng(seed).poisson(50, (height_px, 32)).astype(np.float32), 1.0)
    content = path.read_bytes()
    path.unlink()
    return content


def fill(site: Site, folder: Path, count: int, height_px: int = 32) -> dict[str, bytes]:
    """Give a site some micrographs; their contents by name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {f"m{number:03d}.mrc": micrograph(folder, number, height_px) for number in range(count)}
    site.files.update({FOLDER + name: content for name, content in made.items()})
    return made


def from_site(workspace: Workspace, *sites: Site, **changes: Any) -> Path:
    """Write a run file that fetches the folder from one site, or several as mirrors."""
    section = {"entry": 10025, "directory": "averaged", "mirrors": [site.url for site in sites]}
    section |= {key: value for key, value in changes.items() if key != "transfer"}
    transfer = NO_WAITS | changes.get("transfer", {})
    return workspace.write("download", {"source": "empiar", "synthetic": None, "empiar": section, "transfer": transfer})


def contents(workspace: Workspace) -> dict[str, bytes]:
    """The micrographs in raw/."""
    return {path.name: path.read_bytes() for path in (workspace / "raw").glob("*.mrc")}


def record(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The entries of download.json by name."""
    files = json.loads((workspace / "raw/download.json").read_text())["files"]
    return {file["name"]: file for file in files}


def served_bytes(site: Site) -> int:
    """Bytes of files that a site sent, without index pages."""
    return sum(count for path, count in site.served.items() if not path.endswith("/"))


def files_asked(site: Site) -> set[str]:
    """Names of the files of which a site was asked for bytes."""
    return {Path(path).name for path in site.asked if not path.endswith("/")}


def interrupt(workspace: Workspace, site: Site, path: str = FIRST) -> None:
    """Start a download and break it off after the first 1000 bytes of a file."""
    site.faults[path] = [cut(1000), status(403)]
    assert workspace.run("download") == 2
    assert (workspace / f"raw/{Path(path).name}.partial").stat().st_size == 1000


def from_folder(workspace: Workspace, path: Path | str, **section: Any) -> None:
    """Write a run file that takes the files of a folder."""
    workspace.write("download", {"source": "local", "synthetic": None, "local": {"path": str(path), **section}})
