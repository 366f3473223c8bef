"""The loader alone against sequential reading of the same files: python benchmarks/loading.py --directory DIR.

Writes a training split of patches of 1024 × 1024 and reads it several times over: in the loader's shuffled order, past
the system's cache, through it while it is cold, and from it; and from beginning to end in large reads. Each way has its
turn in each round; the ratios within a round count. Wants the size of the split on the disk, and as much free memory.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from mmap import mmap
from pathlib import Path

import numpy as np
import psutil
import torch

from cryodenoise import devices
from cryodenoise.config.documents import DatasetRecord, MadeFrom, Micrograph, SampleDtype, Segment, SplitName
from cryodenoise.config.training import TrainParameters
from cryodenoise.dataset import layout, writer
from cryodenoise.dataset.loader import Loader
from cryodenoise.dataset.order import batches, shuffled
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.environment import available_cores, processor_name

SIZE_PX = 1024
BLOCK_BYTES = 16 << 20
SEQUENTIAL = ("sequential reads, directly", "sequential reads through the cache, cold")
DEFAULTS = TrainParameters()


def make_dataset(data_dir: Path, splits: dict[SplitName, int], dtype: SampleDtype) -> DatasetRecord:
    """A dataset of noise, with so many samples in each split."""
    shape = (SIZE_PX, SIZE_PX)
    training = splits["train"]
    counts: dict[layout.Stem, int] = {"train": training + splits["validation"], "test": splits["test"]}
    writer.preallocate(data_dir, writer.lengths(data_dir, counts, shape, dtype))
    image = np.random.default_rng(0).random((SIZE_PX, SIZE_PX), np.float32)
    parts: tuple[tuple[SplitName, layout.Stem, int, int], ...] = (
        ("train", "train", 0, training),
        ("validation", "train", training, splits["validation"]),
        ("test", "test", 0, splits["test"]),
    )
    segments = []
    for number, (split, stem, first, count) in enumerate(parts):
        with writer.SegmentWriter(data_dir, stem, first, shape, dtype) as segment:
            for sample in range(count):
                segment.write(np.roll(image, sample, axis=0), np.roll(image, -sample, axis=0))
        segments.append(
            Segment(
                micrograph=number, split=split, half=None, file=stem, first_sample=first,
                rows=(0, count), columns=(0, 1), sha256=segment.sha256,
            )
        )  # fmt: skip
    micrographs = [
        Micrograph(
            name=f"{number}.mrc", pixel_digest=str(number) * 64, target=None, truth=None, particles=None,
            height_px=SIZE_PX, width_px=SIZE_PX, pixel_size_angstrom=1.0, offset=0.0, scale=1.0,
        )
        for number in range(len(parts))
    ]  # fmt: skip
    record = DatasetRecord(
        format=DatasetRecord.FORMAT, format_version=DatasetRecord.VERSION,
        identity=layout.identity(dtype, shape, micrographs, segments), pairs="added_noise", dtype=dtype,
        sample_shape=shape, stride_px=SIZE_PX, held_out="micrographs", splits=layout.ranges_of_splits(segments),
        files=writer.commit_files(data_dir, segments), micrographs=micrographs, skipped=[], segments=segments,
        made_from=MadeFrom(parameters={"patches": {"stride_px": SIZE_PX}, "pairs": {"kind": "added_noise"}}),
        machine={}, source=None, environment={},
    )  # fmt: skip
    (data_dir / layout.DOCUMENT_NAME).write_text(record.dumps())
    return open_dataset(data_dir)


def forget(paths: list[Path]) -> None:
    """Take files out of the system's cache."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def read_sequentially(paths: list[Path], block: mmap, flags: int) -> int:
    """Read files from beginning to end; bytes read."""
    total = 0
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | flags)
        at = 0
        while count := os.preadv(descriptor, [block], at):
            at += count
        os.close(descriptor)
        total += at
    return total


def load(data_dir: Path, record: DatasetRecord, epoch: int, device: torch.device, direct: bool) -> int:
    """One epoch of the loader as a run file without a word about it has it; bytes read."""
    with (
        SplitReader(data_dir, record, "train", direct=direct) as reader,
        Loader(reader, device, DEFAULTS.read_ahead_mib, DEFAULTS.batch_size) as loader,
    ):
        for _ in loader.batches(batches(shuffled(reader.samples, DEFAULTS.seed, epoch), DEFAULTS.batch_size)):
            pass
        devices.synchronize(device)
        return loader.read_bytes


def measure(data_dir: Path, size_bytes: int, dtype: SampleDtype, device: torch.device, rounds: int) -> None:
    """Measure one stored type and print its table."""
    samples = max(1, size_bytes // (2 * layout.sample_bytes((SIZE_PX, SIZE_PX), dtype)))
    record = make_dataset(data_dir, {"train": samples, "validation": 1, "test": 1}, dtype)
    paths = [data_dir / layout.binary_name("train", role) for role in layout.ROLES]
    pair_bytes = 2 * layout.sample_bytes(record.sample_shape, record.dtype)
    block = mmap(-1, BLOCK_BYTES)
    block.write(bytes(BLOCK_BYTES))
    torch.zeros(1 << 20, device=device)
    ways: dict[str, tuple[bool, Callable[[int], int]]] = {
        SEQUENTIAL[0]: (True, lambda _: read_sequentially(paths, block, os.O_DIRECT)),
        SEQUENTIAL[1]: (True, lambda _: read_sequentially(paths, block, 0)),
        "loader, directly": (True, lambda epoch: load(data_dir, record, epoch, device, True)),
        "loader through the cache, cold": (True, lambda epoch: load(data_dir, record, epoch, device, False)),
        "loader, warm": (False, lambda epoch: load(data_dir, record, epoch, device, False)),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    largest = dict.fromkeys(ways, 0)
    for number in range(rounds):
        turns = list(ways)
        for way in turns[number % len(turns) :] + turns[: number % len(turns)]:
            cold, run = ways[way]
            if cold:
                forget(paths)
            else:
                read_sequentially(paths, block, 0)
            devices.choose(device.type)  # starts the memory figures anew
            resting = psutil.Process().memory_info().rss
            started_s, busy_s = time.monotonic(), time.process_time()
            read_bytes = run(number + 1)
            elapsed_s, busy_s = time.monotonic() - started_s, time.process_time() - busy_s
            rates[way].append(read_bytes / elapsed_s)
            processor[way].append(busy_s / read_bytes)
            largest[way] = max(largest[way], devices.peak_host_memory_bytes() - resting)
    print(f"{np.dtype(dtype).name}, {sum(path.stat().st_size for path in paths) / 1e9:.2f} GB")
    print(f"{'median of ' + str(rounds) + ' rounds':42}   MB/s patches/s  s/GB  over resting  of sequential")
    for way, found in rates.items():
        ratios = [
            statistics.median(one / other for one, other in zip(found, rates[base], strict=True)) for base in SEQUENTIAL
        ]
        rate = statistics.median(found)
        print(
            f"{way:42} {rate / 1e6:6.0f} {rate / pair_bytes:9.1f} {statistics.median(processor[way]) * 1e9:5.2f} "
            f"{largest[way] / 1e6:10.0f} MB  {ratios[0]:.2f} directly, {ratios[1]:.2f} through the cache",
            flush=True,
        )


def main() -> None:
    """Measure and print a table for each stored type."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, help="on the disk to measure; the system's place for such files")
    parser.add_argument("--size_gb", type=float, default=4.3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=list(layout.SAMPLE_DTYPES), action="append", help="both unless given")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    device = devices.choose(options.device)
    print(f"{processor_name()}, {available_cores()} cores, load {os.getloadavg()[0]:.1f}; {devices.name_of(device)}")
    for name in options.dtype or layout.SAMPLE_DTYPES:
        with tempfile.TemporaryDirectory(dir=options.directory) as directory:
            measure(Path(directory), int(options.size_gb * 1e9), layout.SAMPLE_DTYPES[name], device, options.rounds)


if __name__ == "__main__":
    main()
