"""Training: loop and checkpoints."""
