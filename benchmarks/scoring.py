"""Scoring many patches of 1024 × 1024: how much memory it takes, and how fast it is.

Usage: python benchmarks/scoring.py [--patches 50 200] [--directory DIR] [--device cuda]

For each number of patches a dataset of noise is written, a `cnn3` is trained on eight of its patches for one epoch, and
`cryodenoise test` scores all of the test split beside all references, as run/test.yaml says. Prints the largest
resident memory, that above a process which has only imported what the task imports, and patches a second. The full
benchmark has 3,211 patches, 27 GB here.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from loading import make_dataset

PROJECT = Path(__file__).resolve().parent.parent
_RESTING = """
import psutil, cryodenoise.tasks.test, cryodenoise.report.build, skimage.restoration, torch
print(psutil.Process().memory_info().rss)
"""


def resting_bytes() -> int:
    """Resident memory of a process that has imported everything and done nothing."""
    return int(subprocess.run([sys.executable, "-c", _RESTING], check=True, capture_output=True, text=True).stdout)


def run(*words: str) -> None:
    """A command in a process of its own."""
    result = subprocess.run([sys.executable, "-m", "cryodenoise", *words], capture_output=True, text=True)
    if result.returncode:
        sys.exit(result.stderr)


def measure(patches: int, workspace: Path, device: str) -> dict[str, float]:
    """What report.json tells of a test split of so many patches."""
    workspace.joinpath("data").mkdir()
    make_dataset(workspace / "data", {"train": 8, "validation": 2, "test": patches}, "<f4")
    train = workspace / "train.yaml"
    train.write_text(json.dumps({"epochs": 1, "device": device}))
    data, model, results = (f"--{name}_dir={workspace / name}" for name in ("data", "model", "results"))
    run("train", f"--parameters_file={train}", data, model)
    test = workspace / "test.yaml"
    test.write_text((PROJECT / "run/test.yaml").read_text() + f"\ndevice: {device}\n")
    run("test", f"--parameters_file={test}", data, model, results)
    found: dict[str, float] = json.loads((workspace / "results/report.json").read_text())["resources"]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patches", nargs="+", type=int, default=[50, 200])
    parser.add_argument("--directory", type=Path, help="on a disk with 8 MB a patch; the system's place for such files")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    resting = resting_bytes()
    for patches in options.patches:
        with tempfile.TemporaryDirectory(dir=options.directory) as workspace:
            found = measure(patches, Path(workspace), options.device)
        peak = found["peak_host_memory_bytes"]
        on_gpu = found["peak_device_memory_bytes"]
        print(
            f"{patches:5} patches: {peak / 1e9:.2f} GB, {(peak - resting) / 1e9:.2f} GB above resting"
            f"{'' if on_gpu is None else f', {on_gpu / 1e9:.2f} GB on the GPU'}; {found['patches_per_s']:.2f} "
            f"patches/s denoised, {patches / found['elapsed_s']:.2f} scored",
            flush=True,
        )


if __name__ == "__main__":
    main()
