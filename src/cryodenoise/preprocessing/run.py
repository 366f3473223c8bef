"""Preprocessing: each micrograph is read once, normalised, cut, given its noise and written to its place."""

import multiprocessing
import os
import threading
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from cryodenoise import seeds
from cryodenoise.config.documents import DownloadRecord, Micrograph, Segment
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.config.schema import Schema
from cryodenoise.console import Console
from cryodenoise.dataset.writer import append_journal, read_journal, write_segment
from cryodenoise.environment import available_cores
from cryodenoise.errors import InputError, UserError
from cryodenoise.interruption import held_back
from cryodenoise.micrographs import mrc
from cryodenoise.preprocessing.plan import Plan, PlannedSegment, RawMicrograph
from cryodenoise.signal import noise
from cryodenoise.signal.normalize import normalize
from cryodenoise.signal.tiles import patches

_PROCESS_BYTES = 100 << 20  # what a worker takes without a micrograph


class Written(Schema):
    """A micrograph that is on the disk, whole: one line of the journal."""

    index: int
    """Number of the micrograph, in order of names."""
    micrograph: Micrograph
    """What dataset.json will say of it."""
    segments: list[Segment]
    """What dataset.json will say of its samples."""


def write_micrographs(
    plan: Plan,
    micrographs: list[RawMicrograph],
    parameters: PreprocessParameters,
    data_dir: Path,
    console: Console,
) -> list[Written]:
    """Write the samples of all micrographs that the journal does not hold yet.

    Returns:
        What was written, now and before, in the order of the micrographs.

    Raises:
        InputError: If a micrograph is unsound, not the one that was downloaded, there twice, or its normalisation
            degenerates.
        UserError: If a worker was ended from outside.
    """
    done = {entry.index: entry for entry in map(Written.model_validate_json, read_journal(data_dir))}
    if done:
        console.say(f"going on after {len(done)} of {len(micrographs)} micrographs")
    by_micrograph: list[list[PlannedSegment]] = [[] for _ in micrographs]
    for segment in plan.segments:
        by_micrograph[segment.micrograph].append(segment)
    todo = [index for index in range(len(micrographs)) if index not in done]
    jobs = [(index, micrographs[index], by_micrograph[index], parameters, data_dir) for index in todo]
    workers = min(parameters.workers or _workers_that_fit(micrographs), len(jobs))
    with (
        console.progress("preprocess", len(micrographs), "micrographs", done=len(done)) as advance,
        closing(_work_off(jobs, workers)) as results,
    ):
        for written in results:
            _require_distinct(written.micrograph, done)
            append_journal(data_dir, written.model_dump_json())
            done[written.index] = written
            advance(1)
    return [done[index] for index in range(len(micrographs))]


def _require_distinct(found: Micrograph, done: dict[int, Written]) -> None:
    """The same pixels twice, whatever the headers say, could be both trained on and held out."""
    for other in done.values():
        if other.micrograph.pixel_digest == found.pixel_digest:
            raise InputError(f"{found.name}: the same micrograph as {other.micrograph.name}: remove one of them")


def _workers_that_fit(micrographs: list[RawMicrograph]) -> int:
    """One process a core, as far as the free memory goes; a process takes some four times its micrograph."""
    largest_bytes = max(4 * raw.header.height_px * raw.header.width_px for raw in micrographs)
    fitting = psutil.virtual_memory().available // (4 * largest_bytes + _PROCESS_BYTES)
    return max(1, min(available_cores(), fitting))


Job = tuple[int, RawMicrograph, list[PlannedSegment], PreprocessParameters, Path]


def _work_off(jobs: list[Job], workers: int) -> Generator[Written, None, None]:
    """Results as they come; with one worker in this process, else in processes that end with this one."""
    if workers <= 1:
        yield from (write_micrograph(*job) for job in jobs)
        return
    context = multiprocessing.get_context("spawn")
    life, keep_alive = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, initializer=_serve, initargs=(life,))
    try:
        with held_back():  # and, for good, in the workers that start here
            pending: set[Future[Written]] = {pool.submit(write_micrograph, *job) for job in jobs}
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in finished)
        pool.shutdown()
    except BrokenProcessPool as error:
        raise UserError(
            f"workers: one of {workers} processes was ended from outside, often for lack of memory: set fewer in the "
            "run file and run again"
        ) from error
    finally:
        keep_alive.close()
        pool.shutdown(cancel_futures=True)
        life.close()


def _serve(life: Connection) -> None:
    """In a worker: end at once when the parent stops holding the other end of `life`; signals are the parent's.

    The kernel lets go of that end whatever way the parent ends, so no worker outlives a killed parent.
    """

    def end_with_parent() -> None:
        life.poll(None)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


def write_micrograph(
    index: int,
    raw: RawMicrograph,
    segments: list[PlannedSegment],
    parameters: PreprocessParameters,
    data_dir: Path,
) -> Written:
    """Read one micrograph and write its samples; the noise of a patch depends on seed, pixels and position alone."""
    image = mrc.read(raw.path)
    digest = mrc.pixel_digest(image)
    if raw.expected_digest not in (None, digest):
        raise InputError(f"{raw.path}: its pixels are not those that download.json names: {DownloadRecord.remedy()}")
    try:
        image, scaling = normalize(image, parameters.normalization)
    except InputError as error:
        raise InputError(f"{raw.path}: {error}") from error
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    settings = parameters.noise
    add_noise = noise.MODELS[settings.model]
    written = []
    for segment in segments:
        grid = list(patches(image, size, stride, segment.rows, segment.columns))
        noisy = (
            add_noise(
                patch, settings.electrons_at_one, settings.sigma, seeds.generator(settings.seed, "noise", digest, y, x)
            )
            for y, x, patch in grid
        )
        place = (data_dir, segment.file)
        sha256 = {
            "input": write_segment(*place, "input", segment.first_sample, noisy),
            "target": write_segment(*place, "target", segment.first_sample, (patch for _, _, patch in grid)),
        }
        written.append(
            Segment(
                micrograph=index,
                split=segment.split,
                file=segment.file,
                first_sample=segment.first_sample,
                rows=segment.rows,
                columns=segment.columns,
                sha256=sha256,  # type: ignore[arg-type]
            )
        )
    micrograph = Micrograph(
        name=raw.path.name,
        pixel_digest=digest,
        height_px=raw.header.height_px,
        width_px=raw.header.width_px,
        pixel_size_angstrom=parameters.pixel_size_angstrom or raw.header.pixel_size_angstrom,
        offset=scaling.offset,
        scale=scaling.scale,
    )
    return Written(index=index, micrograph=micrograph, segments=written)
