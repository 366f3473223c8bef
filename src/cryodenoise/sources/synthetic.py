"""Simulated micrographs and what is known of them: a function of the parameters, so what was lost is made again."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord, RawFile, RawRole
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.simulation import SyntheticParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import require_space, write_atomically
from cryodenoise.micrographs import mrc
from cryodenoise.simulation.exposure import Exposure, expose, gain_reference, micrograph_name
from cryodenoise.simulation.limits import require_possible
from cryodenoise.sources import star
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Announced, SourceFile
from cryodenoise.sources.record import describe, size_problem

GAIN_NAME = "gain.mrc"
_DOCUMENT_BYTES_A_PARTICLE = 320
"""At most, in the JSON and in the STAR file; how long these are is known only when they are made."""

Roles = Mapping[str, RawRole]
"""Places of files in raw/, and what they are."""


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The images that would be made; the documents beside them are left out.

    Raises:
        UserError: If no such exposure can be simulated.
    """
    section = _section(parameters)
    require_possible(section)
    told = Announced(mrc.HEADER_BYTES + 4 * section.height_px * section.width_px, None)
    movie = Announced(mrc.HEADER_BYTES + 2 * section.height_px * section.width_px * section.detector.frames, None)
    roles = {name: role for names in _all_roles(section) for name, role in names.items() if role != "particles"}
    return [
        SourceFile(name, (), movie if section.movies and role == "micrograph" else told, role)
        for name, role in sorted(roles.items())
    ]


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Make the micrographs one after the other, each file whole or not at all; see `sources.Fetch`.

    The files of a micrograph count when all of them are whole.

    Raises:
        UserError: If no such exposure can be simulated, the disk has no room, or what was lost cannot be made again.
    """
    section = _section(parameters)
    planned = {file.name: file.announced.size_bytes for file in plan(parameters)}
    journal = Journal(raw_dir)
    files = {
        name: file
        for name, file in journal.finished.items()
        if name not in mend and not size_problem(raw_dir / name, file.size_bytes)
    }
    all_roles = _all_roles(section)
    for name in sorted(mend.keys() - {name for names in all_roles for name in names}):
        raise UserError(f"{raw_dir / name}: lost, and this version makes no such file: {DownloadRecord.remedy()}")
    wanted = [{name: role for name, role in names.items() if name in (mend or names)} for names in all_roles]
    jobs = [(number, names) for number, names in enumerate(wanted) if not names.keys() <= files.keys()]
    particles = section.specimen.particles + section.specimen.second_particles
    document_bytes = _DOCUMENT_BYTES_A_PARTICLE * particles
    require_space(raw_dir, sum(planned.get(name, document_bytes) for _, names in jobs for name in names))
    with console.progress("simulate", len(wanted), "exposures", done=len(wanted) - len(jobs)) as advance:
        for number, names in jobs:
            for file in _made(section, number, names, raw_dir, mend):
                journal.finish(file)
                files[file.name] = file
            advance(1)
    return [files[name] for name in sorted(files)]


def _section(parameters: DownloadParameters) -> SyntheticParameters:
    assert parameters.synthetic is not None  # the schema sees to it
    return parameters.synthetic


def _all_roles(section: SyntheticParameters) -> list[Roles]:
    """The files of each micrograph, and then of the gain reference, if there is one."""
    gain: list[Roles] = [{GAIN_NAME: "gain"}] if section.detector.gain_spread else []
    return [_roles(section, index) for index in range(section.micrographs)] + gain


def _roles(section: SyntheticParameters, index: int) -> Roles:
    name = micrograph_name(index)
    stem = micrographs.stem(Path(name))
    roles: dict[str, RawRole] = {name: "micrograph", f"truth/{name}": "truth"}
    if section.halves:
        roles |= {f"even/{name}": "even", f"odd/{name}": "odd"}
    return roles | {f"particles/{stem}.json": "particles", f"particles/{stem}{star.SUFFIX}": "particles"}


def _made(
    section: SyntheticParameters, number: int, names: Roles, raw_dir: Path, before: Mapping[str, RawFile]
) -> Iterator[RawFile]:
    """Make some of the files of a micrograph, or the gain reference; they must be as they were `before`."""
    if number == section.micrographs:
        gain = gain_reference(section)
        assert gain is not None  # there is a spread
        _require_same(raw_dir / GAIN_NAME, micrographs.pixel_digest(gain), before.get(GAIN_NAME))
        mrc.write(raw_dir / GAIN_NAME, gain, section.pixel_size_angstrom)
        yield describe(raw_dir, GAIN_NAME, role="gain")
        return
    movie = micrograph_name(number) if section.movies else ""
    shape = section.detector.frames, section.height_px, section.width_px
    with (
        mrc.writing_frames(raw_dir / movie, *shape, section.pixel_size_angstrom) if movie in names else nullcontext()
    ) as on_frame:
        exposure = expose(section, number, on_frame)
        for name in names.keys() & before.keys():
            _require_same(raw_dir / name, _digest(section, exposure, name, names[name]), before[name])
    for name, role in names.items():
        folder = (raw_dir / name).parent
        if folder.is_symlink() and folder != raw_dir:
            raise UserError(f"{folder}: a link, and nothing is written through one: remove it")
        folder.mkdir(exist_ok=True)
        if role == "particles":
            write_atomically(raw_dir / name, _document(section, exposure, name))
        elif name != movie:
            mrc.write(raw_dir / name, _image(exposure, role), section.pixel_size_angstrom)
        yield describe(raw_dir, name, role=role)


def _image(exposure: Exposure, role: RawRole) -> np.ndarray:
    """An image of one exposure: whole counts, but for the truth."""
    match role:
        case "truth":
            return exposure.truth
        case "even":
            return exposure.even
        case "odd":
            return exposure.odd
    return np.asarray(np.add(exposure.even, exposure.odd, dtype=np.float32))


def _document(section: SyntheticParameters, exposure: Exposure, name: str) -> bytes:
    """The STAR or the JSON file about one exposure."""
    if not name.endswith(star.SUFFIX):
        return exposure.record.dumps().encode()
    species = (section.specimen.species, section.specimen.second_species)
    return star.particles_star(exposure.record, species).encode()


def _digest(section: SyntheticParameters, exposure: Exposure, name: str, role: RawRole) -> str:
    """The digest of a file's pixels, or of its text."""
    if role == "particles":
        return hashlib.sha256(_document(section, exposure, name)).hexdigest()
    return micrographs.pixel_digest(_image(exposure, role))


def _require_same(path: Path, digest: str, before: RawFile | None) -> None:
    """See that a file which was lost becomes what it was."""
    if before and digest != (expected := before.pixel_digest or before.sha256):
        what = "pixels" if before.pixel_digest else "text"
        raise UserError(
            f"{path}: lost, and this version makes it with other {what} (digest {digest[:16]}…, it had "
            f"{expected[:16]}…): {DownloadRecord.remedy()}, or put the file back"
        )
