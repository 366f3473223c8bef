"""Preprocessing: each micrograph is read, normalised, cut, given its noise and written to its place."""

from collections.abc import Callable, Iterable
from pathlib import Path

from cryodenoise.config.documents import Micrograph, Segment
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.dataset.layout import SAMPLE_DTYPES, roles_of
from cryodenoise.dataset.writer import SegmentWriter, reopen
from cryodenoise.errors import InputError
from cryodenoise.preprocessing.headers import read_particles
from cryodenoise.preprocessing.images import read_images
from cryodenoise.preprocessing.memory import workers_for
from cryodenoise.preprocessing.plan import Plan, PlannedSegment, RawMicrograph
from cryodenoise.preprocessing.samples import samples
from cryodenoise.preprocessing.sharing import Line, Site, Work, all_noted, noted, share_out


class Written(Line):
    """A micrograph that is on the disk, whole."""

    micrograph: Micrograph
    """What dataset.json will say of it."""
    segments: list[Segment]
    """What dataset.json will say of its samples."""
    digests: tuple[str, ...]
    """Digests that no other micrograph may have."""


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
            and [_place(segment) for segment in line.segments] == [_place(segment) for segment in of_each[line.number]]
        )

    work = Work("preprocess", "", write_micrograph, jobs, is_valid, _distinct)
    if site.rank.first and len(noted(Written, work, site)) < len(jobs):
        reopen(files)
    candidates = [micrograph.candidate for micrograph in plan.micrographs]
    share_out(Written, work, workers_for(candidates, parameters, site.rank), site)
    return all_noted(Written, work, site) if site.rank.first else None


def _place(segment: Segment | PlannedSegment) -> tuple[object, ...]:
    return segment.split, segment.half, segment.first_sample, segment.rows, segment.columns


def _distinct() -> Callable[[Written], None]:
    """The same pixels twice, whatever the headers say, could be both trained on and held out."""
    with_digest: dict[str, Written] = {}

    def require(entry: Written) -> None:
        for digest in entry.digests:
            other = with_digest.setdefault(digest, entry)
            if other.number == entry.number:
                continue
            first, second = sorted((other, entry), key=lambda written: written.number)
            images = (second.micrograph.target, second.micrograph.truth)
            by = [f", going by {image.name}" for image in images if image and image.pixel_digest == digest]
            raise InputError(
                f"{second.micrograph.name}: the same micrograph as {first.micrograph.name}{''.join(by)}: remove one of "
                "them"
            )

    return require


def write_micrograph(
    number: int, raw: RawMicrograph, segments: list[PlannedSegment], parameters: PreprocessParameters, data_dir: Path
) -> Written:
    """Read one micrograph and write its samples."""
    images = read_images(raw.candidate, parameters)
    if images.image.shape != (raw.shape.height_px, raw.shape.width_px):
        raise InputError(
            f"{raw.candidate.source.place}: another image than a moment ago: let nothing write there, run again"
        )
    sample_shape, dtype = (parameters.patches.size_px, parameters.patches.size_px), SAMPLE_DTYPES[parameters.dtype]
    written = []
    for segment in segments:
        roles = roles_of(segment.file, images.truth is not None)
        with SegmentWriter(data_dir, segment.file, segment.first_sample, sample_shape, dtype, roles) as writer:
            for sample in samples(images, segment, parameters):
                writer.write(*sample)
        written.append(
            Segment(
                micrograph=number,
                split=segment.split,
                half=segment.half,
                file=segment.file,
                first_sample=segment.first_sample,
                rows=segment.rows,
                columns=segment.columns,
                sha256=writer.sha256,
            )
        )
    micrograph = Micrograph(
        name=raw.candidate.name,
        pixel_digest=images.image_digest,
        target=images.target_source,
        truth=images.truth_source,
        particles=read_particles(raw.candidate, raw.shape),
        height_px=raw.shape.height_px,
        width_px=raw.shape.width_px,
        pixel_size_angstrom=parameters.pixel_size_angstrom or raw.shape.pixel_size_angstrom,
        offset=images.scalings[0].offset,
        scale=images.scalings[0].scale,
    )
    digests = images.digests if images.truth_digest is None else (*images.digests, images.truth_digest)
    return Written(number=number, micrograph=micrograph, segments=written, digests=digests)
