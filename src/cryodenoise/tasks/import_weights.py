"""Command `import-weights`: another program's weights in, weights of this program and imported.json out."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from cryodenoise import devices, environment
from cryodenoise.baselines.baseline import Denoise
from cryodenoise.claims import claim
from cryodenoise.config.documents import DatasetRecord, MadeFrom
from cryodenoise.config.imported_record import (
    AUTO,
    ImportedFile,
    ImportedRecord,
    ImportParameters,
    OrderScore,
    Origin,
)
from cryodenoise.config.run_files import is_clipped
from cryodenoise.config.training_record import WeightsFile
from cryodenoise.console import Console
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.errors import UserError, require_known
from cryodenoise.evaluation import orders, references
from cryodenoise.evaluation.orders import OrdersScored
from cryodenoise.files import sha256_of
from cryodenoise.models import MODELS, parameter_count, v28f
from cryodenoise.models.denoiser import as_denoiser
from cryodenoise.models.imported import DOCUMENT_NAME, WEIGHTS_NAME, like_it, open_imported
from cryodenoise.models.weights import load_into, write_tensors


def import_weights(
    origin: Origin, directory: Path, data_dir: Path, output_dir: Path, order: str, console: Console
) -> None:
    """Bring weights of another program here, in the order that denoises.

    Args:
        origin: The program that wrote them.
        directory: Its files.
        data_dir: Dataset on whose validation patches every order is scored.
        output_dir: Gets imported.safetensors and imported.json.
        order: Name of the order in which the values lie, or `auto` for the one with the lowest error.
        console: Takes what is to be said.

    Raises:
        UserError: If files or the dataset are missing or damaged, another order is better than the one that was given,
            or none makes a denoiser of the values.
    """
    require_known("--order", order, [AUTO, *v28f.ORDERS])
    raw = v28f.read(directory)
    if raw.not_read:
        console.say(f"{directory}: not read, as no layer has files of these names: {', '.join(raw.not_read)}")
    dataset = open_dataset(data_dir)
    read = {name: file.sha256 for name, file in raw.files.items()}
    made_from = MadeFrom(
        parameters=ImportParameters.model_validate({"from": origin, "order": order}).determining(),
        inputs={"files": read, "dataset": dataset.identity},
    )
    with claim(output_dir, DOCUMENT_NAME, ImportedRecord.TASK, made_from.model_dump()) as work:
        if work.finished:
            former = open_imported(output_dir)
            console.say(f"{output_dir} already holds these weights, read in the order {former.order}: nothing to do")
            return
        device = devices.choose("auto")
        states = {name: v28f.state(raw, name) for name in v28f.ORDERS}
        readings = {name: _denoiser(state, directory, device) for name, state in states.items()}
        scored = orders.score(readings, references.known(data_dir, dataset, device).validation)
        taken = _choose(scored, order, directory, dataset)
        for line in _told(scored, taken):
            console.say(line)
        weights = output_dir / WEIGHTS_NAME
        write_tensors(weights, states[taken], {"model": v28f.MODEL})
        record = ImportedRecord(
            format=ImportedRecord.FORMAT,
            format_version=ImportedRecord.VERSION,
            origin=origin,
            model=v28f.MODEL,
            parameters=parameter_count(MODELS[v28f.MODEL].build()),
            weights=WeightsFile(name=weights.name, sha256=sha256_of(weights)),
            order=taken,
            files=[
                ImportedFile(name=name, size_bytes=file.size_bytes, sha256=file.sha256)
                for name, file in raw.files.items()
            ],
            orders={
                name: OrderScore(mse=mse if math.isfinite(mse) else None, like_best=name in scored.like_best)
                for name, mse in scored.mse.items()
            },
            validation_samples=scored.samples,
            input_mse=scored.input_mse,
            affine_mse=scored.affine_mse,
            normalization=_normalization(dataset),
            clipped=is_clipped(dataset.pairs, dataset.made_from.parameters.get("normalization")),
            device=devices.name_of(device),
            made_from=made_from,
            environment=environment.describe(),
        )
        work.finish(record.dumps())
    for line in _explained(record):
        console.say(line)
    console.say(f"{output_dir}: {v28f.MODEL}, {record.parameters:,} parameters, read in the order {taken}")


def _denoiser(state: dict[str, torch.Tensor], directory: Path, device: torch.device) -> Denoise:
    with torch.random.fork_rng(devices=[]):
        module = MODELS[v28f.MODEL].build()
    load_into(module, state, v28f.MODEL, directory)
    return as_denoiser(devices.place(module, device), v28f.MODEL, False, "scoring")


def _normalization(dataset: DatasetRecord) -> str:
    return str(dataset.made_from.parameters.get("normalization"))


def _choose(scored: OrdersScored, order: str, directory: Path, dataset: DatasetRecord) -> str:
    """The order that is taken: the one that was asked for, or the first of the best.

    Raises:
        UserError: If none of the best is better than the noisy input, or another is better than what was asked for.
    """
    good = [name for name in scored.like_best if scored.beats_input(name)]
    if not good:
        told = ", ".join(f"{name} {_shown(mse)}" for name, mse in scored.mse.items())
        raise UserError(
            f"{directory}: in none of the known orders do the files denoise: on {scored.samples} validation patches "
            f"they give {told}, the noisy input {_shown(scored.input_mse)}, the best affine map "
            f"{_shown(scored.affine_mse)}: the values are scrambled in a way that cannot be undone, or hardly "
            "trained, or trained on other data (v28f divides by the 95th percentile, clips to [0, 1] and adds "
            f"poisson_gaussian noise; this dataset has the normalization {_normalization(dataset)} and pairs "
            f"{dataset.pairs}): give --data_dir a dataset like v28f's, or the files of another epoch"
        )
    if order == AUTO:
        return good[0]
    if order not in good:
        raise UserError(
            f"--order {order}: read so, the files give {_against(scored, order)}; in the order {scored.best} they give "
            f"{_shown(scored.mse[scored.best])}: give --order {good[0]}, or leave it out"
        )
    return order


def _against(scored: OrdersScored, name: str) -> str:
    """An error, beside the noisy input's where it is worse."""
    mse = _shown(scored.mse[name])
    return mse if scored.beats_input(name) else f"{mse}, worse than the noisy input ({_shown(scored.input_mse)})"


def _told(scored: OrdersScored, taken: str) -> list[str]:
    """Every order with its error, the lowest first, and the references below."""
    rows: list[tuple[str, float, str]] = []
    for name, mse in sorted(scored.mse.items(), key=lambda item: (item[1], item[0] != taken)):
        verdict = "taken" if name == taken else "as good" if name in scored.like_best else ""
        rows.append((name, mse, verdict or ("" if scored.beats_input(name) else "worse than the noisy input")))
    rows += [("(noisy input)", scored.input_mse, ""), ("(best affine map)", scored.affine_mse, "")]
    width = max(len(name) for name, _, _ in rows)
    lines = [f"{name.ljust(width)}  {_shown(mse).rjust(9)}  {verdict}".rstrip() for name, mse, verdict in rows]
    return [f"mean squared error on {scored.samples} validation patches, by the order of the values:", *lines]


def _explained(record: ImportedRecord) -> list[str]:
    """What was right, and what was wrong, in sentences."""
    wrong = [name for name, score in record.orders.items() if not score.like_best]
    errors = {name: math.inf if score.mse is None else score.mse for name, score in record.orders.items()}
    lines = [f"the files are in the order {record.order}: {_shown(errors[record.order])}"]
    if wrong:
        given = _in_words([f"{_shown(errors[name])} as {name}" for name in wrong])
        all_worse = all(errors[name] >= record.input_mse for name in wrong)
        than = f", worse than the noisy input ({_shown(record.input_mse)})" if all_worse else ""
        lines[0] += f"; read otherwise they give {given}{than}"
    if others := like_it(record):
        lines.append(
            f"the patches cannot tell {record.order} from {', '.join(others)}: give --order if you know it "
            "(with all kernels transposed, a network does as well where rows and columns of the images are alike)"
        )
    if record.affine_mse <= errors[record.order]:
        lines.append(f"an affine map of the input does as well or better: {_shown(record.affine_mse)}")
    return lines


def _in_words(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _shown(mse: float) -> str:
    return f"{mse:.4g}" if math.isfinite(mse) else "no number"
