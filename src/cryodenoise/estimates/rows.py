"""The rows of the table: sizes are computed exactly, times from a moment of the program's own work."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryodenoise import devices
from cryodenoise.config.documents import SplitName
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.dataset.layout import SAMPLE_DTYPES, ranges_of_splits, sample_bytes, samples_in_files
from cryodenoise.dataset.writer import lengths
from cryodenoise.estimates.disks import Rates
from cryodenoise.estimates.networks import Cost, cost_of_scoring, cost_of_training, seconds_of_training
from cryodenoise.estimates.preprocessing import seconds_a_patch
from cryodenoise.estimates.simulation import memory_bytes, seconds_a_micrograph
from cryodenoise.estimates.table import Row, gibibytes, size
from cryodenoise.files import partial
from cryodenoise.models import Network, parameter_count
from cryodenoise.preprocessing.memory import stacks_bytes, worker_bytes, workers_that_fit
from cryodenoise.preprocessing.plan import RawMicrograph, make_plan
from cryodenoise.ranks import Rank
from cryodenoise.simulation.graphene import pair
from cryodenoise.sources.expected import ExpectedFile

_CONNECTION_BYTES_PER_S = 1.5e6
_COPIES_IN_STATE = 5
"""Copies of the network's size in a state: the network, the best, two moments of the optimizer and an average."""


@dataclass(frozen=True)
class Samples:
    """What training and test will read."""

    counts: Mapping[SplitName, int]
    side_px: int
    sample_bytes: int
    with_truth: bool
    """Whether the test has a truth beside its targets."""


def download_row(parameters: DownloadParameters, files: Sequence[ExpectedFile], raw: Path, basis: list[str]) -> Row:
    """What `download` will take; files that are there at their length are not fetched again."""
    todo = [file for file in files if _length(raw / file.name) != file.size_bytes]
    size_bytes = sum(file.size_bytes for file in todo)
    count, left = (sum(file.role == "micrograph" for file in group) for group in (files, todo))
    there = f", {count - left} of them there already" * (left < count)
    of_stacks = sum(file.role == "stack" for file in files)
    what = f"{count} micrographs{there}" if count or not of_stacks else ""
    what += f"{' and ' * bool(what)}{of_stacks} images in stacks" if of_stacks else ""
    if parameters.synthetic:
        belonging = sum(file.role != "micrograph" for file in files)
        basis.append("download: micrographs are simulated here; part of one was, just now")
        elapsed_s = left * seconds_a_micrograph(parameters.synthetic)
        what += f" and {belonging} images that belong to them"
        memory = memory_bytes(parameters.synthetic)
        return Row("download", what, 0, size_bytes, memory_bytes=memory, elapsed_s=elapsed_s)
    if parameters.graphene and parameters.graphene.simulated:
        section = parameters.graphene.simulated
        began_s = time.perf_counter()
        pair(section, "train", 0)
        elapsed_s = len(files) / 2 * (time.perf_counter() - began_s)
        basis.append("download: images of graphene are simulated here; one pair was, just now")
        what = f"{len(files) // 2} pairs of images of {section.side_px} × {section.side_px}"
        return Row("download", what, 0, sum(file.size_bytes for file in files), elapsed_s=elapsed_s)
    if parameters.local:
        return Row("download", what, 0, size_bytes if parameters.local.place == "copy" else 0)
    connections = parameters.transfer.connections
    basis.append(
        f"download: assumed are {connections} connections of {size(_CONNECTION_BYTES_PER_S)}/s each, what EMPIAR's "
        "server at EBI was seen to give; nothing was fetched to measure it"
    )
    elapsed_s = size_bytes / (connections * _CONNECTION_BYTES_PER_S)
    return Row("download", what, size_bytes, size_bytes, elapsed_s=elapsed_s)


def preprocess_row(
    parameters: PreprocessParameters,
    micrographs: list[RawMicrograph],
    data: Path,
    place: Path,
    rates: Rates,
    basis: list[str],
) -> tuple[Row, Samples, dict[Path, int]]:
    """What `preprocess` will take, what training will find, and the files it will find it in, with their lengths.

    Args:
        parameters: The run file.
        micrographs: As far as their headers tell.
        data: Where the dataset would be.
        place: A directory on its disk, which is there.
        rates: Of that disk.
        basis: Gets a line on what the time rests on.
    """
    segments = make_plan(micrographs, parameters).segments
    side, dtype = parameters.patches.size_px, SAMPLE_DTYPES[parameters.dtype]
    counts = {split: where.samples for split, where in ranges_of_splits(segments).items()}
    with_truth = any(micrograph.candidate.truth for micrograph in micrographs)
    samples = Samples(counts, side, sample_bytes((side, side), dtype), with_truth)
    files = lengths(data, samples_in_files(segments), (side, side), dtype, with_truth)
    shared = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    what = f"{len(micrographs)} micrographs → {sum(counts.values()):,} patches of {side} × {side} ({shared})"
    todo_bytes = sum(length for path, length in files.items() if length not in (_length(path), _length(partial(path))))
    shapes = [micrograph.shape for micrograph in micrographs]
    largest_px = max(shape.height_px * shape.width_px for shape in shapes)
    kept = stacks_bytes([micrograph.candidate for micrograph in micrographs])
    a_worker = worker_bytes(largest_px, parameters, with_truth, kept)
    workers = min(workers_that_fit(largest_px, parameters, Rank(), with_truth, kept), len(micrographs))
    patch_s = seconds_a_patch(parameters, place)
    basis.append(f"preprocess: one worker took {patch_s * 1000:.1f} ms a patch, just now")
    images = max(1 + len(micrograph.candidate.others) for micrograph in micrographs)
    raw_bytes = images * sum(4 * shape.height_px * shape.width_px for shape in shapes)
    by_processor = sum(counts.values()) * patch_s / workers
    by_disk = sum(files.values()) / rates.written + raw_bytes / rates.read
    memory = f"{workers} × {gibibytes(a_worker)}"
    row = Row("preprocess", what, 0, todo_bytes, workers * a_worker, memory, max(by_processor, by_disk))
    return row, samples, files


def train_row(
    parameters: TrainParameters, network: Network, samples: Samples, rates: Rates, basis: list[str], trainings: int
) -> Row:
    """What `train` will take for so many trainings, one after the other; reading and computing overlap."""
    epochs, counts, pair_bytes = parameters.epochs, samples.counts, 2 * samples.sample_bytes
    device = devices.choose(parameters.device, parameters.deterministic, parameters.tf32)
    cost = cost_of_training(parameters, network, samples.side_px, device)
    visited = trainings * epochs * (counts["train"] + counts["validation"])
    what = f"{trainings} trainings of " * (trainings > 1) + (
        f"{epochs} epochs of {counts['train']:,} patches and {counts['validation']:,} for validation: reads "
        f"{size(visited * pair_bytes)}"
    )
    weights = parameter_count(network.build())
    computing_s = trainings * seconds_of_training(cost, epochs, counts["train"], counts["validation"])
    elapsed_s = max(computing_s, visited * pair_bytes / rates.read)
    basis.append(f"train: {cost.patches_per_s:.1f} patches/s on {cost.device}, just now")
    disk_bytes = trainings * bytes_of_states(parameters, weights)
    return Row("train", what, 0, disk_bytes, cost.host_bytes, _memory(cost), elapsed_s)


def bytes_of_states(parameters: TrainParameters, weights: int) -> int:
    """What a training's folder holds: states that are kept, one more while it is written, and the best weights."""
    return 4 * weights * (_COPIES_IN_STATE * (parameters.checkpoints.keep_last + 1) + 1)


def test_row(parameters: TestParameters, network: Network, samples: Samples, rates: Rates, basis: list[str]) -> Row:
    """What `test` will take: two passes over its patches."""
    count = samples.counts["test"]
    cost = cost_of_scoring(parameters, network, samples.side_px, samples.with_truth)
    read_bytes = 2 * count * (2 + samples.with_truth) * samples.sample_bytes
    elapsed_s = max(count / cost.patches_per_s, read_bytes / rates.read)
    basis.append(f"test: {cost.patches_per_s:.1f} patches/s on {cost.device}, just now")
    what = f"{count:,} patches, twice: reads {size(read_bytes)}"
    return Row("test", what, 0, 0, cost.host_bytes, _memory(cost), elapsed_s)


def _memory(cost: Cost) -> str:
    on_device = "" if cost.device_bytes is None else f" + {gibibytes(cost.device_bytes)} GPU"
    return gibibytes(cost.host_bytes) + on_device


def _length(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
