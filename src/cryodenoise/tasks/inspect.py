"""Command `inspect`: figures of some patches of a dataset."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cryodenoise.config.documents import DatasetRecord, SplitName
from cryodenoise.config.run_files import PairsKind, PreprocessParameters, is_clipped
from cryodenoise.config.schema import validate
from cryodenoise.console import Console
from cryodenoise.dataset.layout import DOCUMENT_NAME, has_truth, roles_of
from cryodenoise.dataset.origin import origin_of
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.errors import UserError, require_known
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import figures
from cryodenoise.signal.noise import MODELS

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
WORDS: dict[PairsKind, tuple[str, str]] = {
    "added_noise": ("micrograph", "noise added"),
    "given": ("clean", "noisy"),
    "truth": ("truth", "micrograph"),
    "halves": ("other half", "half"),
}
"""What targets and inputs are called."""
FEWEST, MOST = len(SPLITS), 24


def inspect(data_dir: Path, output_dir: Path | None, patches: int, console: Console) -> None:
    """Write a contact sheet, histograms and power spectra of patches of the dataset in data_dir.

    Args:
        data_dir: Folder of the dataset.
        output_dir: Gets the PNG files; None takes `figures` beside data_dir.
        patches: How many patches, shared among the splits.
        console: Takes what is to be said.

    Raises:
        UserError: If the dataset or a sample is unsound, or output_dir is within data_dir or cannot be written.
    """
    if not FEWEST <= patches <= MOST:
        raise UserError(f"--patches: found {patches}, expected {FEWEST} to {MOST}")
    output_dir = output_dir or data_dir.resolve().parent / "figures"
    if output_dir.resolve().is_relative_to(data_dir.resolve()):
        raise UserError(f"{output_dir}: within {data_dir}, which holds the dataset alone: choose another --output_dir")
    record = open_dataset(data_dir)
    path = data_dir / DOCUMENT_NAME
    parameters = validate(PreprocessParameters, json.dumps(record.made_from.parameters), path)
    require_known(f"{path}: made_from.parameters.noise.model", parameters.noise.model, MODELS)
    chosen = list(_chosen(data_dir, record, patches))
    rows_px, columns_px = record.sample_shape
    counts = ", ".join(f"{record.splits[split].samples:,} {split}" for split in SPLITS)
    title = (
        f"dataset {record.identity[:16]}: patches of {rows_px} × {columns_px} ({counts})\n{len(chosen)} of them, "
        f"spread evenly over the splits; noise: {_noise(parameters)}"
    )
    words = figures.Words(*WORDS[record.pairs], clipped=is_clipped(record.pairs, parameters.normalization))
    drawn = {
        "contact_sheet.png": figures.contact_sheet(chosen, title, words),
        "histograms.png": figures.histograms(chosen, title, words),
        "power_spectra.png": figures.power_spectra(chosen, title, words),
    }
    make_directory(output_dir)
    for name, content in drawn.items():
        write_atomically(output_dir / name, content)
        console.say(f"{output_dir / name}")


def spread(samples: int, count: int) -> list[int]:
    """Indices of at most `count` samples, evenly spread: the middles of equal parts."""
    count = min(count, samples)
    return [(2 * part + 1) * samples // (2 * count) for part in range(count)]


def _chosen(data_dir: Path, record: DatasetRecord, patches: int) -> Iterator[figures.Patch]:
    for number, split in enumerate(SPLITS):
        place = record.splits[split]
        indices = spread(place.samples, (patches + len(SPLITS) - 1 - number) // len(SPLITS))
        roles = roles_of(place.file, has_truth(record.segments))
        with SplitReader(data_dir, record, split, roles) as reader:
            samples = zip(*(images[:, 0] for images in reader.read(np.array(indices))), strict=True)
        for index, (noisy, target, *truth) in zip(indices, samples, strict=True):
            origin = origin_of(record, place.file, place.first_sample + index)
            assert origin is not None  # `open_dataset` has seen that segments cover the splits
            micrograph = record.micrographs[record.segments[origin.segment].micrograph]
            half = f"\ninput: {origin.half} frames" if origin.half else ""
            label = f"{_short(origin.micrograph)}\nrow {origin.y_px}, column {origin.x_px}{half}"
            yield figures.Patch(split, label, noisy, target, micrograph.pixel_size_angstrom, *truth)


def _short(name: str) -> str:
    """A name as far as a figure has room, its end kept: micrographs of one session begin alike."""
    return name if len(name) <= 30 else f"…{name[-29:]}"


def _noise(parameters: PreprocessParameters) -> str:
    """What the run file says of the noise, in words."""
    if parameters.pairs.kind != "added_noise":
        return {"given": "as given", "truth": "the micrograph's own"}.get(parameters.pairs.kind, "the halves' own")
    noise, model = parameters.noise, MODELS[parameters.noise.model]
    shot = [f"{noise.electrons_at_one} electrons at intensity 1"] * model.shot
    return ", ".join([noise.model, *shot, *[f"sigma {noise.sigma}"] * model.readout])
