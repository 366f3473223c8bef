"""Preprocessing: each micrograph is read, normalised, cut, given its noise and written to its place.

Micrographs are shared among the workers of a process, and among the processes of a run (`ranks`). What is on the disk,
whole, is noted in journals; work that is run again goes on from there.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import psutil

from cryodenoise.config.documents import Micrograph, Segment, Skipped
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.config.schema import Schema
from cryodenoise.console import Console
from cryodenoise.dataset.layout import SAMPLE_DTYPES
from cryodenoise.dataset.writer import SegmentWriter, append_journal, read_journals
from cryodenoise.environment import available_cores
from cryodenoise.errors import InputError, UserError
from cryodenoise.preprocessing.images import (
    AlteredError,
    Candidate,
    largest_images_bytes,
    read_images,
    read_shape,
)
from cryodenoise.preprocessing.plan import Plan, PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.workers import work_off
from cryodenoise.ranks import Rank, wait_until
from cryodenoise.signal import noise
from cryodenoise.signal.tiles import patches

_PROCESS_BYTES = 200 << 20  # what a worker takes without a micrograph


class Seen(Schema):
    """A micrograph that was read to see whether it can be used: one line of a journal."""

    kind: Literal["seen"]
    number: int
    """Number of the candidate, in order of names."""
    pixel_digest: str | None
    """Digest of its pixels; null if it cannot be used."""
    reason: str | None
    """Why it cannot be used."""


class Written(Schema):
    """A micrograph that is on the disk, whole: one line of a journal."""

    kind: Literal["written"]
    number: int
    """Number of the micrograph, in order of names."""
    micrograph: Micrograph
    """What dataset.json will say of it."""
    segments: list[Segment]
    """What dataset.json will say of its samples."""


Line = TypeVar("Line", Seen, Written)


def sort_out(
    candidates: Sequence[Candidate], parameters: PreprocessParameters, data_dir: Path, rank: Rank, console: Console
) -> tuple[list[RawMicrograph], list[Skipped]]:
    """The micrographs that can be used, and those that are left out.

    With `on_bad_micrograph: skip` all are read once for that, by all processes: where the samples of a micrograph go
    depends on which others there are.

    Raises:
        UserError: If a micrograph cannot be used and none may be left out, or none is left.
    """
    if parameters.on_bad_micrograph == "error":
        return [RawMicrograph(candidate, read_shape(candidate, parameters)) for candidate in candidates], []
    jobs = [(number, candidate, parameters) for number, candidate in enumerate(candidates)]
    _share_out("check", Seen, _see, jobs, _workers(candidates, parameters, rank), data_dir, rank, console)
    _wait_for_all(Seen, len(jobs), data_dir)
    seen = _noted(Seen, data_dir)
    usable: list[RawMicrograph] = []
    skipped: list[Skipped] = []
    first_with: dict[str | None, str] = {}
    for number, candidate in enumerate(candidates):
        entry = seen[number]
        twin = first_with.get(entry.pixel_digest) if entry.reason is None else None
        if entry.reason is not None or twin is not None:
            skipped.append(Skipped(name=candidate.name, reason=entry.reason or f"the same micrograph as {twin}"))
        else:
            first_with[entry.pixel_digest] = candidate.name
            usable.append(RawMicrograph(candidate, read_shape(candidate, parameters)))
    for left_out in skipped:
        console.say(f"left out: {left_out.name}: {left_out.reason}")
    if not usable:
        raise InputError("on_bad_micrograph: not one micrograph can be used, see the reasons above: add others")
    return usable, skipped


def write_micrographs(
    plan: Plan, parameters: PreprocessParameters, data_dir: Path, rank: Rank, console: Console
) -> list[Written] | None:
    """Write the samples of all micrographs that no journal holds yet, as far as this process has a share in them.

    Returns:
        What was written, now and before, in the order of the micrographs; None in a process that does not finish
        the work.

    Raises:
        InputError: If a micrograph is unsound, not the one that was downloaded, there twice, or its normalisation
            degenerates.
        UserError: If a worker was ended from outside, or another process does not go on.
    """
    of_each: list[list[PlannedSegment]] = [[] for _ in plan.micrographs]
    for segment in plan.segments:
        of_each[segment.micrograph].append(segment)
    jobs = [
        (number, micrograph, of_each[number], parameters, data_dir)
        for number, micrograph in enumerate(plan.micrographs)
    ]
    workers = _workers([micrograph.candidate for micrograph in plan.micrographs], parameters, rank)
    _share_out("preprocess", Written, _write, jobs, workers, data_dir, rank, console)
    if not rank.first:
        return None
    _wait_for_all(Written, len(jobs), data_dir)
    written = _noted(Written, data_dir)
    _require_distinct(written.values())
    return [written[number] for number in range(len(jobs))]


def _share_out(
    label: str,
    kind: type[Line],
    function: Callable[..., Line],
    jobs: Sequence[tuple[Any, ...]],
    workers: int,
    data_dir: Path,
    rank: Rank,
    console: Console,
) -> None:
    """Do this process's share of the jobs that are not noted yet, and note each when it is done."""
    done = _noted(kind, data_dir)
    share = [number for number in range(len(jobs)) if number % rank.world == rank.rank]
    todo = [number for number in share if number not in done]
    if len(todo) < len(share):
        console.say(f"{label}: going on after {len(share) - len(todo)} of {len(share)} micrographs")
    with (
        console.progress(label, len(share), "micrographs", done=len(share) - len(todo)) as advance,
        closing(work_off(function, [jobs[number] for number in todo], workers)) as results,
    ):
        for line in results:
            done[line.number] = line
            if isinstance(line, Written):
                _require_distinct(done.values())
            append_journal(data_dir, rank.rank, line.model_dump_json())
            advance(1)


def _noted(kind: type[Line], data_dir: Path) -> dict[int, Line]:
    """What the journals hold of one kind, by number."""
    lines = (line for line in read_journals(data_dir) if line.startswith(_beginning(kind)))
    return {line.number: line for line in map(kind.model_validate_json, lines)}


def _beginning(kind: type[Schema]) -> bytes:
    """How a line of this kind begins: its first field is `kind`."""
    return f'{{"kind":"{kind.__name__.lower()}"'.encode()


def _wait_for_all(kind: type[Line], count: int, data_dir: Path) -> None:
    """Wait until the journals of all processes together are complete."""

    def noted() -> int:
        return sum(line.startswith(_beginning(kind)) for line in read_journals(data_dir))

    wait_until(lambda: len(_noted(kind, data_dir)) == count, noted, "the other processes' micrographs")


def _require_distinct(written: Iterable[Written]) -> None:
    """The same pixels twice, whatever the headers say, could be both trained on and held out."""
    first_with: dict[str, str] = {}
    for micrograph in sorted((entry.micrograph for entry in written), key=lambda micrograph: micrograph.name):
        twin = first_with.setdefault(micrograph.pixel_digest, micrograph.name)
        if twin != micrograph.name:
            raise InputError(f"{micrograph.name}: the same micrograph as {twin}: remove one of them")


def _workers(candidates: Sequence[Candidate], parameters: PreprocessParameters, rank: Rank) -> int:
    return workers_for(worker_bytes(largest_images_bytes(candidates, parameters)), parameters, rank)


def worker_bytes(images_bytes: int) -> int:
    """Memory that a worker takes whose largest images take so much."""
    return _PROCESS_BYTES + images_bytes


def workers_for(worker_bytes: int, parameters: PreprocessParameters, rank: Rank) -> int:
    """Processes: one a core of this machine, as far as its free memory goes."""
    if parameters.workers:
        return parameters.workers
    fitting = psutil.virtual_memory().available // worker_bytes
    return max(1, min(available_cores(), fitting) // rank.local_world)


def _see(number: int, candidate: Candidate, parameters: PreprocessParameters) -> Seen:
    """Read a micrograph to see whether it can be used."""
    digest, reason = None, None
    try:
        read_shape(candidate, parameters)
        digest = read_images(candidate, parameters).pixel_digest
    except AlteredError:
        raise
    except UserError as error:
        reason = str(error).removeprefix(f"{candidate.path}: ")
    return Seen(kind="seen", number=number, pixel_digest=digest, reason=reason)


def _write(
    number: int, raw: RawMicrograph, segments: list[PlannedSegment], parameters: PreprocessParameters, data_dir: Path
) -> Written:
    """Read one micrograph and write its samples; the noise of a patch depends on seed, pixels and position alone."""
    images = read_images(raw.candidate, parameters)
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    settings, dtype = parameters.noise, SAMPLE_DTYPES[parameters.dtype]
    noisy = np.empty((size, size), np.float32)
    written = []
    for segment in segments:
        with SegmentWriter(data_dir, segment.file, segment.first_sample, noisy.shape, dtype) as writer:
            for y, x, patch in patches(images.image, size, stride, segment.rows, segment.columns):
                if images.clean is None:
                    key = noise.key_of(settings.seed, images.pixel_digest, y, x)
                    noise.add_noise(patch, settings.model, settings.electrons_at_one, settings.sigma, key, noisy)
                    writer.write(noisy, patch)
                else:
                    writer.write(patch, images.clean[y : y + size, x : x + size])
        written.append(
            Segment(
                micrograph=number,
                split=segment.split,
                file=segment.file,
                first_sample=segment.first_sample,
                rows=segment.rows,
                columns=segment.columns,
                sha256=writer.sha256,
            )
        )
    micrograph = Micrograph(
        name=raw.candidate.name,
        pixel_digest=images.pixel_digest,
        clean=images.clean_source,
        height_px=raw.shape.height_px,
        width_px=raw.shape.width_px,
        pixel_size_angstrom=parameters.pixel_size_angstrom or raw.shape.pixel_size_angstrom,
        offset=images.scaling.offset,
        scale=images.scaling.scale,
    )
    return Written(kind="written", number=number, micrograph=micrograph, segments=written)
