"""Command `picture`: figures of a micrograph in raw/, of its truth and its halves."""

from pathlib import Path

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord
from cryodenoise.config.exposure import ExposureRecord
from cryodenoise.config.simulation import OpticsParameters
from cryodenoise.console import Console
from cryodenoise.errors import UserError
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.preprocessing.candidate import PARTICLES
from cryodenoise.report import exposures
from cryodenoise.simulation.optics import zeros
from cryodenoise.sources.record import DOCUMENT_NAME

FOLDERS = {"truth": "truth", "even": "even frames", "odd": "odd frames"}
"""Folders beside the micrographs that may hold an image of the same name, and what it is called."""


def picture(raw_dir: Path, micrograph: str | None, output_dir: Path | None, console: Console) -> None:
    """Draw a micrograph with all that is known of it.

    Args:
        raw_dir: Folder of micrographs, simulated or one's own.
        micrograph: File name of one; None takes the first.
        output_dir: Gets exposure.png and spectrum.png; None takes `pictures` beside raw_dir.
        console: Takes what is to be said.

    Raises:
        UserError: If there is no such micrograph, or one cannot be read.
    """
    gain_path = _gain_path(raw_dir)
    path = _path(raw_dir, micrograph, gain_path)
    header = micrographs.read_header(path)
    images = {"micrograph": micrographs.read(path)}
    for folder, name in FOLDERS.items():
        twin = _twin(raw_dir / folder, path)
        if twin:
            images[name] = micrographs.read(twin)
            if images[name].shape != images["micrograph"].shape:
                raise UserError(f"{twin}: another shape than {path}: remove one of them")
    if gain_path:
        gain = micrographs.read(gain_path)
        for name in images.keys() - {FOLDERS["truth"]}:
            micrographs.apply_gain(path, images[name], gain)
    record = _record(raw_dir / PARTICLES / f"{micrographs.stem(path)}.json", images["micrograph"])
    corrected = ", corrected by its gain reference" * (gain_path is not None)
    title = f"{path.name}: {header.height_px} × {header.width_px} pixels"
    if header.pixel_size_angstrom:
        title += f" of {header.pixel_size_angstrom:.4g} Å"
    if record:
        title += f", underfocus {record.defocus_u_um:.2f} and {record.defocus_v_um:.2f} µm"
    shown = exposures.Shown(
        title=title + corrected,
        images=images,
        pixel_size_angstrom=record.pixel_size_angstrom if record else header.pixel_size_angstrom,
        particles=record.particles if record else [],
        zeros=_zeros(record),
    )
    output_dir = output_dir or raw_dir.resolve().parent / "pictures"
    if output_dir.resolve().is_relative_to(raw_dir.resolve()):
        raise UserError(f"{output_dir}: within {raw_dir}, which holds micrographs alone: choose another --output_dir")
    drawn = {"exposure.png": exposures.exposure_sheet(shown), "spectrum.png": exposures.spectrum_sheet(shown)}
    make_directory(output_dir)
    for name, content in drawn.items():
        write_atomically(output_dir / name, content)
        console.say(f"{output_dir / name}")


def _gain_path(raw_dir: Path) -> Path | None:
    """The gain reference of counts that are not corrected, as download.json tells of it."""
    if not raw_dir.is_dir():
        raise UserError(f"{raw_dir}: no such folder: give the folder of your micrographs")
    document = raw_dir / DOCUMENT_NAME
    files = DownloadRecord.load_document(document).files if document.exists() else []
    path = next((raw_dir / file.name for file in files if file.role == "gain"), None)
    if path and not path.is_file():
        raise UserError(f"{path}: missing, though {DOCUMENT_NAME} names it: {DownloadRecord.remedy()}")
    return path


def _path(raw_dir: Path, micrograph: str | None, gain_path: Path | None) -> Path:
    found = (path for path in raw_dir.iterdir() if micrographs.is_micrograph(path) and path != gain_path)
    names = sorted(path.name for path in found)
    if not names:
        raise UserError(f"{raw_dir}: holds no micrograph: run `cryodenoise download` first")
    if micrograph is not None and micrograph not in names:
        raise UserError(f"{raw_dir / micrograph}: no such micrograph: give one of {', '.join(names[:5])}")
    return raw_dir / (micrograph or names[0])


def _twin(folder: Path, path: Path) -> Path | None:
    """The image of the same name, whatever its suffix."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return next(
        (
            each
            for each in found
            if micrographs.is_micrograph(each) and micrographs.stem(each) == micrographs.stem(path)
        ),
        None,
    )


def _record(path: Path, image: np.ndarray) -> ExposureRecord | None:
    if not path.is_file():
        return None
    record = ExposureRecord.load_document(path)
    if (record.height_px, record.width_px) != image.shape:
        raise UserError(
            f"{path}: tells of {record.height_px} × {record.width_px} pixels, but the micrograph has "
            f"{image.shape[0]} × {image.shape[1]}: remove the one or the other"
        )
    return record


def _zeros(record: ExposureRecord | None) -> np.ndarray:
    if record is None:
        return np.empty(0)
    optics = OpticsParameters(
        voltage_kv=record.voltage_kv, cs_mm=record.cs_mm, amplitude_contrast=record.amplitude_contrast
    )
    mean_angstrom = (record.defocus_u_um + record.defocus_v_um) * 1e4 / 2
    return zeros(optics, mean_angstrom, 0.5 / record.pixel_size_angstrom)
