"""Where micrographs come from: name → a function that puts them into raw/ and returns their files, sorted by name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.console import Console
from cryodenoise.sources import empiar, graphene, local, synthetic, urls
from cryodenoise.sources.listing import SourceFile

Fetch = Callable[[DownloadParameters, Path, Console, Mapping[str, RawFile]], list[RawFile]]
"""Brings what the parameters say into raw_dir; the last argument names files of a finished download that are to be
brought again, as they were, and is empty where all are to come."""

SOURCES: dict[str, Fetch] = {
    "empiar": empiar.fetch,
    "graphene": graphene.fetch,
    "local": local.fetch,
    "synthetic": synthetic.fetch,
    "urls": urls.fetch,
}

PLANS: dict[str, Callable[[DownloadParameters], list[SourceFile]]] = {
    "empiar": empiar.plan,
    "graphene": graphene.plan,
    "local": local.plan,
    "synthetic": synthetic.plan,
    "urls": urls.plan,
}


def plan(parameters: DownloadParameters) -> list[SourceFile]:
    """The files that a download would bring, with their lengths; nothing is fetched or written.

    Raises:
        UserError: If the source cannot be listed.
    """
    return PLANS[parameters.source](parameters)
