"""Preprocessing: each micrograph is read, normalised, cut, given its noise and written to its place."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from cryodenoise.config.documents import Micrograph, Segment
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import SAMPLE_DTYPES
from cryodenoise.dataset.writer import SegmentWriter, reopen
from cryodenoise.errors import InputError
from cryodenoise.preprocessing.images import read_images
from cryodenoise.preprocessing.memory import workers_for
from cryodenoise.preprocessing.plan import Plan, PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.sharing import Line, Site, Work, all_noted, noted, share_out
from cryodenoise.signal import noise
from cryodenoise.signal.tiles import patches


class Written(Line):
    """A micrograph that is on the disk, whole."""

    micrograph: Micrograph
    """What dataset.json will say of it."""
    segments: list[Segment]
    """What dataset.json will say of its samples."""


def write_micrographs(
    plan: Plan, parameters: PreprocessParameters, files: Iterable[Path], site: Site
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
        (number, micrograph, of_each[number], parameters, site.data_dir)
        for number, micrograph in enumerate(plan.micrographs)
    ]

    def is_valid(line: Written) -> bool:
        """Whether it tells of the plan's micrograph and places: what an earlier run left out may be mended."""
        return (
            line.number < len(jobs)
            and line.micrograph.name == plan.micrographs[line.number].candidate.name
            and [(segment.split, segment.first_sample, segment.rows, segment.columns) for segment in line.segments]
            == [
                (segment.split, segment.first_sample, segment.rows, segment.columns) for segment in of_each[line.number]
            ]
        )

    work = Work("preprocess", "", write_micrograph, jobs, is_valid, _require_distinct)
    if site.rank.first and len(noted(Written, work, site)) < len(jobs):
        reopen(files)
    candidates = [micrograph.candidate for micrograph in plan.micrographs]
    share_out(Written, work, workers_for(candidates, parameters, site.rank), site)
    return all_noted(Written, work, site) if site.rank.first else None


def _require_distinct(written: Mapping[int, Written]) -> None:
    """The same pixels twice, whatever the headers say, could be both trained on and held out."""
    first_with: dict[str, str] = {}
    for _, entry in sorted(written.items()):
        micrograph = entry.micrograph
        for digest in (micrograph.pixel_digest, *([micrograph.clean.pixel_digest] if micrograph.clean else [])):
            twin = first_with.setdefault(digest, micrograph.name)
            if twin != micrograph.name:
                raise InputError(f"{micrograph.name}: the same micrograph as {twin}: remove one of them")


def write_micrograph(
    number: int, raw: RawMicrograph, segments: list[PlannedSegment], parameters: PreprocessParameters, data_dir: Path
) -> Written:
    """Read one micrograph and write its samples; the noise of a patch depends on seed, pixels and position alone."""
    images = read_images(raw.candidate, parameters)
    if images.image.shape != (raw.shape.height_px, raw.shape.width_px):
        raise InputError(f"{raw.candidate.path}: another image than a moment ago: let nothing write there, run again")
    size, stride = parameters.patches.size_px, parameters.patches.stride_px
    settings, dtype = parameters.noise, SAMPLE_DTYPES[parameters.dtype]
    noisy = np.empty((size, size), np.float32)
    written = []
    for segment in segments:
        with SegmentWriter(data_dir, segment.file, segment.first_sample, noisy.shape, dtype) as writer:
            for y, x, patch in patches(images.image, size, stride, segment.rows, segment.columns):
                if images.clean is None:
                    key = noise.key_of(settings.seed, images.digests[0], y, x)
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
        pixel_digest=images.digests[0],
        clean=images.clean_source,
        height_px=raw.shape.height_px,
        width_px=raw.shape.width_px,
        pixel_size_angstrom=parameters.pixel_size_angstrom or raw.shape.pixel_size_angstrom,
        offset=images.scaling.offset,
        scale=images.scaling.scale,
    )
    return Written(number=number, micrograph=micrograph, segments=written)
