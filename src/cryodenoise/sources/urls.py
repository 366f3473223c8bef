"""Files from anywhere: a list of addresses, or an index page."""

from collections.abc import Mapping
from pathlib import Path

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.config.sources import UrlsParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.sources.client import Client
from cryodenoise.sources.listing import Listing, SourceFile, name_in
from cryodenoise.sources.network import addresses, fetch_network, plan_network, read_index


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that would come; nothing is fetched."""
    return plan_network(parameters, _section(parameters).selection, _list)


def fetch(
    parameters: DownloadParameters, raw_dir: Path, console: Console, mend: Mapping[str, RawFile]
) -> list[RawFile]:
    """Bring the selected files; see `sources.Fetch`."""
    return fetch_network(parameters, _section(parameters).selection, _list, raw_dir, console, mend)


def _section(parameters: DownloadParameters) -> UrlsParameters:
    assert parameters.urls is not None  # the schema sees to it
    return parameters.urls


def _list(parameters: DownloadParameters, client: Client) -> Listing:
    section = _section(parameters)
    if section.index:
        folder, names, left_out = read_index(client, section.index)
        return Listing(folder, {name: addresses([folder], name) for name in names}, left_out)
    found: dict[str, tuple[str, ...]] = {}
    for url in section.files or ():
        name = name_in(url)
        if name in found:
            raise UserError(f"urls.files: {found[name][0]} and {url} have the same name: leave one of them out")
        found[name] = (url,)
    return Listing("urls.files", found, [])
