"""Command `compare`: systems trained and scored on the same tracks, and one table and page of all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml

from cryodenoise import devices, environment
from cryodenoise.baselines import choose as choose_baseline
from cryodenoise.config.comparison import (
    SHIPPED,
    CompareParameters,
    ComparisonRecord,
    SystemParameters,
    TrackParameters,
    TrackResult,
)
from cryodenoise.config.documents import DatasetRecord, MadeFrom
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.schema import Parameters
from cryodenoise.console import Console
from cryodenoise.dataset.layout import has_truth, roles_of
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.errors import UserError, require_known
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.models import choose as choose_network
from cryodenoise.models import topaz
from cryodenoise.report import compared, compared_page, compared_tables, wording
from cryodenoise.tasks import denoisers, models_given
from cryodenoise.tasks.download import download
from cryodenoise.tasks.preprocess import preprocess
from cryodenoise.tasks.report import open_results
from cryodenoise.tasks.test import test
from cryodenoise.tasks.train import train

DOCUMENT_PLACE = "comparison/comparison.json"
TABLES_NAME, PAGE_NAME = "COMPARISON.md", "COMPARISON.html"
_BASELINE = "baseline/"


def compare(
    parameters_file: Path,
    workspace: Path,
    raw_dir: Path | None,
    code_dir: Path | None,
    output_dir: Path | None,
    tracks: Sequence[str] | None,
    leave_out: Sequence[str],
    console: Console,
) -> None:
    """Train and score all systems on all tracks; what is finished in the workspace is not done again.

    Args:
        parameters_file: Run file: tracks and systems.
        workspace: Gets a folder for each track, with one for each system in it, and their run files.
        raw_dir: Micrographs of one's own, for the tracks that download none; None leaves these out.
        code_dir: Code of networks of one's own.
        output_dir: Gets COMPARISON.md, COMPARISON.html and comparison/comparison.json; None takes the workspace.
        tracks: Names of the only tracks that are wanted; None for all.
        leave_out: Names of systems that are not wanted.
        console: Takes what is to be said.

    Raises:
        UserError: If the run file is unsound, a system is not at hand, or a task fails.
    """
    parameters = CompareParameters.load(parameters_file)
    left_out = dict.fromkeys(leave_out, "not wanted")
    for name in leave_out:
        require_known("--leave_out", name, parameters.systems)
    for name in tracks or ():
        require_known("--tracks", name, parameters.tracks)
    for name, track in parameters.tracks.items():
        if tracks is not None and name not in tracks:
            left_out[name] = "not wanted"
        elif track.download is None and raw_dir is None:
            left_out[name] = "takes micrographs of one's own, and no --raw_dir was given"
            console.say(f"{name}: left out: {left_out[name]}")
    systems = {name: each for name, each in parameters.systems.items() if name not in left_out}
    for name, system in systems.items():
        _require_at_hand(f"{parameters_file}: systems.{name}", system, code_dir)
    results, pictures = [], {}
    for name, track in parameters.tracks.items():
        if name not in left_out:
            found = _on_track(name, track, systems, parameters.test, workspace / name, raw_dir, code_dir, console)
            results.append(found[0])
            pictures[name] = found[1]
    if not results:
        raise UserError(f"{parameters_file}: no track is left: give --raw_dir, or other --tracks")
    record = ComparisonRecord(
        format=ComparisonRecord.FORMAT,
        format_version=ComparisonRecord.VERSION,
        tracks=results,
        left_out=left_out,
        made_from=MadeFrom(parameters=parameters.determining()),
        environment=environment.describe(),
    )
    _write(record, parameters, pictures, output_dir or workspace, console)


def _write(
    record: ComparisonRecord,
    parameters: CompareParameters,
    pictures: compared_page.Pictures,
    output_dir: Path,
    console: Console,
) -> None:
    make_directory((output_dir / DOCUMENT_PLACE).parent)
    contents = {
        DOCUMENT_PLACE: record.dumps(),
        TABLES_NAME: compared_tables.markdown(record, parameters),
        PAGE_NAME: compared_page.page(record, parameters, pictures),
    }
    for name, text in contents.items():
        write_atomically(output_dir / name, text.encode())
        console.say(f"{output_dir / name}")


def _require_at_hand(place: str, system: SystemParameters, code_dir: Path | None) -> None:
    """See that a system can be had, before hours are spent on the others.

    Raises:
        UserError: If its network, filter or folder of weights is not there.
    """
    if system.train is not None:
        choose_network(system.train.model, code_dir, f"{place}.train.model")
    elif system.model and system.model.startswith(_BASELINE):
        choose_baseline(system.model.removeprefix(_BASELINE), f"{place}.model")
    elif system.model and system.model.startswith(topaz.PREFIX):
        topaz.load(system.model, f"{place}.model")
    elif system.model:
        try:
            models_given.open_network(None if system.model == SHIPPED else system.model, code_dir)
        except UserError as error:
            raise UserError(f"{place}.model: {str(error).removeprefix('--model: ')}") from error


def _names_test_model(model: str) -> bool:
    """Whether the run file of `test` takes a name, rather than a folder of weights."""
    return model.startswith((_BASELINE, topaz.PREFIX))


def _on_track(
    name: str,
    track: TrackParameters,
    systems: dict[str, SystemParameters],
    scoring: TestParameters,
    place: Path,
    raw_dir: Path | None,
    code_dir: Path | None,
    console: Console,
) -> tuple[TrackResult, list[compared_page.Picture]]:
    """Bring a track's data, train and score every system on it; what the tasks say goes to the log."""
    raw, quiet = place / "raw", console.hushed()
    if track.download is None:
        assert raw_dir is not None  # else the track is left out
        raw = raw_dir
    else:
        console.say(f"{name}: bringing the micrographs")
        download(_run_file(track.download, place / "download.yaml"), raw, quiet)
    data = place / "data"
    preprocess(_run_file(track.preprocess, place / "preprocess.yaml"), raw, data, quiet)
    dataset = open_dataset(data)
    scored, sources = [], []
    for key, system in systems.items():
        if system.tracks is not None and name not in system.tracks:
            continue
        here = place / key
        weights = models_given.SHIPPED if system.model == SHIPPED else here / "model"
        if (training := system.training_on(name)) is not None:
            console.say(f"{name}: {key}: training")
            train(_run_file(training, here / "train.yaml"), data, weights, code_dir, quiet)
        parameters = scoring.model_copy(update={"figures": False})
        if system.model is not None and _names_test_model(system.model):
            parameters = parameters.model_copy(update={"model": system.model})
        elif system.model not in (None, SHIPPED):
            weights = Path(str(system.model))
        file = _run_file(parameters, here / "test.yaml")
        test(file, data, weights, here / "results", code_dir, None, quiet)
        report, measures = open_results(here / "results")
        scored.append(compared.Scored(key, system, report, measures))
        counts = report.that_counts
        fitted = f"{wording.psnr(counts.affine_fitted.psnr_db)} dB with affine fit"
        console.say(f"{name}: {key}: {wording.psnr(counts.denoised.psnr_db)} dB, {fitted}")
        sources.append(denoisers.choose(parameters, file, dataset, weights, code_dir, None))
    result = compared.of_track(name, dataset.splits["train"].samples, scored)
    return result, _pictures(result, scored, sources, data, dataset)


def _run_file(parameters: Parameters, path: Path) -> Path:
    """Parameters as a run file, with which the task can be run again by hand."""
    make_directory(path.parent)
    content = parameters.model_dump(mode="json", by_alias=True, exclude_none=True)
    write_atomically(path, yaml.safe_dump(content, sort_keys=False).encode())
    return path


@torch.no_grad()
def _pictures(
    result: TrackResult,
    scored: Sequence[compared.Scored],
    sources: Sequence[denoisers.Source],
    data: Path,
    dataset: DatasetRecord,
) -> list[compared_page.Picture]:
    """One test patch as it is, as it should be, and as every system makes it, each under its best affine map."""
    device = devices.choose("auto")
    index = np.array([dataset.splits["test"].samples // 2])
    with SplitReader(data, dataset, "test", roles_of("test", has_truth(dataset.segments))) as reader:
        noisy, *others = reader.read(index)
    pictures = [
        compared_page.Picture("noisy input", noisy[0, 0], own_scale=True),
        compared_page.Picture(result.against, others[-1][0, 0]),
    ]
    made = {}
    for each, source in zip(scored, sources, strict=True):
        images = denoisers.ready(source, data, dataset, device).images
        denoised = images(index, devices.place(torch.from_numpy(noisy), device)).double().cpu().numpy()[0, 0]
        fitted = each.report.that_counts.affine_fitted
        made[each.name] = compared_page.Picture(each.system.title, fitted.slope * denoised + fitted.offset)
    return pictures + [made[row.name] for row in result.rows if row.name in made]
