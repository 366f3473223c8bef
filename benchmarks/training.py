"""Training by this program against a PyTorch loop as one writes it first: same network, data, order, number of steps.

Usage: python benchmarks/training.py [--device cuda] [--models cnn3 unet] [--micrographs 3] [--rounds 2]
                                     [--workspace DIR]

The loop: a memmap dataset, a DataLoader with its defaults, eager float32, batches of 4, Adam. This program:
`cryodenoise train` in a process of its own, in each precision that the machine has, with and without torch.compile
(whose second epoch counts), memory_limit_gib 8. Data: simulated micrographs of 4096 × 4096, patches of 1024 × 1024,
made in the workspace if they are not there. Prints patches/s, the ratio, the validation error against the loop's,
the peak memory, and what share of the machine's measured matrix products and memory copies that is. On a GPU it
ends within 8 minutes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from cryodenoise import seeds
from cryodenoise.cli import main as cryodenoise
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.dataset.order import shuffled
from cryodenoise.devices import bf16_is_native, name_of
from cryodenoise.models import MODELS

BATCH, PATCH_PX, SEED, LEARNING_RATE = 4, 1024, 42, 1e-3
PIXELS = PATCH_PX**2
GIGA = 1e9
LOOP = "the loop"


class Patches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Inputs and targets of a range of samples, memory-mapped."""

    def __init__(self, data_dir: Path, stem: str, first: int, samples: int) -> None:
        shape = (-1, 1, PATCH_PX, PATCH_PX)
        files = (data_dir / f"{stem}_{role}.bin" for role in ("input", "target"))
        self._inputs, self._targets = (
            np.memmap(file, "<f4", "r").reshape(shape)[first : first + samples] for file in files
        )

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self._inputs[index].copy()), torch.from_numpy(self._targets[index].copy())


def loop(data_dir: Path, model: str, device: torch.device) -> dict[str, float]:
    """The loop that one writes first; its rate, its validation error and its memory."""
    splits = DatasetRecord.load_document(data_dir / "dataset.json").splits
    train, validation = (
        Patches(data_dir, splits[name].file, splits[name].first_sample, splits[name].samples)
        for name in ("train", "validation")
    )
    torch.manual_seed(seeds.derive(SEED, "weights") % 2**63)
    network = MODELS[model].build().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    order = shuffled(len(train), SEED, 1).tolist()
    began_s = time.perf_counter()
    for inputs, targets in DataLoader(train, batch_size=BATCH, sampler=order):
        optimizer.zero_grad()
        nn.functional.mse_loss(network(inputs.to(device)), targets.to(device)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    elapsed_s, total = time.perf_counter() - began_s, 0.0
    with torch.no_grad():
        for inputs, targets in DataLoader(validation, batch_size=BATCH):
            difference = network(inputs.to(device)).double() - targets.to(device)
            total += difference.square().mean(dim=(1, 2, 3)).sum().item()
    peak_bytes = torch.cuda.max_memory_reserved() if device.type == "cuda" else _peak_resident_bytes()
    return {"patches_per_s": len(train) / elapsed_s, "validation_mse": total / len(validation), "bytes": peak_bytes}


def ours(workspace: Path, name: str, keys: dict[str, object]) -> dict[str, float]:
    """What `cryodenoise train` tells of one epoch over the same samples in the same order."""
    run_file, model_dir = workspace / f"{name}.yaml", workspace / "models" / f"{name}-{time.time_ns()}"
    parameters = {"batch_size": BATCH, "epochs": 1, "seed": SEED, "optimizer": {"learning_rate": LEARNING_RATE}, **keys}
    run_file.write_text(json.dumps(parameters))
    words = ["train", f"--parameters_file={run_file}", f"--data_dir={workspace / 'data'}", f"--model_dir={model_dir}"]
    result = subprocess.run([sys.executable, "-m", "cryodenoise", *words], capture_output=True, text=True)
    if result.returncode:
        print(result.stderr.strip().splitlines()[-1])
        return {}
    if keys.get("compile") and "torch.compile failed" in result.stdout:
        print(next(line for line in result.stdout.splitlines() if "torch.compile failed" in line))
    record = json.loads((model_dir / "training.json").read_text())
    epoch, last = record["history"][0], record["history"][-1]
    return {
        "patches_per_s": last["train_patches_per_s"],
        "validation_mse": epoch["validation_mse"],
        "bytes": record["peak_device_memory_bytes"] or record["peak_host_memory_bytes"],
        "micro": record["micro_batch_size"],
        "waiting": epoch["waiting_fraction"],
    }


def in_own_process(function: str, *words: str) -> dict[str, float]:
    """A function of this file in a fresh process, so that no allocator or setting is inherited."""
    result = subprocess.run([sys.executable, __file__, f"--only={function}", *words], check=True, capture_output=True)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return found


def machine(device: torch.device) -> dict[str, float]:
    """Measured rates: matrix products in each precision that the device has, and copies in memory, read and written."""
    found = {}
    side, copies = (8192, 1 << 28) if device.type == "cuda" else (2048, 1 << 26)
    dtypes = {"fp32": torch.float32}
    if bf16_is_native(device):
        dtypes["bf16"] = torch.bfloat16
    if device.type == "cuda":
        dtypes |= {"tf32": torch.float32, "fp16": torch.float16}
    for name, dtype in dtypes.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        a = torch.rand(side, side, device=device, dtype=dtype)
        found[f"{name}_flop_per_s"] = 2 * side**3 / _seconds(lambda a=a: a @ a, device)
    a, b = (torch.rand(copies, device=device) for _ in range(2))
    found["bytes_per_s"] = 8 * copies / _seconds(lambda: b.copy_(a), device)
    return found


def _seconds(function: object, device: torch.device) -> float:
    """The fastest of ten calls."""
    taken = []
    for _ in range(10):
        began_s = time.perf_counter()
        function()  # type: ignore[operator]
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began_s)
    return min(taken)


def floor_of(model: str) -> tuple[float, float]:
    """Of a training step: operations a patch, and bytes that must pass the memory if nothing is fused.

    Each convolution multiplies and adds forwards, for the weights and, but for the first layer, for its input. Each
    layer's output is written once and read once forwards; backwards it is read once, and its gradient written and read.
    """
    operations = traffic = 0.0
    first = True

    def count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal operations, traffic, first
        traffic += 5 * 4 * output.numel()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            at = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
            products = layer.weight.numel() * at.shape[-1] * at.shape[-2]
            operations += 2 * products * (2 if first else 3)
            first = False

    network = MODELS[model].build().to("meta")
    leaves = [layer for layer in network.modules() if not list(layer.children())]
    for layer in leaves:
        layer.register_forward_hook(count)
    network(torch.empty(1, 1, PATCH_PX, PATCH_PX, device="meta"))
    return operations, traffic


def _peak_resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def make_data(workspace: Path, micrographs: int) -> None:
    """Simulated micrographs and their patches, unless they are there."""
    run = workspace / "run"
    run.mkdir(parents=True, exist_ok=True)
    synthetic = {"preset": "t20s-like", "micrographs": micrographs, "seed": SEED}
    (run / "download.yaml").write_text(json.dumps({"source": "synthetic", "synthetic": synthetic}))
    pairs = {"pairs": {"kind": "truth"}, "normalization": "p1_p99", "noise": {"model": "none"}}
    (run / "preprocess.yaml").write_text(json.dumps({**pairs, "patches": {"size_px": PATCH_PX, "stride_px": 512}}))
    for task, folders in (("download", ["raw"]), ("preprocess", ["raw", "data"])):
        words = [f"--{name}_dir={workspace / name}" for name in folders]
        if code := cryodenoise([task, f"--parameters_file={run / task}.yaml", *words]):
            sys.exit(code)


def settings(device: torch.device) -> Iterator[tuple[str, dict[str, object]]]:
    """What is compared with the loop; names begin with the precision of products."""
    yield "fp32", {}
    if device.type == "cuda":
        yield "tf32, not deterministic", {"tf32": True, "deterministic": False}
    yield "fp32, compiled", {"compile": True, "epochs": 2}  # the first compiles
    if bf16_is_native(device):
        yield "bf16", {"precision": "bf16"}
        yield "bf16, compiled", {"precision": "bf16", "compile": True, "epochs": 2}
    if device.type == "cuda":
        yield "fp16", {"precision": "fp16"}


def compare(workspace: Path, model: str, device: torch.device, rounds: int, rates: dict[str, float]) -> None:
    """One table."""
    operations, traffic = floor_of(model)
    print(f"\n{model}: {operations / GIGA:.1f} GFLOP and {traffic / GIGA:.2f} GB a patch")
    print(f"{'':32} {'patches/s':>9} {'ratio':>6} {'validation MSE':>15} {'GiB':>6} {'micro':>5} "
          f"{'products':>8} {'memory':>7} {'waiting':>7}")  # fmt: skip
    loops = []
    runs: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        loops.append(in_own_process("loop", f"--models={model}", f"--device={device.type}", f"--workspace={workspace}"))
        for name, keys in settings(device):
            keys = {"model": model, "device": device.type, "memory_limit_gib": 8, **keys}
            if found := ours(workspace, f"{model}-{name.replace(', ', '-').replace(' ', '-')}-{number}", keys):
                runs.setdefault(name, []).append(found)
    reference = max(loops, key=lambda run: run["patches_per_s"])
    for name, results in [(LOOP, loops), *runs.items()]:
        fastest = max(results, key=lambda run: run["patches_per_s"])
        rate, mse = fastest["patches_per_s"], fastest["validation_mse"]
        products = rate * operations / rates["fp32_flop_per_s" if name == LOOP else f"{name[:4]}_flop_per_s"]
        off = f"{mse:.6f} {100 * (mse / reference['validation_mse'] - 1):+.2f}%"
        ratio, gib = rate / reference["patches_per_s"], fastest["bytes"] / 2**30
        memory = rate * traffic / rates["bytes_per_s"]
        print(f"{name:32} {rate:9.2f} {ratio:6.2f} {off:>15} {gib:6.2f} {fastest.get('micro', BATCH):5.0f} "
              f"{products:8.1%} {memory:7.1%} {fastest.get('waiting', 0):7.1%}", flush=True)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=None)
    parser.add_argument("--micrographs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--only", choices=("loop", "machine"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.only == "loop":
        print(json.dumps(loop(options.workspace / "data", options.models[0], device)))
        return
    if options.only == "machine":
        print(json.dumps(machine(device)))
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with tempfile.TemporaryDirectory() as scratch:
        workspace = options.workspace or Path(scratch)
        make_data(workspace, options.micrographs)
        rates = in_own_process("machine", f"--device={options.device}")
        print(f"{name_of(device)}, PyTorch {torch.__version__}: " + ", ".join(
            f"{name} {value / GIGA:.0f} G" for name, value in rates.items()))  # fmt: skip
        for model in options.models or (["cnn3", "unet"] if device.type == "cuda" else ["cnn3"]):
            compare(workspace, model, device, options.rounds, rates)


if __name__ == "__main__":
    main()
