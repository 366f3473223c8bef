"""Preprocessing against a straightforward numpy restatement of the reference: python benchmarks/preprocess.py.

Makes full-size micrographs (7420 × 7676), preprocesses them both ways in processes of their own, and times the
writing of as many bytes alone. Wants some 7 GB of disk at --directory and takes some two minutes on two cores.
What numba compiles once is compiled before.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import mrcfile
import numpy as np
import psutil
import yaml

from cryodenoise.environment import available_cores, processor_name
from cryodenoise.micrographs import mrc
from cryodenoise.signal import noise, normalize

HEIGHT_PX, WIDTH_PX = 7420, 7676
SIZE_PX, STRIDE_PX = 1024, 512
ELECTRONS_AT_ONE, SIGMA = 100, 0.05
PATCHES = 13 * 13
PROBE_S = 0.02
RUN_FILE = {
    "patches": {"size_px": SIZE_PX, "stride_px": STRIDE_PX},
    "noise": {"electrons_at_one": ELECTRONS_AT_ONE, "sigma": SIGMA},
}


@dataclass(frozen=True)
class Measured:
    """What one process, and those it started, took."""

    elapsed_s: float
    largest_resident_bytes: int


def make_micrograph(path: Path, seed: int) -> None:
    """Shot noise of EMPIAR-10025's mean count under slow variations: what there is to see does not matter here."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:HEIGHT_PX, :WIDTH_PX]
    expected = 16.1 * (1 + 0.2 * np.sin(y / 300 + seed) * np.cos(x / 500))
    mrc.write(path, rng.poisson(expected).astype(np.float32), 0.6575)


def restatement(raw_dir: Path, out_dir: Path) -> None:
    """The reference's preprocessing as a user would write it: one process, one patch at a time, numpy's generators.

    Patches as of https://github.com/frasertajima/cryo_em_denoising2: 95th percentile of the positive pixels, Poisson
    counts and normal read-out noise afresh for each patch, float32 without a header.
    """
    np.random.seed(42)
    paths = sorted(raw_dir.glob("*.mrc"))
    with (out_dir / "input.bin").open("wb") as inputs, (out_dir / "target.bin").open("wb") as targets:
        for path in paths:
            with mrcfile.open(path, permissive=True) as opened:
                image = opened.data.astype(np.float32)
            clean = np.clip(image / np.percentile(image[image > 0], 95), 0, 1).astype(np.float32)
            for top in range(0, HEIGHT_PX - SIZE_PX + 1, STRIDE_PX):
                for left in range(0, WIDTH_PX - SIZE_PX + 1, STRIDE_PX):
                    patch = clean[top : top + SIZE_PX, left : left + SIZE_PX]
                    counts = np.random.poisson(patch * ELECTRONS_AT_ONE) / ELECTRONS_AT_ONE
                    noisy = np.clip(counts + np.random.normal(0, SIGMA, patch.shape), 0, 1).astype(np.float32)
                    inputs.write(noisy.tobytes())
                    targets.write(patch.tobytes())
        for stream in (inputs, targets):
            stream.flush()
            os.fsync(stream.fileno())


def write_alone(out_dir: Path, size_bytes: int, direct: bool) -> float:
    """Seconds to write as many bytes and flush them: into the system's cache, or past it into an allocated file."""
    block = mmap(-1, 1 << 22)  # aligned, as direct writing wants it
    block.write(np.random.default_rng(0).bytes(len(block)))
    path = out_dir / "alone.bin"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | (os.O_DIRECT if direct else 0))
    if direct:
        os.posix_fallocate(descriptor, 0, size_bytes)
    started_s = time.monotonic()
    for place in range(0, size_bytes // len(block) * len(block), len(block)):
        os.pwrite(descriptor, block, place)
    os.fsync(descriptor)
    elapsed_s = time.monotonic() - started_s
    os.close(descriptor)
    path.unlink()
    return elapsed_s


def measure(command: list[str]) -> Measured:
    """Run a command; its time, and the largest resident memory of any one of its processes."""
    started_s = time.monotonic()
    largest = 0
    with subprocess.Popen(command) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            for one in (watched, *_children(watched)):
                largest = max(largest, _resident(one))
            time.sleep(PROBE_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Measured(time.monotonic() - started_s, largest)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; the system's place for such files")
    parser.add_argument("--micrographs", type=int, default=4)
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32")
    parser.add_argument("--restate", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.restate:
        restatement(*options.restate)
        return
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        directory = Path(name)
        raw_dir, plain_dir, data_dir = (directory / part for part in ("raw", "plain", "data"))
        raw_dir.mkdir()
        plain_dir.mkdir()
        for seed in range(options.micrographs):
            make_micrograph(raw_dir / f"{seed}.mrc", seed)
        run_file = directory / "preprocess.yaml"
        run_file.write_text(yaml.safe_dump({**RUN_FILE, "dtype": options.dtype}))
        noise.add_noise(np.zeros((1, 1), np.float32), "poisson", 1, 0, noise.VECTOR_KEY)
        normalize.normalize(np.arange(4, dtype=np.float32).reshape(2, 2), "p95")
        ours = measure(
            [
                sys.executable, "-m", "cryodenoise", "preprocess", f"--parameters_file={run_file}",
                f"--raw_dir={raw_dir}", f"--data_dir={data_dir}",
            ]
        )  # fmt: skip
        size_bytes = sum(path.stat().st_size for path in data_dir.glob("*.bin"))
        for path in data_dir.iterdir():
            path.unlink()
        plain = measure([sys.executable, __file__, "--restate", str(raw_dir), str(plain_dir)])
        for path in plain_dir.iterdir():
            path.unlink()
        alone_s = {
            way: write_alone(directory, size_bytes, way == "directly") for way in ("through the cache", "directly")
        }
    print(
        f"{processor_name()}, {available_cores()} cores; {options.micrographs} micrographs, {size_bytes / 1e9:.2f} GB"
    )
    for label, run in (("numpy restatement, one process", plain), (f"cryodenoise preprocess, {options.dtype}", ours)):
        rate = options.micrographs * PATCHES / run.elapsed_s
        print(
            f"{label:36} {run.elapsed_s:7.1f} s {rate:7.1f} patches/s, "
            f"at most {run.largest_resident_bytes / 1e6:.0f} MB in a process"
        )
    for way, elapsed_s in alone_s.items():
        print(
            f"{'the same bytes alone, ' + way:36} {elapsed_s:7.1f} s {size_bytes / elapsed_s / 1e6:7.0f} MB/s, "
            f"of which preprocessing reaches {elapsed_s / ours.elapsed_s:.0%}"
        )
    print(f"ratio {plain.elapsed_s / ours.elapsed_s:.1f} (the restatement writes float32 in any case)")


if __name__ == "__main__":
    main()
