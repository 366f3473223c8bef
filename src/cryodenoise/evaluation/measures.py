"""results/measures.npz: what the report's figures are drawn from, beside report.json, which holds its SHA-256."""

import hashlib
import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from cryodenoise.config.report import Report
from cryodenoise.errors import UserError
from cryodenoise.evaluation import npz
from cryodenoise.files import write_atomically

NAME = "measures.npz"
BINS = 128
"""Bins of each histogram, and of either axis of the joint one."""
EXAMPLES = ("best", "median", "worst")
"""Which patches are kept as examples, by their PSNR."""
SHOWN = ("noisy", "denoised", "reference")
"""Which images of each are kept."""
_PER_PATCH = {
    "micrograph": "<i8", "row": "<i8", "column": "<i8", "denoised_mse": "<f8", "noisy_mse": "<f8",
    "denoised_ssim": "<f8", "denoised_correlation": "<f8", "noisy_correlation": "<f8",
    "denoised_edge_preservation": "<f8",
}  # fmt: skip
_OTHERS: dict[str, tuple[str, tuple[int, ...]]] = {
    "range": ("<f8", (2,)),
    "histogram_noisy": ("<i8", (BINS,)),
    "histogram_denoised": ("<i8", (BINS,)),
    "histogram_reference": ("<i8", (BINS,)),
    "residual_range": ("<f8", (2,)),
    "histogram_residual": ("<i8", (BINS,)),
    "joint": ("<i8", (BINS, BINS)),
    "example_samples": ("<i8", (len(EXAMPLES),)),
}


@dataclass(frozen=True)
class Measures:
    """Scores a patch in the order of the test split, histograms over all of its pixels, and examples.

    Scores are against the reference: the truth where the report has scores against one, else the target.

    Attributes:
        micrograph: Index of each patch's micrograph, int64 of shape (n,).
        row: Row of its first pixel there, likewise.
        column: Column of that, likewise.
        denoised_mse: Mean squared error of what was scored, float64 of shape (n,), as are the five below.
        noisy_mse: That of the noisy input.
        denoised_ssim: Structural similarity of what was scored.
        denoised_correlation: Pearson correlation of what was scored.
        noisy_correlation: That of the noisy input.
        denoised_edge_preservation: Correlation of the Laplacians of what was scored and of the reference.
        range: Ends of the histograms of intensities, float64 of shape (2,); what lies beyond is not counted.
        histogram_noisy: Pixels a bin, int64 of shape (128,).
        histogram_denoised: Likewise.
        histogram_reference: Likewise.
        residual_range: Ends of the histogram of residuals, float64 of shape (2,).
        histogram_residual: Pixels of noisy less denoised a bin, int64 of shape (128,).
        joint: Pixels by intensity denoised (first axis) and of the reference (second), int64 of shape (128, 128).
        example_samples: Indices of the best, median and worst patch by PSNR, int64 of shape (3,).
        examples: Best, median and worst, of each noisy, denoised and reference: the middle of the patch, float32 of
            shape (3, 3, h, w).
    """

    micrograph: np.ndarray
    row: np.ndarray
    column: np.ndarray
    denoised_mse: np.ndarray
    noisy_mse: np.ndarray
    denoised_ssim: np.ndarray
    denoised_correlation: np.ndarray
    noisy_correlation: np.ndarray
    denoised_edge_preservation: np.ndarray
    range: np.ndarray
    histogram_noisy: np.ndarray
    histogram_denoised: np.ndarray
    histogram_reference: np.ndarray
    residual_range: np.ndarray
    histogram_residual: np.ndarray
    joint: np.ndarray
    example_samples: np.ndarray
    examples: np.ndarray


def save(path: Path, measures: Measures) -> str:
    """Write measures.npz; equal measures give equal bytes.

    Nothing is compressed: another zlib would compress to other bytes. numpy writes no time into the archive.

    Returns:
        The file's SHA-256, for the report.

    Raises:
        ValueError: If an array has another shape than `Measures` says.
    """
    arrays = {name: getattr(measures, name) for name in (field.name for field in fields(Measures))}
    types = {**_PER_PATCH, **{name: dtype for name, (dtype, _) in _OTHERS.items()}, "examples": "<f4"}
    stored = {name: np.ascontiguousarray(array, types[name]) for name, array in arrays.items()}
    if problem := _problem(stored):
        raise ValueError(problem)
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **stored)
    content = stream.getvalue()
    write_atomically(path, content)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, sha256: str) -> Measures:
    """Read measures.npz.

    Args:
        path: The file.
        sha256: What the report says of it, in hexadecimal.

    Raises:
        UserError: If it is missing, is another file than the report speaks of, or holds something else.
    """
    try:
        if (size_bytes := path.stat().st_size) > npz.MAX_BYTES:
            raise UserError(f"{path}: {size_bytes} bytes, expected at most {npz.MAX_BYTES}: {Report.remedy()}")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: missing, though report.json names it: copy it there from where `test` ran, or {Report.remedy()}"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise UserError(
            f"{path}: SHA-256 {found[:16]}…, expected {sha256[:16]}… by report.json: altered, or of another run: "
            f"{Report.remedy()}"
        )
    if problem := npz.problem_of(content):
        raise UserError(f"{path}: {problem}: {Report.remedy()}")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if problem := _problem(arrays):
        raise UserError(f"{path}: {problem}: {Report.remedy()}")
    return Measures(**arrays)


def require_fitting(path: Path, measures: Measures, report: Report) -> None:
    """Raise a UserError, which names `path`, unless the measures are of as many patches as the report."""
    found = len(measures.denoised_mse)
    if found != report.samples:
        raise UserError(
            f"{path}: scores of {found} patches, but report.json tells of {report.samples}: {Report.remedy()}"
        )


def _problem(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays of a file, if anything is."""
    expected = [field.name for field in fields(Measures)]
    if sorted(arrays) != sorted(expected):
        odd = sorted(set(arrays) ^ set(expected))
        return f"holds {len(arrays)} arrays, expected {len(expected)}: {', '.join(odd)} missing or unknown"
    patches, *sides = arrays["micrograph"].size, *arrays["examples"].shape[2:]
    shapes = {
        **{name: (dtype, (patches,)) for name, dtype in _PER_PATCH.items()},
        **_OTHERS,
        "examples": ("<f4", (len(EXAMPLES), len(SHOWN), *sides)),
    }
    for name, (dtype, shape) in shapes.items():
        found = arrays[name]
        if found.dtype != np.dtype(dtype) or found.shape != shape:
            return f"{name}: found {found.dtype} of shape {found.shape}, expected {np.dtype(dtype)} of shape {shape}"
    if len(sides) != 2 or not patches or 0 in sides:
        return f"found {patches} patches and examples of {' × '.join(map(str, sides))} pixels, expected some"
    outside = [number for number in arrays["example_samples"] if not 0 <= number < patches]
    return f"example_samples: found {outside[0]}, expected less than {patches}" if outside else None
