"""What `test` scores: a network that was trained, imported or published, a filter, or another program's images."""

from dataclasses import dataclass
from pathlib import Path

import torch

from cryodenoise import devices
from cryodenoise.baselines import choose as choose_baseline
from cryodenoise.baselines.baseline import Denoise
from cryodenoise.claims import entries
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.imported_record import ImportedRecord
from cryodenoise.config.report import Denoiser
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.training import ImportedModel
from cryodenoise.config.training_record import TrainingRecord
from cryodenoise.errors import UserError
from cryodenoise.evaluation import references
from cryodenoise.evaluation.predictions import PredictionsReader, open_predictions
from cryodenoise.evaluation.scored import Scored
from cryodenoise.models import Network, imported, parameter_count, require_takes, topaz
from cryodenoise.models.denoiser import as_denoiser
from cryodenoise.training.checkpoints import load_network
from cryodenoise.training.record import network_of, open_trainings

_BASELINE = "baseline/"


@dataclass(frozen=True)
class Source:
    """What is scored, before it is loaded.

    Attributes:
        inputs: What identifies it.
        trainings: Of a network, its own and those of other seeds; else none.
        imported: Of a network that was not trained here, its folder and record.
        network: Of a network.
        baseline: Name of a filter.
        published: Name of a published network.
        predictions: Images of another program.
    """

    inputs: dict[str, object]
    trainings: list[tuple[Path, TrainingRecord]]
    network: Network | None = None
    baseline: str | None = None
    published: str | None = None
    predictions: PredictionsReader | None = None
    imported: tuple[Path, ImportedRecord] | None = None

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of how it was made."""
        if self.imported:
            return imported.remarks(self.imported[1])
        if self.published:
            return [topaz.REMARK]
        return self.trainings[0][1].remarks if self.trainings else []


def choose(
    parameters: TestParameters,
    parameters_file: Path,
    dataset: DatasetRecord,
    model_dir: Path | None,
    code_dir: Path | None,
    predictions: Path | None,
) -> Source:
    """What the run file and the folders say is scored.

    Raises:
        UserError: If that is nothing, two things, damaged, or does not fit the dataset.
    """
    given = predictions is not None and (not predictions.is_dir() or any(entries(predictions)))
    if parameters.model is not None:
        if given:
            raise UserError(
                f"{parameters_file}: model: {parameters.model}, beside --predictions {predictions}: give the one or "
                "the other"
            )
        if parameters.model.startswith(topaz.PREFIX):
            return _published(parameters.model, f"{parameters_file}: model", dataset)
        name = parameters.model.removeprefix(_BASELINE)
        choose_baseline(name, f"{parameters_file}: model")
        return Source({"baseline": name}, [], baseline=name)
    if predictions is not None and given:
        images = open_predictions(predictions, dataset)
        return Source({"predictions": images.sha256}, [], predictions=images)
    if model_dir is None:
        raise UserError(
            f"{parameters_file}: nothing to score: give --model_dir, --predictions, or `model: baseline/NAME` or "
            "`model: topaz/NAME`"
        )
    if (model_dir / imported.DOCUMENT_NAME).is_file():
        brought = imported.open_imported(model_dir)
        network = imported.network_of(brought, model_dir)
        require_takes(network, dataset.sample_shape, f"{model_dir / imported.DOCUMENT_NAME}: model")
        return Source({"weights": brought.weights.sha256}, [], network=network, imported=(model_dir, brought))
    trainings = open_trainings(model_dir)
    network = network_of(trainings[0][1], model_dir, code_dir)
    require_takes(network, dataset.sample_shape, f"{model_dir / 'training.json'}: model")
    weights = [record.weights.sha256 for _, record in trainings]
    return Source({"weights": weights[0] if len(weights) == 1 else weights}, trainings, network=network)


def _published(name: str, place: str, dataset: DatasetRecord) -> Source:
    published = topaz.find(name, place)
    topaz.require_takes(name, dataset.sample_shape, place)
    topaz.load(name, place)  # what is missing is told before anything is read
    return Source({"published": published.sha256}, [], published=name)


def ready(source: Source, data_dir: Path, dataset: DatasetRecord, device: torch.device) -> Scored:
    """What is scored, ready to denoise on a device.

    Raises:
        UserError: If a filter does not apply to the dataset, or weights cannot be read.
    """
    if predictions := source.predictions:
        denoiser = Denoiser(
            kind="predictions", name=predictions.name, parameters=None, found={}, sha256=predictions.sha256
        )
        return Scored(
            denoiser, lambda indices, _: devices.place(torch.from_numpy(predictions.read(indices)), device), None
        )
    if source.baseline:
        baseline = choose_baseline(source.baseline, "model")
        fitted = baseline.fit(references.known(data_dir, dataset, device))
        if fitted is None:
            raise UserError(
                f"model: baseline/{source.baseline}: {baseline.title} does not apply to this dataset, whose pixel size "
                "is unknown or too coarse: choose another baseline"
            )
        denoiser = Denoiser(kind="baseline", name=baseline.title, parameters=None, found=fitted.parameters, sha256=None)
        return Scored(denoiser, lambda _, noisy: fitted.denoise(noisy), fitted.denoise)
    if name := source.published:
        module = devices.place(topaz.load(name, "model"), device)
        published = Denoiser(
            kind="published",
            name=name,
            parameters=parameter_count(module),
            found={},
            sha256=topaz.find(name, "model").sha256,
        )
        of_image = as_denoiser(module, name, own=False, work="scoring")
        return Scored(published, lambda _, noisy: of_image(noisy), of_image)
    assert source.network, "a source is one of five"
    network = source.network
    if source.imported:
        folder, brought = source.imported
        module = devices.place(imported.load(brought, folder), device)
        of_weights = as_denoiser(module, network.name, False, "scoring")
        denoiser = Denoiser(
            kind="network", name=network.name, parameters=brought.parameters, found={}, sha256=brought.weights.sha256
        )
        return Scored(denoiser, lambda _, noisy: of_weights(noisy), of_weights)
    first, *others = source.trainings

    def denoise(path: Path, record: TrainingRecord) -> Denoise:
        module = devices.place(load_network(path / record.weights.name, network), device)
        return as_denoiser(module, network.name, isinstance(record.model, ImportedModel), "scoring")

    record = first[1]
    main = denoise(*first)
    return Scored(
        Denoiser(
            kind="network", name=network.name, parameters=record.parameters, found={}, sha256=record.weights.sha256
        ),
        lambda _, noisy: main(noisy),
        main,
        _seed(record),
        {_seed(other[1]): denoise(*other) for other in others},
    )


def _seed(record: TrainingRecord) -> int:
    return int(record.made_from.parameters["seed"])
