"""Reading and writing micrographs."""
