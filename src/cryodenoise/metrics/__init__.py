"""Scores of images against targets, and their sums over a set."""
