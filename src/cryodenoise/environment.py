"""What a run ran on and with: versions, source revision, hardware. Nothing that names a person, host or path."""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psutil

from cryodenoise import __version__

PACKAGES = ("torch", "numpy", "numba", "mrcfile", "safetensors", "pydantic")
REVISION_VARIABLE = "CRYODENOISE_REVISION"
_PACKAGE_DIR = Path(__file__).parent


def source_digest() -> str:
    """SHA-256 over the names and contents of the package's source files, in order of name."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE_DIR.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PACKAGE_DIR).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def source_revision() -> str | None:
    """The git commit of the source, with `-dirty` if files differ from it; None where it is not known.

    An image records its revision in the variable CRYODENOISE_REVISION when it is built; a checkout is asked.
    """
    if recorded := os.environ.get(REVISION_VARIABLE):
        return recorded
    root = _PACKAGE_DIR.parent.parent
    if not (root / ".git").exists():
        return None
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    try:
        revision = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def processor_name() -> str:
    """The processor's name as the kernel tells it, else its architecture."""
    return next(_processor_lines("model name"), platform.machine())


def processor_flags() -> frozenset[str]:
    """Names of the processor's instruction sets as the kernel tells them; none where it does not."""
    return frozenset(next(_processor_lines("flags", "Features"), "").split())


def _processor_lines(*keys: str) -> Iterator[str]:
    """What /proc/cpuinfo says under keys that begin so, core by core."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return (line.partition(":")[2].strip() for line in lines if line.startswith(keys))


@cache
def describe(gpus: bool = True) -> dict[str, object]:
    """Versions, source and hardware as JSON values.

    Args:
        gpus: Whether to tell of GPUs and CUDA; PyTorch knows them, and takes seconds to import.
    """
    return {
        "cryodenoise": __version__,
        "source_revision": source_revision(),
        "source_digest": source_digest(),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "in_container": Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
        "processor": processor_name(),
        "cores": available_cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        **(_gpus() if gpus else {}),
    }


def _gpus() -> dict[str, object]:
    import torch

    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "cuda": torch.version.cuda,
        "gpus": [{"name": gpu.name, "memory_gib": round(gpu.total_memory / 2**30, 1)} for gpu in found],
    }
