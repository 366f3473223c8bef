"""Where micrographs come from: name → a function that puts them into raw/ and returns their files, sorted by name."""

from collections.abc import Callable
from pathlib import Path

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.console import Console
from cryodenoise.sources import empiar, synthetic

SOURCES: dict[str, Callable[[DownloadParameters, Path, Console], list[RawFile]]] = {
    "empiar": empiar.fetch,
    "synthetic": synthetic.fetch,
}
