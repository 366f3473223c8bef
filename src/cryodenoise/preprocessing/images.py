"""The micrographs of raw/: which there are, and how one becomes images in [0, 1]."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.documents import CleanImage, DownloadRecord
from cryodenoise.config.run_files import GainParameters, PreprocessParameters
from cryodenoise.errors import InputError, UserError
from cryodenoise.signal.normalize import MINIMUM_SPREAD, Scaling, apply, normalize, spread


@dataclass(frozen=True)
class Candidate:
    """One micrograph that may be used.

    Attributes:
        path: Its file.
        name: Its place in raw/.
        expected_digest: The digest its pixels must have, where that is known.
        clean_path: The file of the clean image, for given pairs.
        clean_name: Its place in raw/.
        gain_path: The gain reference, if there is one.
    """

    path: Path
    name: str
    expected_digest: str | None = None
    clean_path: Path | None = None
    clean_name: str = ""
    gain_path: Path | None = None


@dataclass(frozen=True)
class Shape:
    """What a header says."""

    height_px: int
    width_px: int
    pixel_size_angstrom: float | None


@dataclass(frozen=True)
class Images:
    """A micrograph in [0, 1].

    Attributes:
        image: float32 of shape (h, w), C order.
        clean: Of a given pair, its clean image, under the scaling of the other; like `image`.
        scaling: What brought it there.
        digests: Digest of its pixels as they were read, and of the clean image's.
        clean_source: Where `clean` comes from.
    """

    image: np.ndarray
    clean: np.ndarray | None
    scaling: Scaling
    digests: tuple[str, ...]
    clean_source: CleanImage | None


class AlteredError(InputError):
    """A file does not hold what was downloaded: never left out like one that cannot be used."""


def find_candidates(
    raw_dir: Path, download: DownloadRecord | None, parameters: PreprocessParameters
) -> list[Candidate]:
    """The micrographs in raw/, sorted by name.

    Args:
        raw_dir: Folder of image files, or of the two folders of given pairs.
        download: What `download` put there; without it, every file of a kind that can be read counts.
        parameters: What to make of them.

    Raises:
        UserError: If there are none, one that download.json names or one half of a pair is missing, or a name cannot
            be written down.
    """
    gain_path = raw_dir / parameters.gain.file if parameters.gain else None
    if gain_path and not gain_path.is_file():
        raise UserError(f"{gain_path}: missing, though gain.file names it: put it there or correct the run file")
    if parameters.pairs.kind == "given":
        found = _pairs(raw_dir, parameters)
    else:
        found = [
            Candidate(path, path.name, digest, gain_path=gain_path)
            for path, digest in _expected(raw_dir, download, gain_path).items()
        ]
    for candidate in found:
        for name in (candidate.name, candidate.clean_name):
            if not name.isprintable():  # nor are bytes that are no UTF-8
                raise UserError(f"{str(raw_dir / name)!a}: its name is not printable UTF-8: rename the file")
    return sorted(found, key=lambda candidate: candidate.name)


def _expected(raw_dir: Path, download: DownloadRecord | None, gain_path: Path | None) -> dict[Path, str | None]:
    """The files of micrographs, each with the digest that its pixels must have, where one is known."""
    present = [path for path in _image_files(raw_dir) if path != gain_path]
    if not download:
        return dict.fromkeys(present)
    files: dict[Path, str | None] = {raw_dir / file.name: file.pixel_digest for file in download.files}
    for path in present:
        if path not in files:
            raise UserError(
                f"{raw_dir}: holds {path.name}, which download.json does not name: move it to a folder of its own"
            )
    for path in files:
        if not path.is_file():
            raise UserError(f"{path}: missing, though download.json names it: {DownloadRecord.remedy()}")
    return {path: digest for path, digest in files.items() if path != gain_path and micrographs.is_micrograph(path)}


def _image_files(directory: Path) -> list[Path]:
    """Files in a folder that look like micrographs.

    Raises:
        UserError: If there are none.
    """
    found = [path for path in directory.iterdir() if micrographs.is_micrograph(path) and not path.is_dir()]
    if not found:
        others = sorted({path.suffix for path in directory.iterdir() if path.is_file() and path.suffix})
        there = f"only files ending in {', '.join(others)}" if others else "no files at all"
        raise UserError(
            f"{directory}: holds no micrograph ({there}), expected {', '.join(micrographs.SUFFIXES)}: run `cryodenoise "
            "download` first, or give the folder of your micrographs as raw_dir (mlcube_docker creates a mistyped "
            "folder empty, and takes a relative path under the workspace)"
        )
    return found


def _pairs(raw_dir: Path, parameters: PreprocessParameters) -> list[Candidate]:
    """Files of the same name, whatever their suffix, in the two folders."""
    sides = {}
    for key, name in (("noisy", parameters.pairs.noisy), ("clean", parameters.pairs.clean)):
        folder = raw_dir / name
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder, though pairs.{key} names it: put the {key} micrographs there")
        sides[key] = _by_stem(folder)
    for stem in sorted(sides["noisy"].keys() ^ sides["clean"].keys()):
        here, there = ("noisy", "clean") if stem in sides["noisy"] else ("clean", "noisy")
        raise UserError(
            f"{sides[here][stem]}: the {there} folder holds nothing of that name: add it, or remove this one"
        )
    noisy, clean = parameters.pairs.noisy, parameters.pairs.clean
    return [
        Candidate(path, f"{noisy}/{path.name}", None, sides["clean"][stem], f"{clean}/{sides['clean'][stem].name}")
        for stem, path in sides["noisy"].items()
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    """The micrographs of one folder of pairs by what their names have in common with the other's."""
    found: dict[str, Path] = {}
    for path in sorted(_image_files(folder)):
        twin = found.setdefault(micrographs.stem(path), path)
        if twin != path:
            raise UserError(f"{path}: named as {twin.name} but for the suffix: which is of the pair? remove one")
    return found


def read_shape(candidate: Candidate, parameters: PreprocessParameters) -> Shape:
    """What the header of a micrograph says.

    Raises:
        UserError: If the file is unsound, the micrograph is smaller than a patch, or its clean half of another shape.
    """
    header = micrographs.read_header(candidate.path)
    size = parameters.patches.size_px
    if min(header.height_px, header.width_px) < size:
        raise UserError(
            f"{candidate.path}: {header.height_px} × {header.width_px} pixels, smaller than a patch of {size} × "
            f"{size}: lower patches.size_px or move the file out of the folder"
        )
    if candidate.clean_path:
        clean = micrographs.read_header(candidate.clean_path)
        if (clean.height_px, clean.width_px) != (header.height_px, header.width_px):
            raise UserError(
                f"{candidate.path}: {header.height_px} × {header.width_px} pixels, but {candidate.clean_name} has "
                f"{clean.height_px} × {clean.width_px}: a pair must be of one shape"
            )
    return Shape(header.height_px, header.width_px, header.pixel_size_angstrom)


def read_images(candidate: Candidate, parameters: PreprocessParameters) -> Images:
    """Read a micrograph and bring it to [0, 1].

    Raises:
        AlteredError: If its pixels are not those that were downloaded.
        UserError: If it cannot be used; an InputError where only its pixels tell.
    """
    image = micrographs.read(candidate.path)
    digest = micrographs.pixel_digest(image)
    if candidate.expected_digest not in (None, digest):
        raise AlteredError(
            f"{candidate.path}: its pixels are not those that download.json names or that were read before: "
            f"{DownloadRecord.remedy()}"
        )
    if parameters.gain and candidate.gain_path:
        micrographs.apply_gain(candidate.path, image, _gain(candidate.gain_path, parameters.gain))
    try:
        scaling = normalize(image, parameters.normalization)
    except InputError as error:
        raise InputError(f"{candidate.path}: {error}") from error
    if candidate.clean_path is None:
        return Images(image, None, scaling, (digest,), None)
    clean = micrographs.read(candidate.clean_path)
    source = CleanImage(name=candidate.clean_name, pixel_digest=micrographs.pixel_digest(clean))
    if clean.shape != image.shape:
        raise InputError(f"{candidate.clean_path}: another image than a moment ago: let nothing write there, run again")
    apply(clean, scaling)
    if (left := spread(clean)) < MINIMUM_SPREAD:
        raise InputError(
            f"{candidate.clean_path}: under the scale of {candidate.name} (offset {scaling.offset:.4g}, scale "
            f"{scaling.scale:.4g}) hardly any contrast is left: standard deviation {left:.4f}, at least "
            f"{MINIMUM_SPREAD} expected: bring both images to the same units"
        )
    return Images(image, clean, scaling, (digest, source.pixel_digest), source)


def _gain(path: Path, parameters: GainParameters) -> np.ndarray:
    """The gain reference, turned as the run file says."""
    frames = micrographs.read_header(path).frames
    if frames != 1:
        raise UserError(f"{path}: {frames} images, expected one gain reference: give another file as gain.file")
    gain = np.rot90(micrographs.read(path), parameters.quarter_turns)
    if parameters.flip != "none":
        gain = np.flip(gain, 0 if parameters.flip == "rows" else 1)
    return gain
