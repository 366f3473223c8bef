"""A network against a test split: scores beside their references."""
