"""Measure a reference set anew: python tools/reference.py NAME [--seeds 10] [--directory DIR].

Runs the tasks of run/NAME with so many seeds, the first being that of the run file, in DIR/NAME, and writes
reference/NAME.json and, in reference/NAME/, the run files, report.json and the logs. What DIR holds already is not
done again but for the scores, which take seconds. `empiar10025`, whose run files are those in run/, is only written
down: this project has not made its dataset.
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.reference import Reference, ReferenceRun
from cryodenoise.config.report import Report
from cryodenoise.config.run_files import DownloadParameters, PreprocessParameters
from cryodenoise.config.submission import Track
from cryodenoise.config.training import TrainParameters
from cryodenoise.models import choose, parameter_count
from cryodenoise.submission.digests import test_digest

ROOT = Path(__file__).resolve().parents[1]
TASKS = ("download", "preprocess", "train", "test")
TOLERANCE_DB = 0.03
"""Four times the most by which kernels and thread counts were seen to change the PSNR (reference/README.md)."""


@dataclass(frozen=True)
class Set:
    """What is decided of a reference set, not measured.

    Attributes:
        folder: Its run files.
        track: What it is ranked in.
        runs_required: Trainings that a submission needs.
        tolerance_db: See reference/README.md; None where nothing is measured.
    """

    folder: str
    track: Track
    runs_required: int
    tolerance_db: float | None


SETS = {
    "smoke": Set("run/smoke", "truth", 1, TOLERANCE_DB),
    "truth": Set("run/truth", "truth", 5, TOLERANCE_DB),
    "halves": Set("run/halves", "halves", 5, TOLERANCE_DB),
    "empiar10025": Set("run", "added_noise", 5, None),
}


def measure(name: str, seeds: int, directory: Path) -> tuple[DatasetRecord, Report]:
    """Run the tasks of a set in directory/NAME."""
    workspace, runs = directory / name, directory / name / "run"
    runs.mkdir(parents=True, exist_ok=True)
    for task in TASKS:
        text = (ROOT / SETS[name].folder / f"{task}.yaml").read_text()
        (runs / f"{task}.yaml").write_text(text + (f"repeat: {seeds}\n" if task == "train" else ""))
    shutil.rmtree(workspace / "results", ignore_errors=True)
    command = ("pipeline", str(runs), "--workspace", str(workspace))
    subprocess.run([sys.executable, "-m", "cryodenoise", *command], check=True)
    report = Report.load_document(workspace / "results/report.json")
    return DatasetRecord.load_document(workspace / "data/dataset.json"), report


def runs_of(report: Report) -> list[ReferenceRun]:
    """Seeds and scores of a report of several trainings."""
    spread = report.across_seeds
    assert spread is not None
    pairs = zip(spread.seeds, spread.psnr_db, strict=True)
    return [ReferenceRun(seed=seed, psnr_db=psnr_db) for seed, psnr_db in pairs]


def reference(name: str, measured: tuple[DatasetRecord, Report] | None) -> Reference:
    """The document of a set, with what was measured of it if anything was."""
    decided = SETS[name]
    files = {task: ROOT / decided.folder / f"{task}.yaml" for task in TASKS}
    train = TrainParameters.load(files["train"])
    network = choose(train.model, None, str(files["train"]))
    found: dict[str, Any] = {"dataset_identity": None, "test_digest": None, "runs": [], "environment": {}}
    if measured:
        dataset, report = measured
        found = {
            "dataset_identity": dataset.identity,
            "test_digest": test_digest(dataset),
            "runs": runs_of(report),
            "environment": report.environment,
        }
    return Reference(
        format=Reference.FORMAT,
        format_version=Reference.VERSION,
        name=name,
        track=decided.track,
        runs_required=decided.runs_required,
        download=DownloadParameters.load(files["download"]).determining(),
        preprocess=PreprocessParameters.load(files["preprocess"]).determining(),
        train={key: value for key, value in train.determining().items() if key != "seed"},
        parameters=parameter_count(network.build()),
        tolerance_db=decided.tolerance_db,
        **found,
    )


def keep(name: str, directory: Path) -> None:
    """Copy run files, report and logs of a measured set to reference/NAME/."""
    kept, workspace = ROOT / "reference" / name, directory / name
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    results = workspace / "results"
    for path in (*(workspace / "run").iterdir(), results / "report.json", *results.glob("result_*.txt")):
        shutil.copy(path, kept / path.name)


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SETS)
    parser.add_argument("--seeds", type=int, default=10, help="trainings that differ by their seed, 2 at least")
    parser.add_argument("--directory", type=Path, default=ROOT / "workspace/reference", help="where the work is done")
    arguments = parser.parse_args()
    name, directory = arguments.name, arguments.directory
    measured = None if SETS[name].tolerance_db is None else measure(name, arguments.seeds, directory)
    if measured:
        keep(name, directory)
    document = reference(name, measured)
    (ROOT / "reference" / f"{name}.json").write_text(document.dumps())
    if measured and (spread := measured[1].across_seeds):
        print(f"{name}: {spread.mean_db:.3f} dB, standard deviation {spread.standard_deviation_db:.3f} dB over seeds")


if __name__ == "__main__":
    main()
