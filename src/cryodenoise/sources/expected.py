"""Which images a run file of `download` will bring, with their shapes, before anything is fetched."""

from dataclasses import dataclass
from pathlib import Path

from cryodenoise import micrographs
from cryodenoise.config.documents import RawRole
from cryodenoise.config.graphene import GrapheneSimulation
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.errors import UserError
from cryodenoise.micrographs import hdf5
from cryodenoise.sources import graphene, local, plan
from cryodenoise.sources.listing import SourceFile

_PUBLISHED_SHAPES = {(10025, "14sep05c_averaged_196"): (7420, 7676)}
"""Rows and columns of the micrographs in folders of EMPIAR entries (https://www.ebi.ac.uk/empiar/EMPIAR-10025/)."""
_ATTEMPTS = 2
"""How often a server is asked: who plans does not want to wait for minutes."""


@dataclass(frozen=True)
class ExpectedFile:
    """A micrograph to come, or an image that belongs to one."""

    name: str
    size_bytes: int
    height_px: int
    width_px: int
    role: RawRole = "micrograph"


def expected_files(parameters: DownloadParameters) -> list[ExpectedFile]:
    """The images to come, in order of their names; a server is asked what it has, and nothing is fetched.

    Raises:
        UserError: If the source cannot be listed, or the shapes of its micrographs are not known yet.
    """
    if parameters.graphene and parameters.graphene.simulated:
        return _of_stacks(parameters.graphene.simulated)
    hasty = parameters.transfer.model_copy(update={"attempts": _ATTEMPTS})
    files = plan(parameters.model_copy(update={"transfer": hasty}))
    if parameters.local and (stacks := [file.name for file in files if hdf5.is_stack(file.name)]):
        paths = local.paths(parameters.local)
        return sorted(
            [*_of_micrographs(parameters, files), *(each for name in stacks for each in _of_stack(name, paths[name]))],
            key=lambda file: file.name,
        )
    return _of_micrographs(parameters, files)


def _of_micrographs(parameters: DownloadParameters, files: list[SourceFile]) -> list[ExpectedFile]:
    wanted = [file for file in files if micrographs.is_micrograph(Path(file.name))]
    shapes = _shapes(parameters, [file.name for file in wanted])
    return [
        ExpectedFile(file.name, file.announced.size_bytes, *shape, file.role)
        for file, shape in zip(wanted, shapes, strict=True)
    ]


def _of_stack(name: str, path: Path) -> list[ExpectedFile]:
    """Each image of a stack on this machine, the bytes of the file shared among them."""
    header, size_bytes = hdf5.read_header(path), path.stat().st_size
    return [
        ExpectedFile(
            hdf5.member(name, index, header.count),
            size_bytes // header.count,
            header.height_px,
            header.width_px,
            "stack",
        )
        for index in range(header.count)
    ]


def _of_stacks(section: GrapheneSimulation) -> list[ExpectedFile]:
    """Each image of the stacks to come, the bytes of the files shared among them."""
    side = section.side_px
    return [
        ExpectedFile(hdf5.member(name, index, count), 4 * side**2, side, side, "stack")
        for name, count in graphene.counts(section).items()
        for index in range(count)
    ]


def _shapes(parameters: DownloadParameters, names: list[str]) -> list[tuple[int, int]]:
    if parameters.synthetic:
        return [(parameters.synthetic.height_px, parameters.synthetic.width_px)] * len(names)
    if parameters.local:
        paths = local.paths(parameters.local)
        headers = [micrographs.read_header(paths[name]) for name in names]
        return [(header.height_px, header.width_px) for header in headers]
    if parameters.empiar:
        shape = _PUBLISHED_SHAPES.get((parameters.empiar.entry, parameters.empiar.directory))
        if shape:
            return [shape] * len(names)
    what = "numbers and shapes of its images" if parameters.graphene else "shapes of its micrographs"
    raise UserError(
        f"source {parameters.source}: the {what} are not known before they are there: run "
        "`cryodenoise download` first, or give a folder of such micrographs as --raw_dir"
    )
