"""Pairs of graphene images: the published files of em_graphene_sim, or a small simulated set in their layout."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py

from cryodenoise.config.documents import DownloadRecord, RawFile
from cryodenoise.config.graphene import GrapheneParameters, GrapheneSimulation
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.sources import SelectionParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import commit, partial, require_space, sha256_of
from cryodenoise.micrographs import hdf5
from cryodenoise.simulation.graphene import Part, pair
from cryodenoise.sources.client import Client
from cryodenoise.sources.journal import Journal
from cryodenoise.sources.listing import Announced, Listing, SourceFile
from cryodenoise.sources.network import addresses, fetch_network, plan_network
from cryodenoise.sources.record import describe, size_problem

PARTS: tuple[Part, ...] = ("test", "train")
NOISY, CLEAN = "graphene_img_noise.h5", "graphene_img_clean.h5"
"""The files in each part, as they are published."""
_HEAD_BYTES = 2048  # what h5py writes before the only array of a file


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that would come; nothing is fetched or made."""
    section = _section(parameters)
    if section.simulated is None:
        return plan_network(parameters, SelectionParameters(), _list)
    return [
        SourceFile(name, (), Announced(_HEAD_BYTES + 4 * count * section.simulated.side_px**2, None), "stack")
        for name, count in counts(section.simulated).items()
    ]


def counts(section: GrapheneSimulation) -> dict[str, int]:
    """The simulated files by their places in raw/, sorted, and how many images each holds."""
    return {f"{part}/{name}": _images(section, part) for part in PARTS for name in sorted((NOISY, CLEAN))}


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Fetch the published files, or make a set like them; see `sources.Fetch`.

    Raises:
        UserError: If the disk has no room, or what was lost cannot be had again.
    """
    section = _section(parameters)
    for part in PARTS:
        folder = raw_dir / part
        if folder.is_symlink():
            raise UserError(f"{folder}: a link, and nothing is written through one: remove it")
        folder.mkdir(exist_ok=True)
    if section.simulated is None:
        return fetch_network(parameters, SelectionParameters(), _list, raw_dir, console, mend)
    return _simulated(section.simulated, {file.name: file for file in plan(parameters)}, raw_dir, console, mend)


def _section(parameters: DownloadParameters) -> GrapheneParameters:
    assert parameters.graphene is not None  # the schema sees to it
    return parameters.graphene


def _list(parameters: DownloadParameters, client: Client) -> Listing:  # noqa: ARG001  nothing is asked
    folder = _section(parameters).address.rstrip("/") + "/"
    names = [f"{part}/{name}" for part in PARTS for name in (NOISY, CLEAN)]
    return Listing(folder, {name: addresses([folder], name) for name in names}, [], "stack")


def _simulated(
    section: GrapheneSimulation,
    planned: Mapping[str, SourceFile],
    raw_dir: Path,
    console: Console,
    mend: Mapping[str, RawFile],
) -> list[RawFile]:
    """Make the files of one part after the other, each whole or not at all."""
    journal = Journal(raw_dir)
    files = {
        name: file
        for name, file in journal.finished.items()
        if name not in mend and not size_problem(raw_dir / name, file.size_bytes)
    }
    for name in sorted(mend.keys() - planned.keys()):
        raise UserError(f"{raw_dir / name}: lost, and this version makes no such file: {DownloadRecord.remedy()}")
    todo = [name for name in (mend or planned) if name not in files]
    require_space(raw_dir, sum(planned[name].announced.size_bytes for name in todo))
    of_part = {part: [name for name in todo if name.startswith(f"{part}/")] for part in PARTS}
    pairs = sum(_images(section, part) for part, names in of_part.items() if names)
    with console.progress("simulate", pairs, "pairs") as advance:
        for part, names in of_part.items():
            if names:
                _make(section, part, {name: raw_dir / name for name in names}, mend, advance)
            for name in names:
                files[name] = describe(raw_dir, name, role="stack")
                journal.finish(files[name])
    return [files[name] for name in sorted(files)]


def _images(section: GrapheneSimulation, part: Part) -> int:
    return section.train_images if part == "train" else section.test_images


_REASON = re.compile(r"error message = '([^']*)'")


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    """What the library says of a write that failed, at once or as a file is closed, as a message of one line."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        said = _REASON.search(str(error))
        reason = said[1] if said else getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"{folder}: cannot be written ({reason}): free some space or choose another disk") from error


def _make(
    section: GrapheneSimulation,
    part: Part,
    paths: Mapping[str, Path],
    before: Mapping[str, RawFile],
    advance: Callable[[int], None],
) -> None:
    """Write files of one part, the same bytes each time; they must be as they were `before`."""
    shape = (_images(section, part), section.side_px, section.side_px, 1)
    with _written(next(iter(paths.values())).parent), ExitStack() as stack:
        arrays = {}
        for name, path in paths.items():
            file = stack.enter_context(h5py.File(partial(path), "w", libver="earliest", locking=False))
            arrays[name] = file.create_dataset(hdf5.KEY, shape, "<f4", track_times=False)
        for index in range(shape[0]):
            noisy, clean = pair(section, part, index)
            for name, array in arrays.items():
                array[index, :, :, 0] = noisy if name.endswith(NOISY) else clean
            advance(1)
    for name, path in paths.items():
        with partial(path).open("rb") as stream:
            os.fsync(stream.fileno())
        if name in before and (found := sha256_of(partial(path))) != (expected := before[name].sha256):
            partial(path).unlink()
            raise UserError(
                f"{path}: lost, and this version makes it with other bytes (SHA-256 {found[:16]}…, it had "
                f"{expected[:16]}…): {DownloadRecord.remedy()}, or put the file back"
            )
        commit(path)
