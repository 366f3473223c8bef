"""How one micrograph of raw/, and the images that belong to it, become images that samples are cut from."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.documents import DownloadRecord, OtherImage
from cryodenoise.config.run_files import GainParameters, PreprocessParameters, is_clipped
from cryodenoise.errors import InputError, UserError
from cryodenoise.preprocessing.candidate import Candidate, Source
from cryodenoise.signal.expectation import require_expectation, require_one_dose
from cryodenoise.signal.normalize import MINIMUM_SPREAD, Scaling, apply, find_scaling, normalize, spread


@dataclass(frozen=True)
class Images:
    """A micrograph and what belongs to it; all images are float32 of shape (h, w), C order.

    Attributes:
        image: The micrograph in [0, 1] where that is to be clipped; else as it was read: the micrograph, or its even
            half.
        target: The clean image, under the scaling of the other and in [0, 1] where that is clipped; else as it was
            read: the clean image, the truth, or the odd half. None where the micrograph is the target.
        truth: As it was read, of halves half of it; None where there is none or it is the target.
        scalings: What brings the input to its scale; of halves, of the even and of the odd one.
        image_digest: Digest of the pixels of `image` as they were read.
        digests: The digest of all pixels of the micrograph's file, and those of others that no other micrograph may
            share.
        truth_digest: Digest of a truth that is carried along and has contrast: no other micrograph may have it either,
            but whether one can be used does not hang on that.
        target_source: Where `target` comes from.
        truth_source: Where `truth` comes from.
    """

    image: np.ndarray
    target: np.ndarray | None
    truth: np.ndarray | None
    scalings: tuple[Scaling, ...]
    image_digest: str
    digests: tuple[str, ...]
    truth_digest: str | None
    target_source: OtherImage | None
    truth_source: OtherImage | None


class AlteredError(InputError):
    """A file does not hold what was downloaded: never left out like one that cannot be used."""


def read_images(candidate: Candidate, parameters: PreprocessParameters) -> Images:
    """Read a micrograph and what belongs to it.

    Raises:
        AlteredError: If the pixels of a file are not those that were downloaded.
        UserError: If it cannot be used; an InputError where only its pixels tell.
    """
    match parameters.pairs.kind:
        case "halves":
            return _halves(candidate, parameters)
        case "given":
            return _given(candidate, parameters)
    image, digest = _read(candidate.source, candidate.expected_digest)
    _correct(candidate, parameters, image)
    if parameters.pairs.kind == "truth":
        assert candidate.target is not None  # `pair_up` sees to it
        scalings = (_scaling(candidate.path, image, parameters),)
        truth, source, contrast = _truth(candidate.target, image)
        _require_storable(candidate, scalings, parameters, image, truth)
        digests = (digest, source.pixel_digest) if contrast else (digest,)
        return Images(image, truth, None, scalings, digest, digests, None, source, None)
    carried, carried_digest, carried_source = _carried(candidate, parameters, image)
    with _named(candidate.path):
        scaling = normalize(image, parameters.normalization)
    _require_storable(candidate, (scaling,), parameters, carried)
    return Images(image, None, carried, (scaling,), digest, (digest,), carried_digest, None, carried_source)


def _given(candidate: Candidate, parameters: PreprocessParameters) -> Images:
    assert candidate.target is not None  # `pair_up` sees to it
    clipped, place = is_clipped("given", parameters.normalization), candidate.source.place
    image, digest = _read(candidate.source, candidate.expected_digest)
    with _named(place):
        scaling = (normalize if clipped else find_scaling)(image, parameters.normalization)
    clean, clean_digest = _read(candidate.target, None)
    _require_shape_of(image, clean, candidate.target.path)
    if clipped:
        apply(clean, scaling)
    else:
        _require_storable(candidate, (scaling,), parameters, image, clean)
    if (left := spread(clean) / (1 if clipped else scaling.scale)) < MINIMUM_SPREAD:
        raise InputError(
            f"{candidate.target.place}: under the scale of {candidate.name} (offset {scaling.offset:.4g}, scale "
            f"{scaling.scale:.4g}) hardly any contrast is left: standard deviation {left:.4f}, at least "
            f"{MINIMUM_SPREAD} expected: bring both images to the same units"
        )
    source = _other(candidate.target, clean_digest)
    return Images(image, clean, None, (scaling,), digest, (digest, clean_digest), None, source, None)


def _halves(candidate: Candidate, parameters: PreprocessParameters) -> Images:
    assert candidate.target is not None  # `pair_up` sees to it
    if parameters.pairs.halves == "movies":
        even, odd, whole = micrographs.read_halves(candidate.path)
        whole_digest = _require_digest(candidate.path, whole, candidate.expected_digest)
        del whole
        digests: tuple[str, ...] = (whole_digest, micrographs.pixel_digest(even), micrographs.pixel_digest(odd))
    else:
        even, even_digest = _read(candidate.source, candidate.expected_digest)
        odd, odd_digest = _read(candidate.target, candidate.target.expected_digest)
        _require_shape_of(even, odd, candidate.target.path)
        digests = (even_digest, odd_digest)
    wholes = {candidate.whole_digest, *digests[:-2]}
    if not wholes.isdisjoint(digests[-2:]):
        raise InputError(
            f"{candidate.path}: it, or its odd half, has the very pixels of the whole micrograph, and so the noise of "
            "both halves: give sums of different frames"
        )
    if digests[-1] == digests[-2]:
        raise InputError(
            f"{candidate.target.path}: its odd half has the very pixels of the even one: give sums of different "
            "frames, whose noise is independent"
        )
    _correct(candidate, parameters, even, odd)
    paths = candidate.path, candidate.target.path
    with _named(candidate.target.path):
        require_one_dose(even, odd)
    scalings = tuple(_scaling(path, half, parameters) for path, half in zip(paths, (even, odd), strict=True))
    truth, truth_digest, truth_source = _carried(candidate, parameters, even, odd)
    _require_storable(candidate, scalings, parameters, even, odd, truth)
    target = _other(candidate.target, digests[-1], scalings[1])
    return Images(even, odd, truth, scalings, digests[-2], digests, truth_digest, target, truth_source)


def _carried(
    candidate: Candidate, parameters: PreprocessParameters, *inputs: np.ndarray
) -> tuple[np.ndarray | None, str | None, OtherImage | None]:
    """A truth for the scores alone, its digest if it has contrast, and where it comes from."""
    if candidate.truth is None:
        return None, None, None
    try:
        truth, source, contrast = _truth(candidate.truth, *inputs)
    except AlteredError:
        raise
    except InputError as error:
        raise InputError(f"{error}{never_left_out(parameters)}") from error
    return truth, source.pixel_digest if contrast else None, source


def never_left_out(parameters: PreprocessParameters) -> str:
    """What to add to a message about a truth that is only carried along: it does not decide what is trained on."""
    if parameters.on_bad_micrograph == "error":
        return ""
    return "; nothing is left out for a truth that is only carried along: mend it, or remove it and its micrograph"


def _truth(source: Source, *inputs: np.ndarray) -> tuple[np.ndarray, OtherImage, bool]:
    """The expectation of one input, or of each of two halves; where it comes from; whether it has contrast."""
    truth, digest = _read(source, source.expected_digest)
    truth *= np.float32(1 / len(inputs))  # of a half exact
    for image in inputs:
        _require_shape_of(image, truth, source.path)
        with _named(source.path):
            require_expectation(image, truth)
    return truth, _other(source, digest), bool(truth.min() < truth.max())


def _other(source: Source, digest: str, scaling: Scaling | None = None) -> OtherImage:
    offset, scale = (scaling.offset, scaling.scale) if scaling else (None, None)
    return OtherImage(name=source.name, pixel_digest=digest, offset=offset, scale=scale)


def _read(source: Source, expected_digest: str | None) -> tuple[np.ndarray, str]:
    image = micrographs.read(source.path, source.image)
    return image, _require_digest(source.place, image, expected_digest)


def _require_digest(path: Path, image: np.ndarray, expected: str | None) -> str:
    digest = micrographs.pixel_digest(image)
    if expected not in (None, digest):
        raise AlteredError(
            f"{path}: its pixels are not those that download.json names or that were read before: "
            f"{DownloadRecord.remedy()}"
        )
    return digest


def _require_shape_of(image: np.ndarray, other: np.ndarray, path: Path) -> None:
    if other.shape != image.shape:
        raise InputError(f"{path}: another image than a moment ago: let nothing write there, run again")


def _correct(candidate: Candidate, parameters: PreprocessParameters, *images: np.ndarray) -> None:
    if parameters.gain and candidate.gain:
        gain = _gain(candidate.gain, parameters.gain)
        for image in images:
            micrographs.apply_gain(candidate.path, image, gain)


def _gain(source: Source, parameters: GainParameters) -> np.ndarray:
    """The gain reference, turned as the run file says."""
    frames = micrographs.read_header(source.path).frames
    if frames != 1:
        raise UserError(f"{source.path}: {frames} images, expected one gain reference: give another file as gain.file")
    image, _ = _read(source, source.expected_digest)
    gain = np.rot90(image, parameters.quarter_turns)
    if parameters.flip != "none":
        gain = np.flip(gain, 0 if parameters.flip == "rows" else 1)
    return gain


def _scaling(path: Path, image: np.ndarray, parameters: PreprocessParameters) -> Scaling:
    with _named(path):
        return find_scaling(image, parameters.normalization)


def _require_storable(
    candidate: Candidate, scalings: tuple[Scaling, ...], parameters: PreprocessParameters, *images: np.ndarray | None
) -> None:
    """Without clipping, a value can be too large for the type that samples are stored in."""
    largest = float(np.finfo(np.dtype(parameters.dtype)).max)
    for scaling in scalings:
        for image in images:
            if image is None:
                continue
            reach = max(abs(float(end) - scaling.offset) for end in (image.min(), image.max()))
            if max(reach / scaling.scale, reach / float(np.finfo(np.float32).max)) > largest:
                raise InputError(
                    f"{candidate.source.place}: a pixel of it, or of what belongs to it, is "
                    f"{reach / scaling.scale:.3g} times the scale of {scaling.scale:.4g} away from 0, beyond what "
                    f"{parameters.dtype} holds: replace it, or remove this micrograph"
                )


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Tell which file an error is about."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
