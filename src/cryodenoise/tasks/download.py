"""Task `download`: micrographs into raw/."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cryodenoise import environment
from cryodenoise.claims import claim
from cryodenoise.config.documents import DownloadRecord, MadeFrom, RawFile
from cryodenoise.config.run_files import DownloadParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError, require_known
from cryodenoise.sources import SOURCES, check, journal, record

DOCUMENT_NAME = record.DOCUMENT_NAME
FINDINGS = 1


def download(parameters_file: Path | None, raw_dir: Path, console: Console, verify: bool = False) -> int:
    """Fill raw_dir as the run file says; a folder that holds anything else is refused.

    Args:
        parameters_file: The run file; not needed to verify.
        raw_dir: Folder of the micrographs.
        console: Takes what there is to say.
        verify: Only check what is there, byte by byte.

    Returns:
        The exit code: FINDINGS if something was found to be wrong.
    """
    if verify:
        return _verify(raw_dir, console)
    if parameters_file is None:
        raise UserError("--parameters_file: missing: give a run file such as run/smoke/download.yaml")
    parameters = DownloadParameters.load(parameters_file)
    require_known(f"{parameters_file}: source", parameters.source, SOURCES)
    made_from = MadeFrom(parameters=parameters.determining())
    with claim(raw_dir, DOCUMENT_NAME, "download", made_from.model_dump()) as work:
        if work.finished:
            _mend(parameters, raw_dir, console)
            return 0
        files = SOURCES[parameters.source](parameters, raw_dir, console, {})
        document = DownloadRecord(
            format=DownloadRecord.FORMAT,
            format_version=DownloadRecord.VERSION,
            made_from=made_from,
            files=files,
            environment=environment.describe(gpus=False),
        )
        work.finish(document.dumps())
        journal.drop(raw_dir)
    size_bytes = sum(file.size_bytes for file in files)
    console.say(f"{raw_dir}: {record.counted(files)}, {size_bytes / 1e6:.1f} MB; {_verified(files)}")
    _say_problems(files, console)
    return 0


def _mend(parameters: DownloadParameters, raw_dir: Path, console: Console) -> None:
    """Bring again what is missing from finished work, or has lost its end; the document stays as it is."""
    files = DownloadRecord.load_document(raw_dir / DOCUMENT_NAME).files
    damaged = {file.name: file for file in files if record.size_problem(raw_dir / file.name, file.size_bytes)}
    if damaged:
        SOURCES[parameters.source](parameters, raw_dir, console, damaged)
        console.say(f"{raw_dir}: {len(damaged)} of {len(files)} files brought again")
    else:
        console.say(f"{raw_dir} already holds these micrographs: nothing to do")
    journal.drop(raw_dir)


def _verify(raw_dir: Path, console: Console) -> int:
    folder = check.RawFolder(raw_dir, record.load(raw_dir), console)
    count = 0
    for rule in check.RULES:
        for finding in rule.findings(folder):
            console.say(f"{finding.place}: {finding.problem}: move it away and run `cryodenoise download` again")
            count += 1
    files = folder.record.files
    state = (
        f"{count} finding{'s' * (count > 1)}" if count else f"all {record.counted(files)} are as they were downloaded"
    )
    console.say(f"{raw_dir}: {state}; when they came, {_verified(files)}")
    _say_problems(files, console)
    return FINDINGS if count else 0


def _verified(files: Sequence[RawFile]) -> str:
    """What the micrographs were held against when they came."""
    counts = Counter(file.verified if file.url else "here" for file in files if file.role in ("micrograph", "stack"))
    ways = {
        "by SHA-256": counts["sha256"],
        "by size alone": counts["size"],
        "by nothing": counts[None],
        "made or found here, by nothing": counts["here"],
    }
    return "verified: " + ", ".join(f"{count} {way}" for way, count in ways.items() if count)


def _say_problems(files: Sequence[RawFile], console: Console) -> None:
    for file in files:
        if file.problem:
            what = "images" if file.role == "stack" else "a micrograph"
            console.say(f"{file.name}: not readable as {what}: {file.problem}")
