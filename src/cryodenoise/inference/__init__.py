"""A whole micrograph through a denoiser: tiles, halves, ONNX."""
