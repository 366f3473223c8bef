"""Micrographs of an EMPIAR entry."""

from pathlib import Path

from cryodenoise.config.documents import RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError

BASE_URL = "https://ftp.ebi.ac.uk/empiar/world_availability"


def fetch(parameters: DownloadParameters, raw_dir: Path, _console: Console) -> list[RawFile]:
    """Tell where the micrographs are: this version does not fetch them.

    Raises:
        UserError: Always, with the address and what to do.
    """
    section = parameters.empiar
    assert section is not None  # the schema sees to it
    raise UserError(
        f"source empiar: this version does not fetch entry {section.entry} itself: put the files of "
        f"{BASE_URL}/{section.entry}/{section.directory.strip('/')}/ into {raw_dir} (8 transfers at a time at most), "
        "then go on with `preprocess`, which takes any folder of MRC files"
    )
