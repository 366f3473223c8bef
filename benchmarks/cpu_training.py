"""The 3-layer CNN on the processor: what memory format, OpenMP's wait policy and keeping freed memory are worth.

Usage: python benchmarks/cpu_training.py [layout | memory]

`layout` prints seconds a training step (forward, backward; 8 patches of 256 × 256) for each memory format and wait
policy, idle and beside one busy process a core. `memory` prints, for training steps and for scoring (4 patches of
1024 × 1024, channels last), patches a second, the kernel's share of the processor's time, seconds of the processor a
patch, and how much resident memory grows, for what the C library may do with freed memory. Variants take turns; medians
are printed. Ratios within one run are what counts; the figures themselves are the machine's.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import defaultdict

STEPS, WARM_UP = 20, 3
PATCH_PX, BATCH = 256, 8
FORMATS = ("contiguous_format", "channels_last")
POLICIES: dict[str, dict[str, str]] = {"default": {}, "PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"}}

LARGE_PX, LARGE_BATCH = 1024, 4
ROUNDS, SECONDS = 3, 6.0
KINDS = ("train", "score")
HANDLED: dict[str, dict[str, str]] = {
    "handed back": {},
    "kept": {},
    "kept, ahead": {},
    "handed back, huge pages": {"THP_MEM_ALLOC_ENABLE": "1"},
    "kept, huge pages": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"},
}
"""What becomes of freed memory, and the environment for it. `ahead`: the heap grows by 256 MiB at a time."""


def step_s(memory_format: str) -> float:
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


def figures_of(kind: str, handled: str) -> dict[str, float]:
    """Rate, times and memory of this process's steps."""
    import ctypes

    import psutil
    import torch
    from torch import nn

    from cryodenoise import devices
    from cryodenoise.baselines.affine import AffineFit
    from cryodenoise.metrics.accumulate import PatchTable
    from cryodenoise.models import cnn3

    device = torch.device("cpu")
    network = devices.place(cnn3.build(), device)
    optimizer = torch.optim.Adam(network.parameters())
    stored = torch.rand(LARGE_BATCH, 1, LARGE_PX, LARGE_PX)
    if handled.startswith("kept"):
        assert devices.keep_freed_memory()
    if "ahead" in handled:
        ctypes.CDLL(None).mallopt(-2, 256 << 20)  # M_TOP_PAD

    def train() -> None:
        inputs, targets = devices.place(stored.clone(), device), stored.clone()
        optimizer.zero_grad()
        nn.functional.mse_loss(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    @torch.no_grad()
    def score() -> None:
        inputs, targets = devices.place(stored.clone(), device), stored.clone()
        AffineFit().add(inputs, targets)
        sums = PatchTable(LARGE_BATCH)
        for scored in (network(inputs), inputs, inputs.double() * 0.9 + 0.1):
            sums.set(0, scored, targets)

    step = {"train": train, "score": score}[kind]
    resting = psutil.Process().memory_info().rss
    for _ in range(WARM_UP):
        step()
    before, started, steps = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        step()
        steps += 1
    elapsed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    kernel, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    return {
        "patches/s": steps * LARGE_BATCH / elapsed,
        "kernel": kernel / (kernel + user),
        "processor s/patch": (kernel + user) / (steps * LARGE_BATCH),
        "growth, MB": (devices.peak_host_memory_bytes() - resting) / 1e6,
    }


def in_another(words: list[str], variables: dict[str, str]) -> str:
    """What this file prints in a process of its own, since libraries read their variables once."""
    command = [sys.executable, __file__, *words]
    return subprocess.run(command, env={**os.environ, **variables}, check=True, capture_output=True, text=True).stdout


def compare_layouts() -> None:
    """Every format and policy."""
    for load in ("idle", "busy"):
        count = len(os.sched_getaffinity(0)) if load == "busy" else 0
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
        for policy, variables in POLICIES.items():
            for memory_format in FORMATS:
                seconds = float(in_another(["step", memory_format], variables))
                print(f"{load:5} {policy:8} {memory_format:18} {seconds:.4f} s", flush=True)
        for burner in burners:
            burner.kill()
            burner.wait()


def compare_memory() -> None:
    """Everything that may become of freed memory."""
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for kind in KINDS:
            for handled, variables in HANDLED.items():
                said = in_another(["figures", kind, handled], {**POLICIES["PASSIVE"], **variables})
                found[kind, handled].append(json.loads(said))
                print(f"{kind:6} {handled:24} {said.strip()}", file=sys.stderr, flush=True)
    for (kind, handled), figures in found.items():
        medians = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
        print(f"{kind:6} {handled:24}", ", ".join(f"{name} {value:.3g}" for name, value in medians.items()))


def main() -> None:
    """Compare, or measure one variant for a comparison in another process."""
    match sys.argv[1:]:
        case ["step", memory_format]:
            print(step_s(memory_format))
        case ["figures", kind, handled]:
            print(json.dumps(figures_of(kind, handled)))
        case ["layout"]:
            compare_layouts()
        case ["memory"]:
            compare_memory()
        case []:
            compare_layouts()
            compare_memory()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
