"""Many micrographs through a denoiser: read, computed and written at once, and noted when they are on the disk."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.denoising import DenoisedFile, DenoiseParameters, HalvesFound
from cryodenoise.errors import InputError, UserError
from cryodenoise.files import sha256_of, write_atomically
from cryodenoise.inference import halves
from cryodenoise.inference.jobs import (
    PREVIEWS,
    Job,
    Unusable,
    halves_stamp,
    note,
    pixel_size,
    pixel_size_told,
    preview_path,
    stamp,
)
from cryodenoise.inference.micrograph import Denoised, Denoiser, denoise
from cryodenoise.inference.overlap import overlapped
from cryodenoise.micrographs.faithful import write_denoised
from cryodenoise.signal.normalize import scaled

Preview = Callable[[str, np.ndarray, np.ndarray, float | None], bytes]
"""Title, an image before and after, and its pixel size in Å → a PNG file."""


@dataclass(frozen=True)
class Run:
    """What is the same for all micrographs.

    Attributes:
        denoiser: What denoises.
        parameters: The run file.
        output_dir: Gets the denoised micrographs.
        label: What a file's header says of its origin.
        halves_tile_px: As `halves.figures` takes it; None without halves.
        preview: Draws a micrograph; None draws none.
        unusable: Takes those that cannot be used.
    """

    denoiser: Denoiser
    parameters: DenoiseParameters
    output_dir: Path
    label: str
    halves_tile_px: int | None
    preview: Preview | None
    unusable: Unusable


def denoise_all(jobs: Sequence[Job], run: Run) -> None:
    """Denoise micrographs; each is noted in the journal as soon as it is on the disk.

    Args:
        jobs: What is to be denoised.
        run: How.

    Raises:
        UserError: If one cannot be used and none may be left out.
        OSError: If a file cannot be written.
    """
    if run.preview:
        (run.output_dir / PREVIEWS).mkdir(exist_ok=True)
    overlapped(
        jobs,
        lambda job: _read(job, run),
        lambda job, content: _compute(job, content, run),
        lambda job, result: _write(job, result, run),
    )


@dataclass(frozen=True)
class _Content:
    """A micrograph that was read; a stack whose images are denoised one by one is not yet."""

    stamp: str
    image: np.ndarray | None


@dataclass(frozen=True)
class _Result:
    """A denoised micrograph, before it is written."""

    stamp: str
    image: np.ndarray
    denoised: Denoised
    halves: HalvesFound | None


def _read(job: Job, run: Run) -> _Content:
    before = stamp(job.given.path)
    one_by_one = job.images(run.parameters.stacks) > 1
    return _Content(before, None if one_by_one else micrographs.read(job.given.path))


def _compute(job: Job, content: Callable[[], _Content], run: Run) -> _Result | None:
    """A denoised micrograph; None of one that is left out, or whose images were written one by one."""
    try:
        read = content()
    except (UserError, OSError) as error:
        run.unusable.leave_out(job.given.path, error)
        return None
    try:
        with _named(job.given.path):
            if read.image is None:
                _denoise_stack(job, read.stamp, run)
                return None
            return _Result(read.stamp, read.image, _denoised(job, read.image, run), _halves(job, run))
    except InputError as error:
        run.unusable.leave_out(job.given.path, error)
        return None


def _denoised(job: Job, image: np.ndarray, run: Run) -> Denoised:
    return denoise(image, run.denoiser, pixel_size(job, run.parameters))


def _halves(job: Job, run: Run) -> HalvesFound | None:
    """What its halves tell, each denoised as the micrograph is, under the map of intensities of the even one."""
    if job.halves is None or run.halves_tile_px is None:
        return None
    try:
        even, odd = (micrographs.read(path) for path in job.halves)
    except (UserError, OSError) as error:
        raise InputError(str(error)) from error
    with _named(job.halves[1]):
        halves.require_halves(even, odd)
    of_even, of_odd = (_denoised(job, half, run) for half in (even, odd))
    images = even, odd, of_even.image, of_odd.image
    a, b, of_a, of_b = (scaled(image, of_even.scaling, out=image) for image in images)
    return halves.figures(a, b, of_a, of_b, run.halves_tile_px, run.denoiser.device)


def _denoise_stack(job: Job, stamped: str, run: Run) -> None:
    """Denoise and write the images of a stack one by one."""
    first: tuple[np.ndarray, Denoised] | None = None
    told: list[str] = []
    digests: list[str] = []
    shape = job.header.height_px, job.header.width_px

    def images() -> Iterator[np.ndarray]:
        nonlocal first
        for image in micrographs.read_images(job.given.path):
            denoised = _denoised(job, image, run)
            first = first or (image, denoised)
            told.extend(warning for warning in denoised.warnings if warning not in told)
            digests.append(micrographs.pixel_digest(image))
            yield denoised.image

    write_denoised(
        run.output_dir / job.given.name,
        images(),
        job.given.path,
        pixel_size_told(job, run.parameters),
        run.parameters.mode,
        run.label,
    )
    assert first
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    of_first = replace(first[1], warnings=told)
    _finish(job, _Made(stamped, digest, len(digests), shape, first[0], of_first, None), run)


def _write(job: Job, result: _Result, run: Run) -> None:
    """Write a denoised micrograph, then note it."""
    image, denoised = result.image, result.denoised
    path = run.output_dir / job.given.name
    try:
        write_denoised(
            path, denoised.image, job.given.path, pixel_size_told(job, run.parameters), run.parameters.mode, run.label
        )
    except InputError as error:  # its intensities do not fit into the type
        run.unusable.leave_out(job.given.path, error)
        return
    digest = micrographs.pixel_digest(image)
    _finish(job, _Made(result.stamp, digest, 1, image.shape, image, denoised, result.halves), run)


@dataclass(frozen=True)
class _Made:
    """What is to be noted of a file that was written: `before` and `denoised` are its first image."""

    stamp: str
    pixel_digest: str
    images: int
    shape: tuple[int, ...]
    before: np.ndarray
    denoised: Denoised
    halves: HalvesFound | None


def _finish(job: Job, made: _Made, run: Run) -> None:
    """Draw the preview of a file that was written, and note the file."""
    path, size, denoised = run.output_dir / job.given.name, pixel_size(job, run.parameters), made.denoised
    if run.preview:
        drawn = run.preview(job.given.path.name, made.before, denoised.image, size)
        write_atomically(preview_path(run.output_dir, job.given.name), drawn)
    file = DenoisedFile(
        source=str(job.given.path),
        stamp=made.stamp,
        pixel_digest=made.pixel_digest,
        name=job.given.name,
        size_bytes=path.stat().st_size,
        sha256=sha256_of(path),
        images=made.images,
        height_px=made.shape[0],
        width_px=made.shape[1],
        pixel_size_angstrom=size,
        offset=denoised.scaling.offset,
        scale=denoised.scaling.scale,
        warnings=denoised.warnings,
        halves=made.halves,
        halves_stamp=halves_stamp(job),
    )
    note(file, run.output_dir)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Tell which file an error is about."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{path}") else f"{path}: {text}") from error
