"""What a package holds, and where: one folder, the same for whoever writes and whoever reads it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import Report
from cryodenoise.config.schema import Document
from cryodenoise.config.submission import APPLICATION, Manifest, PackagedRun
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.dataset import layout
from cryodenoise.errors import UserError
from cryodenoise.evaluation import measures
from cryodenoise.training.checkpoints import BEST_NAME
from cryodenoise.training.record import DOCUMENT_NAME as TRAINING_NAME
from cryodenoise.training.record import folder_of

MANIFEST_NAME, CONFIG_NAME, SYSTEM_NAME = "manifest.json", "config.yaml", "system.json"
README_NAME, WRITE_UP_NAME = "README.md", "WRITEUP.md"
REPORT_NAME = "report.json"


@dataclass(frozen=True)
class Training:
    """A training of a run.

    Attributes:
        folder: Place in the package of its weights and training.json.
        record: What training.json says.
        log: Place in the package of its log.
    """

    folder: Path
    record: TrainingRecord
    log: str


@dataclass(frozen=True)
class Run:
    """A folder of results, and what it was made from.

    Attributes:
        place: Place in the package of its folders data/, model/ and results/.
        report: What `test` reported.
        dataset: What it was scored on.
        trainings: What was scored: first that of the report, then those of other seeds.
    """

    place: Path
    report: Report
    dataset: DatasetRecord
    trainings: tuple[Training, ...]

    @property
    def report_place(self) -> Path:
        """Place in the package of report.json."""
        return self.place / "results" / REPORT_NAME

    @property
    def seeds(self) -> list[int]:
        """Seed of each training, by its training.json."""
        return [int(training.record.made_from.parameters["seed"]) for training in self.trainings]


@dataclass(frozen=True)
class Package:
    """A package whose documents could be read.

    Attributes:
        path: Where it lies.
        manifest: What manifest.json says.
        runs: What was run.
    """

    path: Path
    manifest: Manifest
    runs: tuple[Run, ...]

    @property
    def trainings(self) -> list[Training]:
        """The trainings of all runs."""
        return [training for run in self.runs for training in run.trainings]


def folder_in(root: Path, organization: str, system: str, descriptor: str) -> Path:
    """Where the folder of a submission lies, as MLCommons Science asks for it."""
    return root / organization / APPLICATION / system / descriptor


def run_folder(number: int) -> str:
    """Place in a package of a run, counted from 0."""
    return f"runs/{number}"


def names_of(run: PackagedRun) -> Iterator[str]:
    """The places in a package of all files of a run but its logs."""
    yield f"{run.folder}/data/{layout.DOCUMENT_NAME}"
    yield f"{run.folder}/results/{REPORT_NAME}"
    yield f"{run.folder}/results/{measures.NAME}"
    for number in range(1, len(run.seeds) + 1):
        folder = folder_of(Path(run.folder) / "model", number)
        yield from ((folder / name).as_posix() for name in (TRAINING_NAME, BEST_NAME))


def names_in(manifest: Manifest) -> set[str]:
    """The places of all files that a package with this manifest holds, but for the manifest itself."""
    runs = {name for run in manifest.runs for name in (*names_of(run), *run.logs)}
    return runs | {CONFIG_NAME, SYSTEM_NAME, README_NAME, WRITE_UP_NAME}


def open_package(path: Path, manifest: Manifest) -> Package:
    """Read the documents of a package.

    Args:
        path: The folder.
        manifest: What its manifest.json says; all files that it names are there.

    Raises:
        UserError: If a document is none, of another version, or was edited; the message lists them all, a line each.
    """
    problems: list[str] = []

    def load(schema: type[Document], name: str) -> Document | None:
        try:
            return schema.load_document(path / name)
        except UserError as error:
            remedy = f": {schema.remedy()}"
            problems.extend(line.removeprefix(f"{path}/").removesuffix(remedy) for line in str(error).splitlines())
        except RecursionError:
            problems.append(f"{name}: found endless nesting, expected a document")
        return None

    runs = []
    for run in manifest.runs:
        place = Path(run.folder)
        report = load(Report, f"{place}/results/{REPORT_NAME}")
        dataset = load(DatasetRecord, f"{place}/data/{layout.DOCUMENT_NAME}")
        folders = [folder_of(place / "model", number) for number in range(1, len(run.seeds) + 1)]
        records = [load(TrainingRecord, f"{folder}/{TRAINING_NAME}") for folder in folders]
        if isinstance(report, Report) and isinstance(dataset, DatasetRecord):
            trainings = tuple(
                Training(folder, record, log)
                for folder, record, log in zip(folders, records, run.logs, strict=True)
                if isinstance(record, TrainingRecord)
            )
            runs.append(Run(place, report, dataset, trainings))
    if problems:
        raise UserError("\n".join(problems))
    return Package(path, manifest, tuple(runs))
