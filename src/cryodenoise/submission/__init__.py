"""Results that can be handed in: packages, their rules, reference points, ranking."""
