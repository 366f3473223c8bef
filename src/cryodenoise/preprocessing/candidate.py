"""A micrograph that may be used, and the images that belong to it."""

from dataclasses import dataclass
from pathlib import Path

from cryodenoise import micrographs

PARTICLES = "particles"
"""Folder in raw/ with what simulated micrographs show."""


@dataclass(frozen=True)
class Source:
    """An image that belongs to a micrograph.

    Attributes:
        path: Its file.
        name: Its place in raw/, an image's of a stack with # and its number after that of the file.
        expected_digest: The digest its pixels must have, where that is known.
        image: Which image of a stack it is, counted from 0; None where the file holds one.
    """

    path: Path
    name: str
    expected_digest: str | None = None
    image: int | None = None

    @property
    def place(self) -> Path:
        """What to call it in messages."""
        return self.path if self.image is None else self.path.with_name(self.name.rpartition("/")[2])

    @property
    def file(self) -> str:
        """The place of its file in raw/."""
        return self.name if self.image is None else self.name.rpartition("#")[0]

    @property
    def stem(self) -> str:
        """What it has in common with the others of its micrograph."""
        return micrographs.stem(self.path) if self.image is None else self.name.rpartition("#")[2]


@dataclass(frozen=True)
class Candidate:
    """One micrograph that may be used.

    Attributes:
        path: Its file; of halves from files, the even one's.
        name: Its place in raw/.
        expected_digest: The digest its pixels must have, where that is known; of a movie, those of the whole sum.
        target: Where the target comes from: the clean image, the truth, the odd half or, of halves from a movie, the
            movie again; None where it is the micrograph.
        truth: The noise-free image that is carried along for the scores.
        particles_path: What it shows, as a document.
        gain: The gain reference, if there is one.
        whole_digest: Of halves from files, the digest of the whole micrograph's pixels, where it is known.
        image: Which image of a stack it is; None where the file holds one.
    """

    path: Path
    name: str
    expected_digest: str | None = None
    target: Source | None = None
    truth: Source | None = None
    particles_path: Path | None = None
    gain: Source | None = None
    whole_digest: str | None = None
    image: int | None = None

    @property
    def source(self) -> Source:
        """The micrograph as the others are given."""
        return Source(self.path, self.name, self.expected_digest, self.image)

    @property
    def others(self) -> tuple[Source, ...]:
        """The images in files of their own beside the micrograph's."""
        return tuple(other for other in (self.target, self.truth) if other and other.path != self.path)

    @property
    def files(self) -> dict[str, Path]:
        """All files that its samples are made from, by their places in raw/."""
        paths = {source.file: source.path for source in (self.source, *self.others)}
        if self.particles_path:
            paths[f"{PARTICLES}/{self.particles_path.name}"] = self.particles_path
        if self.gain:
            paths[self.gain.name] = self.gain.path
        return paths
