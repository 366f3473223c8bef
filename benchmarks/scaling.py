"""Two processes against one, each with one thread: the same losses, and how much faster.

Usage: python benchmarks/scaling.py [--steps 4] [--workspace DIR]

The data of benchmarks/training.py. Each step of plain SGD takes all training patches, so an epoch is a step and its
loss is that of the step. The processes are started by torchrun and exchange gradients by gloo.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from training import make_data

from cryodenoise.config.documents import DatasetRecord


def train(workspace: Path, world: int, steps: int) -> dict[str, Any]:
    """training.json of a run by so many processes."""
    samples = DatasetRecord.load_document(workspace / "data/dataset.json").splits["train"].samples
    run_file, model_dir = workspace / "scaling.yaml", workspace / "models" / f"scaling-{world}-{time.time_ns()}"
    optimizer = {"name": "sgd", "learning_rate": 0.01}
    run_file.write_text(
        json.dumps({"optimizer": optimizer, "epochs": steps, "batch_size": samples, "micro_batch_size": 4})
    )
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}", "-m", "cryodenoise"]
    words = ["train", f"--parameters_file={run_file}", f"--data_dir={workspace / 'data'}", f"--model_dir={model_dir}"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *launcher, *words], check=True, stdout=subprocess.DEVNULL, env=variables)
    record: dict[str, Any] = json.loads((model_dir / "training.json").read_text())
    return record


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--workspace", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        workspace = options.workspace or Path(scratch)
        make_data(workspace, 3)
        alone, together = (train(workspace, world, options.steps)["history"] for world in (1, 2))
    print(f"{'step':>4} {'one process':>14} {'two':>14} {'relative':>10}")
    for one, two in zip(alone, together, strict=True):
        difference = abs(two["train_loss"] / one["train_loss"] - 1)
        print(f"{one['epoch']:4} {one['train_loss']:14.9f} {two['train_loss']:14.9f} {difference:10.1e}")
    rates = [max(epoch["train_patches_per_s"] for epoch in history) for history in (alone, together)]
    print(f"patches/s: {rates[0]:.2f} and {rates[1]:.2f}, ratio {rates[1] / rates[0]:.2f}")


if __name__ == "__main__":
    main()
