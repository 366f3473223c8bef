"""Files of an EMPIAR entry: a folder on EBI's server, or on a mirror with the same folders."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.sources import EmpiarParameters
from cryodenoise.console import Console
from cryodenoise.sources.client import Client, PermanentError
from cryodenoise.sources.listing import Listing, SourceFile
from cryodenoise.sources.network import addresses, fetch_network, plan_network, read_index


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that would come; nothing is fetched."""
    return plan_network(parameters, _section(parameters).selection, _list)


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Bring the selected files of the entry's folder; see `sources.Fetch`."""
    return fetch_network(parameters, _section(parameters).selection, _list, raw_dir, console, mend)


def _section(parameters: DownloadParameters) -> EmpiarParameters:
    assert parameters.empiar is not None  # the schema sees to it
    return parameters.empiar


def _list(parameters: DownloadParameters, client: Client) -> Listing:
    """The folder as the first mirror lists it that has it; this and later mirrors serve its files."""
    section = _section(parameters)
    below = f"{section.entry}/data/{quote(section.directory)}/"
    folders = [f"{mirror.rstrip('/')}/{below}" for mirror in section.mirrors]
    problems = []
    for number, folder in enumerate(folders):
        try:
            _, names, left_out = read_index(client, folder)
        except PermanentError as error:
            problems.append(str(error))
            continue
        urls = {name: addresses(folders[number:], name) for name in names}
        return Listing(folder, urls, [f"mirror {problem}" for problem in problems] + left_out)
    page = f"https://www.ebi.ac.uk/empiar/EMPIAR-{section.entry}/"
    raise PermanentError(f"{'; '.join(problems)} (the folders of the entry are shown at {page})")
