"""What is to be denoised, and what of it is done: the journal of the output folder."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cryodenoise import micrographs
from cryodenoise.claims import JOURNAL_NAME
from cryodenoise.config.denoising import DenoisedFile, DenoiseParameters, LeftOut
from cryodenoise.errors import UserError
from cryodenoise.inference.inputs import Input, Stacks
from cryodenoise.micrographs import Header

PREVIEWS = "previews"
LEAST_HALF_PX = 16
"""Sides of halves whose correlation in Fourier rings tells anything."""


@dataclass(frozen=True)
class Job:
    """A micrograph that is to be denoised.

    Attributes:
        given: Its files.
        header: What its file says of its images.
    """

    given: Input
    header: Header

    @property
    def halves(self) -> tuple[Path, Path] | None:
        """The sums of its even and odd frames, if they were given."""
        return (self.given.even, self.given.odd) if self.given.even and self.given.odd else None

    def images(self, stacks: Stacks) -> int:
        """How many images of it are denoised, and written."""
        return self.header.frames if stacks == "each" else 1


class Unusable:
    """Micrographs that cannot be used: left out, or the end of the run.

    Attributes:
        left_out: Those so far.
    """

    def __init__(self, policy: str, tell: Callable[[str], None]) -> None:
        """Keep to a run file's `on_bad_micrograph`; `tell` takes a line for the user."""
        self.left_out: list[LeftOut] = []
        self._policy = policy
        self._tell = tell

    def leave_out(self, path: Path, error: UserError | OSError) -> None:
        """Leave a micrograph out.

        Raises:
            UserError: If the run file says to stop.
        """
        reason = _reason(path, error)
        if self._policy == "error":
            raise UserError(f"{path}: {reason} (`--on_bad_micrograph skip` leaves out what cannot be used)") from error
        self.left_out.append(LeftOut(source=str(path), reason=reason))
        self._tell(f"left out: {path}: {reason}")


def _reason(path: Path, error: UserError | OSError) -> str:
    if isinstance(error, OSError):
        of_another = f"{error.filename}: " if error.filename not in (None, str(path), path) else ""
        return f"{of_another}cannot be read: {error.strerror}"
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path}, ")


def sound(given: Sequence[Input], unusable: Unusable) -> list[Job]:
    """The micrographs whose headers are sound: what is wrong with others is told before the first is denoised.

    Raises:
        UserError: If none is left.
    """
    jobs = []
    for each in given:
        try:
            header = micrographs.read_header(each.path)
            if each.even and min(header.height_px, header.width_px) < LEAST_HALF_PX:
                raise UserError(f"{each.path}: its halves are smaller than {LEAST_HALF_PX} pixels: give none")
            for half in filter(None, (each.even, each.odd)):
                found = micrographs.read_header(half)
                if (found.height_px, found.width_px) != (header.height_px, header.width_px):
                    raise UserError(
                        f"{half}: {found.height_px} × {found.width_px} pixels, the micrograph {header.height_px} × "
                        f"{header.width_px}: give its own halves"
                    )
            jobs.append(Job(each, header))
        except (UserError, OSError) as error:
            unusable.leave_out(each.path, error)
    if not jobs:
        raise UserError("not one micrograph can be used, see the reasons above: give others")
    return jobs


def pixel_size_told(job: Job, parameters: DenoiseParameters) -> float | None:
    """Pixel size of a micrograph in Å that the run file or a STAR file gives; None leaves it to the header."""
    return parameters.pixel_size_angstrom or job.given.pixel_size_angstrom


def pixel_size(job: Job, parameters: DenoiseParameters) -> float | None:
    """Pixel size of a micrograph in Å: what it is told to be, else what its header says."""
    return pixel_size_told(job, parameters) or job.header.pixel_size_angstrom


def stamp(path: Path) -> str:
    """Length and time of a file: another one than before gets another stamp."""
    state = path.stat()
    return f"{state.st_size}-{state.st_mtime_ns}"


def halves_stamp(job: Job) -> str | None:
    """Which files its halves are, and the stamps of these; None without halves."""
    return " ".join(f"{path.resolve()} {stamp(path)}" for path in job.halves) if job.halves else None


def preview_path(output_dir: Path, name: str) -> Path:
    """Where the preview of an output goes."""
    return output_dir / PREVIEWS / f"{name}.png"


def note(file: DenoisedFile, output_dir: Path) -> None:
    """Write into the journal that a micrograph is on the disk."""
    with (output_dir / JOURNAL_NAME).open("a", encoding="utf-8") as stream:
        stream.write(file.model_dump_json() + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def noted(output_dir: Path) -> Iterator[DenoisedFile]:
    """What the journal says is on the disk; a line that was cut off says nothing."""
    journal = output_dir / JOURNAL_NAME
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines() if journal.is_file() else ():
        try:
            yield DenoisedFile.model_validate_json(line)
        except ValidationError:
            continue


def on_disk(files: Sequence[DenoisedFile], output_dir: Path) -> dict[str, DenoisedFile]:
    """Those of the files, by name, that are there and as long as they were; of several of a name the last."""
    found = {file.name: file for file in files}
    places = {name: output_dir / name for name in found}
    return {
        name: file
        for name, file in found.items()
        if places[name].is_file() and places[name].stat().st_size == file.size_bytes
    }


def is_done(job: Job, done: Mapping[str, DenoisedFile], output_dir: Path, parameters: DenoiseParameters) -> bool:
    """Whether a micrograph was denoised from the files that it has now, as the run file wants it.

    Args:
        job: The micrograph.
        done: What is on the disk, as of `on_disk`.
        output_dir: Where.
        parameters: The run file.
    """
    file = done.get(job.given.name)
    return (
        file is not None
        and file.stamp == stamp(job.given.path)
        and file.pixel_size_angstrom == pixel_size(job, parameters)
        and halves_stamp(job) in (None, file.halves_stamp)
        and (not parameters.preview or preview_path(output_dir, file.name).is_file())
    )
