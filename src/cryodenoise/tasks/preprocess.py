"""Task `preprocess`: micrographs in, streaming binaries and dataset.json out."""

from pathlib import Path

from cryodenoise import environment, ranks
from cryodenoise.claims import MARKER_NAME, claim, join
from cryodenoise.config.documents import DatasetRecord, DownloadRecord, MadeFrom
from cryodenoise.config.run_files import PreprocessParameters
from cryodenoise.console import Console
from cryodenoise.dataset.layout import (
    DOCUMENT_NAME,
    SAMPLE_DTYPES,
    identity,
    ranges_of_splits,
    samples_in_files,
)
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.dataset.writer import (
    commit_files,
    drop_journals,
    is_allocated,
    lengths,
    preallocate,
)
from cryodenoise.errors import UserError, require_known
from cryodenoise.files import fingerprint_of, require_directory
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.preprocessing.candidates import find_candidates, require_as_downloaded
from cryodenoise.preprocessing.labels import require_noisier
from cryodenoise.preprocessing.plan import make_plan
from cryodenoise.preprocessing.run import write_micrographs
from cryodenoise.preprocessing.sharing import AllDoneError, Site
from cryodenoise.preprocessing.survey import sort_out
from cryodenoise.signal.noise import MODELS
from cryodenoise.signal.normalize import RULES
from cryodenoise.tasks import download


def preprocess(parameters_file: Path, raw_dir: Path, data_dir: Path, console: Console) -> None:
    """Turn the micrographs of raw_dir into a dataset in data_dir, alone or with the other processes of a launcher."""
    parameters = PreprocessParameters.load(parameters_file)
    require_known(f"{parameters_file}: noise.model", parameters.noise.model, MODELS)
    require_known(f"{parameters_file}: normalization", parameters.normalization, RULES)
    rank = ranks.of_environment()
    record = _download_record(raw_dir)
    candidates = find_candidates(raw_dir, record, parameters)
    sample_shape, dtype = (parameters.patches.size_px, parameters.patches.size_px), SAMPLE_DTYPES[parameters.dtype]
    made_from = MadeFrom(
        parameters=parameters.determining(),
        inputs={"micrographs": {name: _fingerprint(path) for name, path in _files(candidates).items()}},
    )
    take = claim if rank.first else join
    with take(data_dir, DOCUMENT_NAME, "preprocess", made_from.model_dump()) as work:
        if work.finished:
            open_dataset(data_dir)
            if rank.first:
                drop_journals(data_dir)
            console.say(f"{data_dir} already holds this dataset: nothing to do")
            return
        site = Site(data_dir, rank, console)
        if record and rank.first:
            require_as_downloaded(raw_dir, record, candidates)
        try:
            micrographs, skipped = sort_out(candidates, parameters, site)
            if parameters.pairs.kind == "given" and rank.first:
                require_noisier([micrograph.candidate for micrograph in micrographs], parameters)
            plan = make_plan(micrographs, parameters)
            with_truth = any(micrograph.candidate.truth for micrograph in micrographs)
            files = lengths(data_dir, samples_in_files(plan.segments), sample_shape, dtype, with_truth)
            if rank.first:
                preallocate(data_dir, files)
            else:
                site.wait_until(lambda: is_allocated(files), lambda: None, f"process 0 to make the files of {data_dir}")
            written = write_micrographs(plan, parameters, files, site)
        except AllDoneError:
            written = None
        if written is None:
            console.say(f"{data_dir}: process {rank.rank} of {rank.world} has done its share")
            return
        segments = {(segment.file, segment.first_sample): segment for entry in written for segment in entry.segments}
        ordered = [segments[planned.file, planned.first_sample] for planned in plan.segments]
        images = [entry.micrograph for entry in written]
        dataset = DatasetRecord(
            format=DatasetRecord.FORMAT,
            format_version=DatasetRecord.VERSION,
            identity=identity(dtype, sample_shape, images, ordered),
            pairs=parameters.pairs.kind,
            dtype=dtype,
            sample_shape=sample_shape,
            stride_px=parameters.patches.stride_px,
            held_out=plan.held_out,
            splits=ranges_of_splits(plan.segments),
            files=commit_files(data_dir, ordered),
            micrographs=images,
            skipped=skipped,
            segments=ordered,
            made_from=made_from,
            machine=parameters.of_the_machine(),
            source=record.made_from if record else None,
            environment=environment.describe(gpus=False),
        )
        work.finish(dataset.dumps())
        drop_journals(data_dir)
    counts = ", ".join(f"{place.samples} {split}" for split, place in dataset.splits.items())
    size_bytes = sum(file.size_bytes for file in dataset.files)
    console.say(f"{data_dir}: patches: {counts}; {size_bytes / 1e6:.1f} MB; identity {dataset.identity[:16]}")
    if dataset.skipped:
        console.say(f"{len(dataset.skipped)} of {len(candidates)} micrographs were left out")
    if dataset.held_out == "regions":
        console.say("fewer than three micrographs: regions of each are held out instead of whole micrographs")


def _download_record(raw_dir: Path) -> DownloadRecord | None:
    require_directory(raw_dir, "download")
    if (raw_dir / MARKER_NAME).exists():
        raise UserError(f"{raw_dir}: `download` has not finished: run it again, to its end")
    path = raw_dir / download.DOCUMENT_NAME
    return DownloadRecord.load_document(path) if path.exists() else None


def _files(candidates: list[Candidate]) -> dict[str, Path]:
    """All files that the dataset is made from, by their places in raw/."""
    return {name: path for candidate in candidates for name, path in candidate.files.items()}


def _fingerprint(path: Path) -> str:
    try:
        return fingerprint_of(path)
    except OSError as error:  # whoever reads it will say so, or leave it out
        return f"unreadable: {error.strerror}"
