"""Exposures made up for tests: frames of counted electrons whose expectation is known, as files in raw/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np

from cryodenoise import micrographs
from cryodenoise.config.documents import DatasetRecord, DownloadRecord, MadeFrom, RawFile, RawRole
from cryodenoise.config.exposure import ExposureRecord, Particle
from cryodenoise.dataset.reader import open_dataset
from cryodenoise.files import sha256_of
from cryodenoise.micrographs import mrc
from workspaces import Workspace, merged

HEIGHT_PX, WIDTH_PX, FRAMES = 96, 80, 4
KINDS = {
    "truth": {"pairs": {"kind": "truth"}, "noise": {"model": "none"}},
    "halves": {"pairs": {"kind": "halves"}, "noise": {"model": "none"}},
    "movies": {"pairs": {"kind": "halves", "halves": "movies"}, "noise": {"model": "none"}},
}
"""Changes to the run file of `preprocess`."""


@dataclass(frozen=True)
class Exposure:
    """One exposure: its frames, float32 of shape (frames, h, w), and the expectation of their sum."""

    frames: np.ndarray
    truth: np.ndarray

    @property
    def even(self) -> np.ndarray:
        """The sum of the frames 0, 2, 4, …"""
        total: np.ndarray = self.frames[::2].sum(axis=0, dtype=np.float32)
        return total

    @property
    def odd(self) -> np.ndarray:
        """The sum of the others."""
        total: np.ndarray = self.frames[1::2].sum(axis=0, dtype=np.float32)
        return total

    @property
    def whole(self) -> np.ndarray:
        """The sum of all frames."""
        total: np.ndarray = self.frames.sum(axis=0, dtype=np.float32)
        return total


def exposure(seed: int, electrons: float = 40.0, contrast: float = 0.3) -> Exposure:
    """Waves under shot noise; without contrast, pure noise."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:HEIGHT_PX, :WIDTH_PX]
    truth = electrons * (1 + contrast * np.sin(y / (4 + seed)) * np.cos(x / 5 + seed)).astype(np.float32)
    frames = rng.poisson(truth / FRAMES, (FRAMES, HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    return Exposure(frames, truth)


def write_exposure(raw: Path, name: str, of: Exposure, *folders: str) -> None:
    """Write an exposure's images: of "", movies, truth, even and odd those that are named; a movie has int8 frames."""
    images = {"": of.whole, "truth": of.truth, "even": of.even, "odd": of.odd}
    for folder in folders:
        path = (raw if folder == "movies" else raw / folder) / f"{name}.mrc"
        path.parent.mkdir(parents=True, exist_ok=True)
        if folder == "movies":
            with mrcfile.new(path.with_suffix(".mrcs")) as stream:
                stream.set_data(of.frames.astype(np.int8))
        else:
            mrc.write(path, images[folder], 1.5)


def write_particles(raw: Path, name: str, height_px: int = HEIGHT_PX, micrograph: str | None = None) -> ExposureRecord:
    """Write what raw/particles tells of a micrograph."""
    particle = Particle(
        species="t20s", x_px=10.5, y_px=-3.0, radius_angstrom=90.0, rot_deg=10.0, tilt_deg=20.0, psi_deg=30.0
    )
    record = ExposureRecord(
        format=ExposureRecord.FORMAT,
        format_version=ExposureRecord.VERSION,
        micrograph=micrograph or f"{name}.mrc",
        height_px=height_px,
        width_px=WIDTH_PX,
        pixel_size_angstrom=1.5,
        electrons_per_pixel=40.0,
        voltage_kv=300.0,
        cs_mm=2.7,
        amplitude_contrast=0.1,
        defocus_u_um=1.6,
        defocus_v_um=1.5,
        defocus_angle_deg=12.0,
        drift_angstrom=[],
        particles=[particle],
    )
    path = raw / f"particles/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(record.dumps())
    return record


def record_download(raw: Path, **roles: RawRole) -> None:
    """Write download.json over what there is."""
    files = []
    for path in sorted(path for path in raw.rglob("*") if path.is_file()):
        name = path.relative_to(raw).as_posix()
        role: RawRole = roles.get(path.stem) or {"": "micrograph"}.get(name.rpartition("/")[0], path.parent.name)  # type: ignore[assignment]
        digest = micrographs.pixel_digest(micrographs.read(path)) if path.suffix != ".json" else None
        files.append(
            RawFile(name=name, role=role, size_bytes=path.stat().st_size, sha256=sha256_of(path), pixel_digest=digest)
        )
    record = DownloadRecord(
        format=DownloadRecord.FORMAT,
        format_version=DownloadRecord.VERSION,
        made_from=MadeFrom(parameters={}),
        files=files,
        environment={},
    )
    (raw / "download.json").write_text(record.dumps())


EXPOSURES = {name: exposure(number) for number, name in enumerate("abcd")}
FOLDERS = {"truth": ("", "truth"), "halves": ("even", "odd"), "movies": ("movies",)}


def exposed(root: Path, *folders: str, exposures: dict[str, Exposure] = EXPOSURES) -> Workspace:
    """A workspace with images of exposures in raw/."""
    workspace = Workspace(root)
    for name, each in exposures.items():
        write_exposure(workspace / "raw", name, each, *folders)
    return workspace


def preprocess(workspace: Workspace, kind: str, changes: dict[str, Any] | None = None) -> DatasetRecord:
    """Run the task for pairs of a kind, with further changes to its run file."""
    workspace.write("preprocess", merged(KINDS[kind], changes or {}))
    assert workspace.run("preprocess") == 0
    return open_dataset(workspace / "data")
