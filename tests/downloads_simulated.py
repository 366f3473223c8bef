"""Downloads of simulated micrographs for the tests."""

from pathlib import Path
from typing import Any

from cryodenoise.console import Console
from cryodenoise.sources import record
from cryodenoise.sources.check import RULES, RawFolder
from workspaces import Workspace

FULL: dict[str, Any] = {"micrographs": 2, "halves": True, "detector": {"gain_spread": 0.1}}
"""All kinds of files of two micrographs."""
KINDS = ("gain.mrc", "synthetic_0001.mrc", "truth/synthetic_0001.mrc", "even/synthetic_0001.mrc",
         "odd/synthetic_0001.mrc", "particles/synthetic_0001.json", "particles/synthetic_0001.star")  # fmt: skip
"""One file of each."""


def made(root: Path, **changes: Any) -> Workspace:
    """A workspace with a download of the tiny set, with changes."""
    workspace = Workspace(root)
    workspace.write("download", {"synthetic": changes})
    assert workspace.run("download") == 0
    return workspace


def findings(workspace: Workspace) -> list[str]:
    """Rules and places of all that is wrong with raw/."""
    raw = workspace / "raw"
    folder = RawFolder(raw, record.load(raw), Console())
    return [
        f"{rule.identifier} {finding.place.relative_to(raw)}" for rule in RULES for finding in rule.findings(folder)
    ]
