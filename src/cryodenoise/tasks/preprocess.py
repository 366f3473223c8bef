"""Task `preprocess`: micrographs in, streaming binaries and dataset.json out."""

import hashlib
from pathlib import Path

from cryodenoise import environment
from cryodenoise.claims import MARKER_NAME, claim
from cryodenoise.config.documents import SAMPLE_DTYPE, DatasetRecord, DownloadRecord, MadeFrom
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.console import Console
from cryodenoise.dataset.layout import DOCUMENT_NAME, identity, ranges_of_splits, samples_in_files
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.dataset.writer import commit_files, drop_journal, preallocate
from cryodenoise.errors import UserError, require_known
from cryodenoise.files import require_directory
from cryodenoise.preprocessing.plan import RawMicrograph, find_micrographs, make_plan
from cryodenoise.preprocessing.run import write_micrographs
from cryodenoise.signal.noise import MODELS
from cryodenoise.signal.normalize import RULES
from cryodenoise.tasks import download

_FINGERPRINT_BYTES = 1 << 16


def preprocess(parameters_file: Path, raw_dir: Path, data_dir: Path, console: Console) -> None:
    """Turn the micrographs of raw_dir into a dataset in data_dir."""
    parameters = PreprocessParameters.load(parameters_file)
    require_known(f"{parameters_file}: noise.model", parameters.noise.model, MODELS)
    require_known(f"{parameters_file}: normalization", parameters.normalization, RULES)
    record = _download_record(raw_dir)
    micrographs = find_micrographs(raw_dir, record)
    plan = make_plan(micrographs, parameters)
    made_from = MadeFrom(
        parameters=parameters.determining(),
        inputs={"micrographs": {raw.path.name: _fingerprint(raw) for raw in micrographs}},
    )
    with claim(data_dir, DOCUMENT_NAME, "preprocess", made_from.model_dump()) as work:
        if work.finished:
            open_dataset(data_dir)
            drop_journal(data_dir)
            console.say(f"{data_dir} already holds this dataset: nothing to do")
            return
        sample_shape = (parameters.patches.size_px, parameters.patches.size_px)
        preallocate(data_dir, samples_in_files(plan.segments), sample_shape)
        written = write_micrographs(plan, micrographs, parameters, data_dir, console)
        segments = {(segment.split, segment.micrograph): segment for entry in written for segment in entry.segments}
        ordered = [segments[planned.split, planned.micrograph] for planned in plan.segments]
        dataset = DatasetRecord(
            format=DatasetRecord.FORMAT,
            format_version=DatasetRecord.VERSION,
            identity=identity(sample_shape, [entry.micrograph for entry in written], ordered),
            dtype=SAMPLE_DTYPE,
            sample_shape=sample_shape,
            stride_px=parameters.patches.stride_px,
            held_out=plan.held_out,
            splits=ranges_of_splits(plan.segments),
            files=commit_files(data_dir),
            micrographs=[entry.micrograph for entry in written],
            segments=ordered,
            made_from=made_from,
            machine=parameters.of_the_machine(),
            source=record.made_from if record else None,
            environment=environment.describe(),
        )
        work.finish(dataset.dumps())
        drop_journal(data_dir)
    counts = ", ".join(f"{place.samples} {split}" for split, place in dataset.splits.items())
    size_bytes = sum(file.size_bytes for file in dataset.files)
    console.say(f"{data_dir}: patches: {counts}; {size_bytes / 1e6:.1f} MB; identity {dataset.identity[:16]}")
    if dataset.held_out == "regions":
        console.say("fewer than three micrographs: regions of each are held out instead of whole micrographs")


def _download_record(raw_dir: Path) -> DownloadRecord | None:
    require_directory(raw_dir, "download")
    if (raw_dir / MARKER_NAME).exists():
        raise UserError(f"{raw_dir}: `download` has not finished: run it again, to its end")
    path = raw_dir / download.DOCUMENT_NAME
    return DownloadRecord.load_document(path) if path.exists() else None


def _fingerprint(raw: RawMicrograph) -> str:
    """Length, beginning and end of a file: tells other micrographs apart without reading them whole."""
    size_bytes = raw.path.stat().st_size
    digest = hashlib.sha256(f"{size_bytes}\n".encode())
    with raw.path.open("rb") as stream:
        digest.update(stream.read(_FINGERPRINT_BYTES))
        stream.seek(max(size_bytes - _FINGERPRINT_BYTES, 0))
        digest.update(stream.read())
    return digest.hexdigest()
