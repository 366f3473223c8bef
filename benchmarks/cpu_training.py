"""Training steps of the 3-layer CNN on the processor: what memory format and OpenMP's wait policy are worth.

Usage: python benchmarks/cpu_training.py

Prints seconds a step (forward, backward; 8 patches of 256 × 256) for each combination, idle and beside one busy process
a core. Ratios within one run are what counts; the figures themselves are the machine's.
"""

import os
import statistics
import subprocess
import sys
import time

STEPS, WARM_UP = 20, 3
PATCH_PX, BATCH = 256, 8
FORMATS = ("contiguous_format", "channels_last")
POLICIES: dict[str, dict[str, str]] = {"default": {}, "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"}}


def measure(memory_format: str) -> float:
    """Median seconds of a training step in this process."""
    import torch
    from torch import nn

    from cryodenoise.models import cnn3

    layout = getattr(torch, memory_format)
    network = cnn3.build().to(memory_format=layout)  # type: ignore[call-overload]
    inputs = torch.rand(BATCH, 1, PATCH_PX, PATCH_PX).to(memory_format=layout)
    targets = torch.rand_like(inputs)
    seconds = []
    for _ in range(WARM_UP + STEPS):
        started = time.monotonic()
        nn.functional.mse_loss(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds[WARM_UP:])


def main() -> None:
    """Measure every combination in a process of its own, since OpenMP reads its policy once."""
    if len(sys.argv) == 2:
        print(measure(sys.argv[1]))
        return
    for load in ("idle", "busy"):
        count = len(os.sched_getaffinity(0)) if load == "busy" else 0
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        for policy, variables in POLICIES.items():
            for memory_format in FORMATS:
                result = subprocess.run(
                    [sys.executable, __file__, memory_format],
                    env={**os.environ, **variables},
                    check=True, capture_output=True, text=True,
                )  # fmt: skip
                print(f"{load:5} {policy:8} {memory_format:18} {float(result.stdout):.4f} s", flush=True)
        for burner in burners:
            burner.kill()
            burner.wait()


if __name__ == "__main__":
    main()
