"""A reproducible benchmark of cryo-EM denoising."""

__version__ = "0.1.0"
