"""Micrographs to streaming binaries."""
