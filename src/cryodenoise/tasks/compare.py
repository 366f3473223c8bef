"""Command `compare`: systems trained and scored on the same tracks, and one table and page of all."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml

from cryodenoise import devices, environment
from cryodenoise.baselines import BASELINES
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
from cryodenoise.evaluation.comparison import BOUNDS, NOISY
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.models import choose as choose_network
from cryodenoise.models import imported, topaz
from cryodenoise.report import compared, compared_page, compared_tables, wording
from cryodenoise.tasks import denoisers, models_given
from cryodenoise.tasks.download import download
from cryodenoise.tasks.preprocess import preprocess
from cryodenoise.tasks.report import open_results
from cryodenoise.tasks.test import test
from cryodenoise.tasks.train import train
from cryodenoise.training import record as training_record

DOCUMENT_PLACE = "comparison/comparison.json"
TABLES_NAME, PAGE_NAME = "COMPARISON.md", "COMPARISON.html"
FAILURES = 1
_BASELINE = "baseline/"
_METHODS = {*BASELINES, NOISY, *BOUNDS}
_UNWANTED = "not wanted"


def compare(
    parameters_file: Path,
    workspace: Path,
    raw_dir: Path | None,
    code_dir: Path | None,
    output_dir: Path | None,
    tracks: Sequence[str] | None,
    leave_out: Sequence[str],
    console: Console,
) -> int:
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

    Returns:
        The exit code: FAILURES if a system failed on a track, where the others were compared without it.

    Raises:
        UserError: If the run file is unsound, a system is not at hand, or a track's data cannot be had.
    """
    parameters = CompareParameters.load(parameters_file)
    unwanted_systems = dict.fromkeys(leave_out, _UNWANTED)
    for name in leave_out:
        require_known("--leave_out", name, parameters.systems)
    systems = {name: each for name, each in parameters.systems.items() if name not in unwanted_systems}
    left_out = _tracks_left_out(parameters, systems, tracks, raw_dir)
    for name, reason in left_out.items():
        if reason != _UNWANTED:
            console.say(f"{name}: left out: {reason}")
    if len(left_out) == len(parameters.tracks):
        raise UserError(f"{parameters_file}: no track is left: give --raw_dir, other --tracks, or systems for them")
    for name, system in systems.items():
        _require_at_hand(f"{parameters_file}: systems.{name}", name, system, code_dir)
    make_directory(output_dir or workspace)
    results, pictures, failed = [], {}, {}
    for name, track in parameters.tracks.items():
        if name in left_out:
            continue
        on_track = OnTrack(name, workspace / name, parameters.test, code_dir, console)
        on_track.bring(track, raw_dir)
        on_track.run({key: each for key, each in systems.items() if each.takes_part(name)})
        failed.update(on_track.failed)
        if not on_track.scored:
            left_out[name] = "no system could be scored on it"
            continue
        results.append(compared.of_track(name, on_track.dataset.splits["train"].samples, on_track.scored))
        pictures[name] = on_track.pictures(results[-1])
    if not results:
        raise UserError(f"{parameters_file}: no system could be scored, see the reasons above")
    record = ComparisonRecord(
        format=ComparisonRecord.FORMAT,
        format_version=ComparisonRecord.VERSION,
        tracks=results,
        left_out_tracks=left_out,
        left_out_systems={**unwanted_systems, **failed},
        made_from=MadeFrom(parameters=parameters.determining()),
        environment=environment.describe(),
    )
    _write(record, parameters, pictures, output_dir or workspace, console)
    return FAILURES if failed else 0


def _tracks_left_out(
    parameters: CompareParameters,
    systems: Mapping[str, SystemParameters],
    wanted: Sequence[str] | None,
    raw_dir: Path | None,
) -> dict[str, str]:
    """The tracks that nothing is done on, and why."""
    for name in wanted or ():
        require_known("--tracks", name, parameters.tracks)
    left_out = {}
    for name, track in parameters.tracks.items():
        if wanted is not None and name not in wanted:
            left_out[name] = _UNWANTED
        elif track.download is None and raw_dir is None:
            left_out[name] = "takes micrographs of one's own, and no --raw_dir was given"
        elif not any(each.takes_part(name) for each in systems.values()):
            left_out[name] = "no system takes part in it"
    return left_out


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


def _require_at_hand(place: str, name: str, system: SystemParameters, code_dir: Path | None) -> None:
    """See that a system can be had, before hours are spent on the others.

    Raises:
        UserError: If its network, filter or folder of weights is not there, or it bears the name of something else.
    """
    if system.train is not None:
        choose_network(system.train.model, code_dir, f"{place}.train.model")
    elif system.model and system.model.startswith(_BASELINE):
        choose_baseline(system.model.removeprefix(_BASELINE), f"{place}.model")
    elif system.model and system.model.startswith(topaz.PREFIX):
        topaz.load(system.model, f"{place}.model")
    elif system.model:
        try:
            models_given.open_network(str(_folder_of(system.model)), code_dir)
        except UserError as error:
            raise UserError(f"{place}.model: {str(error).removeprefix('--model: ')}") from error
    if name in _METHODS and system.model != f"{_BASELINE}{name}":
        raise UserError(f"{place}: reports call another method {name!r}: choose another name")


def _names_test_model(model: str) -> bool:
    """Whether the run file of `test` takes a name, rather than a folder of weights."""
    return model.startswith((_BASELINE, topaz.PREFIX))


def _folder_of(model: str) -> Path:
    """The folder of weights that a system names, or its model/."""
    path = models_given.SHIPPED if model == SHIPPED else Path(model)
    inner = path / "model"
    return inner if not _has_weights(path) and _has_weights(inner) else path


def _has_weights(path: Path) -> bool:
    return any((path / name).is_file() for name in (training_record.DOCUMENT_NAME, imported.DOCUMENT_NAME))


class OnTrack:
    """The systems on one track, one after the other; what the tasks say goes to the log.

    Attributes:
        dataset: The track's dataset, once it was brought.
        scored: The systems that were scored.
        failed: The others, with the track's name before theirs, and why.
    """

    def __init__(
        self, name: str, place: Path, scoring: TestParameters, code_dir: Path | None, console: Console
    ) -> None:
        """Nothing is done yet; `place` is the track's folder."""
        self._name, self._place, self._scoring, self._code_dir = name, place, scoring, code_dir
        self._console, self._quiet = console, console.hushed()
        self._sources: list[denoisers.Source] = []
        self.dataset: DatasetRecord
        self.scored: list[compared.Scored] = []
        self.failed: dict[str, str] = {}

    def bring(self, track: TrackParameters, raw_dir: Path | None) -> None:
        """Download and preprocess its micrographs, or those of raw_dir; raises a UserError if that fails."""
        raw = self._place / "raw"
        if track.download is None:
            assert raw_dir is not None  # else the track is left out
            raw = raw_dir
        else:
            self._console.say(f"{self._name}: bringing the micrographs")
            download(_run_file(track.download, self._place / "download.yaml"), raw, self._quiet)
        preprocess(_run_file(track.preprocess, self._place / "preprocess.yaml"), raw, self._data, self._quiet)
        self.dataset = open_dataset(self._data)

    @property
    def _data(self) -> Path:
        return self._place / "data"

    def run(self, systems: Mapping[str, SystemParameters]) -> None:
        """Train and score systems; one that fails is told of, and the others go on."""
        for key, system in systems.items():
            try:
                self._run(key, system)
            except UserError as error:
                self.failed[f"{self._name}, {key}"] = str(error)
                self._console.say(f"{self._name}: {key}: FAILED: {error} (its folder is {self._place / key})")

    def _run(self, key: str, system: SystemParameters) -> None:
        here = self._place / key
        parameters, weights = self._scoring.model_copy(update={"figures": False}), here / "model"
        if (training := system.training_on(self._name)) is not None:
            self._console.say(f"{self._name}: {key}: training")
            train(_run_file(training, here / "train.yaml"), self._data, weights, self._code_dir, self._quiet)
        elif system.model is not None and _names_test_model(system.model):
            parameters = parameters.model_copy(update={"model": system.model})
        elif system.model is not None:
            weights = _folder_of(system.model)
        file = _run_file(parameters, here / "test.yaml")
        test(file, self._data, weights, here / "results", self._code_dir, None, self._quiet)
        report, measures = open_results(here / "results")
        self._sources.append(denoisers.choose(parameters, file, self.dataset, weights, self._code_dir, None))
        self.scored.append(compared.Scored(key, system, report, measures))
        counts = report.that_counts
        fitted = f"{wording.psnr(counts.affine_fitted.psnr_db)} dB with affine fit"
        self._console.say(f"{self._name}: {key}: {wording.psnr(counts.denoised.psnr_db)} dB, {fitted}")

    @torch.no_grad()
    def pictures(self, result: TrackResult) -> list[compared_page.Picture]:
        """One test patch as it is, as it should be, and as every system makes it, each under its best affine map."""
        device, dataset = devices.choose("auto"), self.dataset
        index = np.array([dataset.splits["test"].samples // 2])
        with SplitReader(self._data, dataset, "test", roles_of("test", has_truth(dataset.segments))) as reader:
            noisy, *others = reader.read(index)
        pictures = [
            compared_page.Picture("noisy input", noisy[0, 0], own_scale=True),
            compared_page.Picture(result.against, others[-1][0, 0]),
        ]
        made = {}
        for each, source in zip(self.scored, self._sources, strict=True):
            images = denoisers.ready(source, self._data, dataset, device).images
            denoised = images(index, devices.place(torch.from_numpy(noisy), device)).double().cpu().numpy()[0, 0]
            fitted = each.report.that_counts.affine_fitted
            made[each.name] = compared_page.Picture(each.system.title, fitted.slope * denoised + fitted.offset)
        return pictures + [made[row.name] for row in result.rows if row.name in made]


def _run_file(parameters: Parameters, path: Path) -> Path:
    """Parameters as a run file, with which the task can be run again by hand."""
    make_directory(path.parent)
    content = parameters.model_dump(mode="json", by_alias=True, exclude_unset=True)
    write_atomically(path, yaml.safe_dump(content, sort_keys=False).encode())
    return path
