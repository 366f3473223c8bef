"""The house rules that code can check: imports go down, and registries hold what run files can name."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryodenoise

PACKAGE = Path(cryodenoise.__file__).parent
FLOORS = {
    "cli": 6, "commands": 6, "epilogs": 6, "__main__": 6, "tasks": 6,
    "report": 5, "estimates": 5, "submission": 5,
    "preprocessing": 4, "training": 4, "evaluation": 4,
    "sources": 3, "inference": 3,
    "models": 2, "baselines": 2, "metrics": 2, "simulation": 2,
    "micrographs": 1, "dataset": 1,
    "config": 0, "signal": 0, "errors": 0, "files": 0, "seeds": 0, "console": 0, "claims": 0, "environment": 0,
    "interruption": 0, "devices": 0, "energy": 0, "ranks": 0, "findings": 0, "__init__": 0,
}  # fmt: skip
"""Each file or folder of the package and its floor (docs/ARCHITECTURE.md)."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module == "cryodenoise":
            names = [f"cryodenoise.{alias.name}" for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "cryodenoise" and rest and not rest.startswith("__"):
                yield rest.split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down_only(path: Path) -> None:
    here = room(path)
    for other in imported_rooms(path):
        below = FLOORS[other] < FLOORS[here] or FLOORS[other] == FLOORS[here] == 0
        assert other == here or below or FLOORS[here] == 6, f"{path} imports {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
