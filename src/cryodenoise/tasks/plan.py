"""Command `plan`: what the tasks of a run set will take, before anything is fetched or written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from cryodenoise import environment
from cryodenoise.config.documents import DownloadRecord
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters, TestParameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.console import Console
from cryodenoise.dataset.layout import has_truth, sample_bytes
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError, require_known
from cryodenoise.estimates.disks import measure, nearest_directory
from cryodenoise.estimates.rows import Samples, download_row, preprocess_row, test_row, train_row
from cryodenoise.estimates.table import Row, gibibytes, render, size
from cryodenoise.files import free_bytes, require_directory
from cryodenoise.models import MODELS, Network, choose, require_takes
from cryodenoise.preprocessing.candidate import Candidate
from cryodenoise.preprocessing.candidates import find_candidates, pair_up, require_gain
from cryodenoise.preprocessing.headers import Shape, read_shape
from cryodenoise.preprocessing.plan import RawMicrograph
from cryodenoise.signal.noise import MODELS as NOISE_MODELS
from cryodenoise.signal.normalize import RULES
from cryodenoise.sources import SOURCES
from cryodenoise.sources.expected import ExpectedFile, expected_files
from cryodenoise.tasks.folders import KINDS, is_made_from, read_json
from cryodenoise.training.record import unfinished

_PROBE_BYTES = 500_000_000
"""Room that the trials of disk and preprocessing need for a moment, with the usual reserve."""

Listing = Callable[[DownloadParameters], list[ExpectedFile]]


@dataclass(frozen=True)
class RunSet:
    """The run files of a run set; None for a task without one."""

    folder: Path
    download: DownloadParameters | None
    preprocess: PreprocessParameters | None
    train: TrainParameters | None
    test: TestParameters | None
    network: Network
    """What is trained; without a run file of `train`, the reference's."""


def plan(
    run_set: Path,
    workspace: Path,
    raw_dir: Path | None,
    code_dir: Path | None,
    console: Console,
    listing: Listing = expected_files,
) -> int:
    """Tell what each task of a run set will take in a workspace, against what this machine has.

    Args:
        run_set: Folder of run files.
        workspace: Where they would work.
        raw_dir: Micrographs that are there already; None for those of the workspace or of the run set.
        code_dir: Folder of the code of a network of one's own; None without one.
        console: Takes what is to be said.
        listing: Names and sizes of the images that a run file of `download` would bring.

    Returns:
        The exit code: 0 if all fits, else 1.

    Raises:
        UserError: If a run file or a micrograph is unsound, or nothing is known of the micrographs.
    """
    given = _load(run_set, code_dir)
    place = nearest_directory(workspace)
    free, memory = free_bytes(place), psutil.virtual_memory().available
    console.say(
        f"{run_set} in {workspace.absolute()}, on this machine: {environment.available_cores()} cores "
        f"({environment.processor_name()}), {gibibytes(memory)} of memory free, {size(free)} free at {place}"
    )
    if free < _PROBE_BYTES:
        raise UserError(
            f"{place}: {size(free)} free, not even enough to try how fast it is: free some space or choose a "
            "--workspace on another disk"
        )
    rates = measure(place)
    basis = [
        f"disk: 64 MiB were written at {size(rates.written)}/s and read back at {size(rates.read)}/s at {place}",
    ]
    rows: list[Row] = []
    files: dict[Path, int] = {}
    done = [kind.task for kind in KINDS if (workspace / kind.name / kind.document_name).exists()]
    if given.download and raw_dir is None and "download" not in done:
        rows.append(download_row(given.download, listing(given.download), workspace / "raw", basis))
    if given.preprocess and "preprocess" not in done:
        micrographs = _micrographs(given, workspace, raw_dir, listing)
        row, samples, files = preprocess_row(given.preprocess, micrographs, workspace / "data", place, rates, basis)
        rows.append(row)
    else:
        samples = _samples_there(given, workspace)
    require_takes(given.network, (samples.side_px, samples.side_px), f"{run_set / 'train.yaml'}: model")
    if given.train and (left := _trainings_left(given.train, workspace / "model", run_set / "train.yaml")):
        rows.append(train_row(given.train, given.network, samples, rates, basis, left))
    if given.test and "test" not in done:
        rows.append(test_row(given.test, given.network, samples, rates, basis))
    in_the_way = 0
    for kind in KINDS:
        document, run_file = workspace / kind.name / kind.document_name, run_set / f"{kind.task}.yaml"
        if kind.task in done and run_file.is_file():
            if is_made_from(read_json(document).get("made_from"), kind, run_file):
                console.say(f"{kind.task}: the workspace holds finished work of it, which is not planned again")
            else:
                in_the_way += 1
                console.say(
                    f"{kind.task}: DOES NOT FIT: {document.parent} holds work made from another run file, which the "
                    "task will refuse: give another workspace, or remove that folder"
                )
    console.say("\n" + render(rows))
    if files:
        console.say("\nfiles of data/, in bytes:")
        width = len(f"{max(files.values()):,}")
        for path, length in files.items():
            console.say(f"  {length:>{width},}  {path.name}")
    console.say("\ntimes are estimates; they rest on\n" + "\n".join(f"  {line}" for line in basis) + "\n")
    wanted = sum(row.disk_bytes for row in rows)
    greatest = max((row.memory_bytes or 0 for row in rows), default=0)
    lacking = (wanted > free) + (greatest > memory) + in_the_way
    console.say(f"{_verdict(wanted <= free)} disk: {size(wanted)} needed, {size(free)} free at {place}")
    console.say(f"{_verdict(greatest <= memory)} memory: {gibibytes(greatest)} needed, {gibibytes(memory)} free")
    return 1 if lacking else 0


def _trainings_left(parameters: TrainParameters, model_dir: Path, run_file: Path) -> int:
    """How many trainings of a run file are to come; none where finished work is another run file's."""
    kind = next(kind for kind in KINDS if kind.name == "model")
    document = model_dir / kind.document_name
    if document.exists() and not is_made_from(read_json(document).get("made_from"), kind, run_file):
        return 0
    return len(unfinished(model_dir, parameters.repeat))


def _verdict(fits: bool) -> str:
    return "fits:" if fits else "DOES NOT FIT:"


def _load(run_set: Path, code_dir: Path | None) -> RunSet:
    paths = {kind.task: run_set / f"{kind.task}.yaml" for kind in KINDS}
    there = {task: path for task, path in paths.items() if path.is_file()}
    if not there:
        raise UserError(f"{run_set}: holds no run file, expected {', '.join(p.name for p in paths.values())}: see run/")
    train = TrainParameters.load(there["train"]) if "train" in there else None
    given = RunSet(
        run_set,
        DownloadParameters.load(there["download"]) if "download" in there else None,
        PreprocessParameters.load(there["preprocess"]) if "preprocess" in there else None,
        train,
        TestParameters.load(there["test"]) if "test" in there else None,
        choose(train.model, code_dir, f"{paths['train']}: model") if train else MODELS["cnn3"],
    )
    if given.download:
        require_known(f"{paths['download']}: source", given.download.source, SOURCES)
    if given.preprocess:
        require_known(f"{paths['preprocess']}: noise.model", given.preprocess.noise.model, NOISE_MODELS)
        require_known(f"{paths['preprocess']}: normalization", given.preprocess.normalization, RULES)
    return given


def _micrographs(given: RunSet, workspace: Path, raw_dir: Path | None, listing: Listing) -> list[RawMicrograph]:
    """The micrographs to preprocess: those that are there, else those to come."""
    assert given.preprocess is not None  # the caller sees to it
    document = (raw_dir or workspace / "raw") / "download.json"
    if raw_dir or document.exists():
        require_directory(document.parent, "download")
        record = DownloadRecord.load_document(document) if document.exists() else None
        candidates = find_candidates(document.parent, record, given.preprocess)
        return list(_readable(candidates, given.preprocess))
    if given.download is None:
        raise UserError(
            f"{given.folder / 'download.yaml'}: missing, so this run set needs micrographs of your own: give "
            "--raw_dir FOLDER"
        )
    size_px = given.preprocess.patches.size_px
    files = listing(given.download)
    for file in files:
        if file.role == "gain":
            require_gain(workspace / "raw", file.name, given.preprocess)
    shapes = {file.name: file for file in files if file.role != "gain"}
    candidates = pair_up(workspace / "raw", dict.fromkeys(shapes), given.preprocess)
    for file in (shapes[candidate.name] for candidate in candidates):
        if min(file.height_px, file.width_px) < size_px:
            raise UserError(
                f"{given.folder / 'preprocess.yaml'}: patches.size_px: found {size_px}, but micrographs are "
                f"{file.height_px} × {file.width_px}: lower it"
            )
    return [
        RawMicrograph(candidate, Shape(shapes[candidate.name].height_px, shapes[candidate.name].width_px, None))
        for candidate in candidates
    ]


def _readable(candidates: list[Candidate], parameters: PreprocessParameters) -> Iterator[RawMicrograph]:
    """Micrographs whose headers can be read; others raise, unless the run file leaves them out."""
    for candidate in candidates:
        try:
            yield RawMicrograph(candidate, read_shape(candidate, parameters))
        except (UserError, OSError):
            if parameters.on_bad_micrograph == "error":
                raise


def _samples_there(given: RunSet, workspace: Path) -> Samples:
    """What a dataset that is there holds, for a run set that makes none."""
    try:
        record = open_dataset(workspace / "data")
    except UserError as error:
        raise UserError(
            f"{given.folder / 'preprocess.yaml'}: missing, and there is no dataset to train on either: {error}"
        ) from error
    length = sample_bytes(record.sample_shape, record.dtype)
    counts = {split: where.samples for split, where in record.splits.items()}
    return Samples(counts, record.sample_shape[0], length, has_truth(record.segments))
