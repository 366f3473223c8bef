"""Reading and writing micrographs."""

from pathlib import Path

from cryodenoise.micrographs.mrc import pixel_digest, read, read_header

SUFFIXES = (".mrc",)


def is_micrograph(path: Path) -> bool:
    """By suffix."""
    return path.suffix.lower() in SUFFIXES


def stem(path: Path) -> str:
    """Name without suffix."""
    return path.stem


__all__ = ["SUFFIXES", "is_micrograph", "pixel_digest", "read", "read_header", "stem"]
