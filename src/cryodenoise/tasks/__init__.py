"""The commands: parameters in, files out."""
