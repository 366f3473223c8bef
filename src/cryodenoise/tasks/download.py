"""Task `download`: micrographs into raw/."""

from pathlib import Path

from cryodenoise import environment
from cryodenoise.claims import claim
from cryodenoise.config.documents import DownloadRecord, MadeFrom
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError, require_known
from cryodenoise.sources import SOURCES

DOCUMENT_NAME = "download.json"


def download(parameters_file: Path, raw_dir: Path, console: Console) -> None:
    """Fill raw_dir as the run file says; a folder that holds anything else is refused."""
    parameters = DownloadParameters.load(parameters_file)
    require_known(f"{parameters_file}: source", parameters.source, SOURCES)
    made_from = MadeFrom(parameters=parameters.determining())
    with claim(raw_dir, DOCUMENT_NAME, "download", made_from.model_dump()) as work:
        if work.finished:
            _require_whole(raw_dir)
            console.say(f"{raw_dir} already holds these micrographs: nothing to do")
            return
        files = SOURCES[parameters.source](parameters, raw_dir, console)
        record = DownloadRecord(
            format=DownloadRecord.FORMAT,
            format_version=DownloadRecord.VERSION,
            made_from=made_from,
            files=files,
            environment=environment.describe(),
        )
        work.finish(record.dumps())
    size_bytes = sum(file.size_bytes for file in files)
    console.say(f"{raw_dir}: {len(files)} micrographs, {size_bytes / 1e6:.1f} MB")


def _require_whole(raw_dir: Path) -> None:
    for file in DownloadRecord.load_document(raw_dir / DOCUMENT_NAME).files:
        path = raw_dir / file.name
        found = path.stat().st_size if path.is_file() else None
        if found != file.size_bytes:
            state = "missing" if found is None else f"{found} bytes, expected {file.size_bytes}"
            raise UserError(f"{path}: {state}: {DownloadRecord.remedy()}")
