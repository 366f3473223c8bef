"""What `denoise` and `export` are given to denoise with: a model folder, a package, an ONNX file, a filter, nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeGuard

import torch
from torch import nn

import cryodenoise
from cryodenoise import devices
from cryodenoise.baselines import BASELINES, Batches, Fitted, Known
from cryodenoise.baselines import choose as choose_baseline
from cryodenoise.claims import MARKER_NAME
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.schema import canonical
from cryodenoise.config.training import ImportedModel
from cryodenoise.config.training_record import TrainedOn
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError
from cryodenoise.evaluation import references
from cryodenoise.inference import networks
from cryodenoise.inference.memory import bytes_per_px
from cryodenoise.inference.model import Model
from cryodenoise.inference.onnx_model import open_onnx
from cryodenoise.inference.onnx_session import computing_device
from cryodenoise.models import Network, imported, topaz
from cryodenoise.models.denoiser import as_denoiser
from cryodenoise.submission.check import checked, is_package
from cryodenoise.tasks.folders import read_json
from cryodenoise.training.checkpoints import load_network
from cryodenoise.training.record import DOCUMENT_NAME, network_of, open_training
from cryodenoise.training.seen import trained_on

BASELINE, ONNX_SUFFIX = "baseline/", ".onnx"
SHIPPED = Path(cryodenoise.__file__).parent / "reference/shipped"


class Trained(NamedTuple):
    """A network that was trained, here or elsewhere."""

    network: Network
    module: nn.Module
    name: str
    digest: str
    """SHA-256 of its weights."""
    normalization: str
    """Rule by which the intensities that it knows came to [0, 1]."""
    clipped: bool
    """Whether intensities beyond were clipped there."""
    trained_on: TrainedOn | None
    """None of imported weights: that is not known."""
    own: bool
    """Whether its code is the user's."""


def open_network(given: str | None, code_dir: Path | None) -> Trained:
    """The network of a training, of a package, of imported weights, or the one that is shipped.

    Args:
        given: Folder that `train` or `import-weights` wrote, a workspace, or a package; None takes the shipped model.
        code_dir: Code of a network of one's own.

    Raises:
        UserError: If there is none, or it was altered.
    """
    with _folder(given) as folder:
        if not (folder / DOCUMENT_NAME).is_file():
            return _imported(folder)
        record = open_training(folder)
        network = network_of(record, folder, code_dir)
        module = load_network(folder / record.weights.name, network)
        name = f"{network.name} as shipped" if given is None else network.name
        seen, own = record.trained_on, isinstance(record.model, ImportedModel)
        return Trained(network, module, name, record.weights.sha256, seen.normalization, seen.clipped, seen, own)


def _imported(folder: Path) -> Trained:
    """The network of imported weights, at home where they were seen to work."""
    record = imported.open_imported(folder)
    network, module = imported.network_of(record, folder), imported.load(record, folder)
    digest = record.weights.sha256
    return Trained(network, module, network.name, digest, record.normalization, record.clipped, None, False)


@contextmanager
def _folder(given: str | None) -> Iterator[Path]:
    """The folder of training.json or imported.json, and weights."""
    path = SHIPPED if given is None else Path(given)
    names = (DOCUMENT_NAME, imported.DOCUMENT_NAME)
    places = [place for place in (path, path / "model") if any((place / name).is_file() for name in names)]
    if places:
        yield places[0]
        return
    for place in (path, path / "model"):
        if (place / MARKER_NAME).is_file():
            task = read_json(place / MARKER_NAME).get("task", "its task")
            raise UserError(f"--model: {place}: unfinished: run `cryodenoise {task}` there again, to its end")
    if not path.exists():
        raise UserError(f"--model: {path}: no such file or folder: give {_EXPECTED}")
    if not is_package(path) or path.suffix in (".json", ".safetensors"):
        raise UserError(f"--model: {path}: found neither {DOCUMENT_NAME} nor a package: give {_EXPECTED}")
    with checked(path) as outcome:
        if outcome.package is None or outcome.findings:
            raise UserError(f"--model: {path}: `cryodenoise check` refuses this package: see what it says")
        yield outcome.package.path / outcome.package.trainings[0].folder


_EXPECTED = (
    f"the folder that `train` or `import-weights` wrote, a package of `submit`, a file {ONNX_SUFFIX} of `export`, "
    f"`{BASELINE}NAME`, or `{topaz.PREFIX}NAME`"
)


def _is_onnx(given: str | None) -> TypeGuard[str]:
    return given is not None and given.lower().endswith(ONNX_SUFFIX)


def device_of(given: str | None, device: torch.device) -> torch.device:
    """Where a model computes, as `open_model` takes it: an ONNX file on a GPU only where onnxruntime can.

    Raises:
        UserError: If onnxruntime is needed and not installed.
    """
    return computing_device(device, given) if _is_onnx(given) else device


def open_model(
    given: str | None, code_dir: Path | None, data_dir: Path | None, precision: str, device: torch.device,
    pixel_sizes_angstrom: list[float | None],
) -> Model:  # fmt: skip
    """What denoises whole micrographs.

    Args:
        given: As `open_network` takes it, or an ONNX file, or the name of a filter with `baseline/` before it, or of a
            published network with `topaz/` before it.
        code_dir: Code of a network of one's own.
        data_dir: Dataset that a filter is fitted on; none for other models.
        precision: Type in which a network's convolutions compute.
        device: Where.
        pixel_sizes_angstrom: Of the micrographs; a filter that is defined in Å needs one.

    Raises:
        UserError: If there is no such model, it was altered, or something that it needs is missing.
    """
    is_filter = given is not None and given.startswith(BASELINE)
    is_published = given is not None and given.startswith(topaz.PREFIX)
    if precision != "fp32" and (is_filter or is_published or _is_onnx(given)):
        raise UserError(f"precision: found {precision!r}, but {given} computes in float32: leave it out")
    if given is not None and is_filter:
        return _filter(given.removeprefix(BASELINE), data_dir, device, pixel_sizes_angstrom)
    if data_dir is not None:
        raise UserError(f"--data_dir: {data_dir}: a filter is fitted on it, and the model is none: leave it out")
    if given is not None and is_published:
        return _published(given, device)
    if _is_onnx(given):
        return open_onnx(Path(given), device)
    trained = open_network(given, code_dir)
    return networks.of_network(
        trained.network, trained.module, trained.name, trained.digest, trained.normalization, trained.clipped,
        trained.trained_on, precision, device, trained.own,
    )  # fmt: skip


def _published(name: str, device: torch.device) -> Model:
    """A network of Topaz-Denoise, which normalises what it is given: it gets whole micrographs, of whatever scale."""
    module = topaz.load(name, "--model")
    counted = bytes_per_px(module, 1)
    return Model(
        name=name,
        digest=topaz.find(name, "--model").sha256,
        denoise=as_denoiser(devices.place(module, device), name, own=False, work="denoising"),
        normalization="p1_p99",
        clipped=False,
        multiple_px=1,
        reach_px=None,
        bytes_per_px=counted,
        trained_on=None,
    )


_WITHOUT_DATA = {"identity", "lowpass20"}
_FILTER_BYTES_PER_PX = 120.0  # transforms of mirrored images, and their factors: benchmarks/RESULTS.md


def _filter(name: str, data_dir: Path | None, device: torch.device, pixel_sizes_angstrom: list[float | None]) -> Model:
    """A classical filter, fitted as the scores fit it."""
    place = f"--model {BASELINE}{name}"
    baseline = choose_baseline(name, f"--model: {BASELINE}")
    if data_dir is None and name not in _WITHOUT_DATA:
        able = ", ".join(sorted(_WITHOUT_DATA))
        raise UserError(
            f"{place}: it is fitted on a dataset, and none was given: give --data_dir, the folder that `preprocess` "
            f"wrote (those that need none: {able}, of {', '.join(BASELINES)})"
        )
    dataset: DatasetRecord | None = None
    if data_dir is not None:
        dataset = open_dataset(data_dir)
        known = references.known(data_dir, dataset, device)
    else:
        known = Known(_nothing, _nothing, _one_size(place, pixel_sizes_angstrom) if name == "lowpass20" else None)
    with torch.no_grad():
        fitted = baseline.fit(known)
    if fitted is None:
        raise UserError(f"{place}: it does not apply, as the pixel size is unknown or too coarse: choose another")
    seen = trained_on(dataset, data_dir) if dataset and data_dir else None
    return Model(
        name=baseline.title,
        digest=_digest(name, fitted, dataset),
        denoise=fitted.denoise,
        normalization=seen.normalization if seen else "p1_p99",
        clipped=seen.clipped if seen else False,
        multiple_px=1,
        reach_px=0 if name in ("identity", "affine", "pointwise") else None,
        bytes_per_px=_FILTER_BYTES_PER_PX,
        trained_on=seen,
    )


_nothing: Batches = lambda: iter(())  # noqa: E731  a constant, not a function of this file


def _one_size(place: str, sizes: list[float | None]) -> float:
    known = sorted({size for size in sizes if size is not None})
    if not known or None in sizes or known[-1] > 1.0001 * known[0]:
        found = "one without" if None in sizes else " and ".join(f"{size:g} Å" for size in known[:: len(known) - 1])
        raise UserError(f"{place}: needs one pixel size for all micrographs, found {found}: give --pixel_size_angstrom")
    return known[0]


def _digest(name: str, fitted: Fitted, dataset: DatasetRecord | None) -> str:
    """SHA-256 of what a filter is a function of."""
    told = {"baseline": name, "found": fitted.parameters, "dataset": dataset.identity if dataset else None}
    return sha256(canonical(json.loads(json.dumps(told)))).hexdigest()
