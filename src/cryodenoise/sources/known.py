"""Digests of files as a host serves them, published by others: known_sha256.txt names the source."""

from functools import cache
from importlib.resources import files


@cache
def known_sha256() -> dict[str, str]:
    """SHA-256 of a file by its address."""
    text = (files(__package__) / "known_sha256.txt").read_text(encoding="utf-8")
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {url: sha256 for sha256, url in lines}
