"""How many honest submissions the check against reference scores refuses: python tools/false_rejections.py.

Draws reference runs and submitted runs from one distribution, again and again with a fixed seed, and counts the
submissions that `submission/statistics.py` would call too good. Prints a table for its LEVEL, the highest level that
keeps every share at 5 %, and the shares of MLPerf Training's form of the check.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from cryodenoise.submission import reference_sets, statistics

SEED, TRIALS, BATCH = 42, 1_000_000, 50_000
REFERENCE_RUNS, SUBMITTED = 10, (1, 2, 5, 10, 20, 100)
ALLOWED = 0.05
LEVELS = np.arange(0.050, 0.009, -0.001)
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
"""A generator and a shape to independent scores; their mean and scale do not matter."""


def shapes() -> dict[str, Draw]:
    """Plausible distributions of scores over seeds, and those that were measured."""
    found: dict[str, Draw] = {
        "normal": lambda rng, shape: rng.standard_normal(shape),
        "uniform": lambda rng, shape: rng.random(shape),
        "Student's t, 5 degrees of freedom": lambda rng, shape: rng.standard_t(5, shape),
        "gamma, shape 4": lambda rng, shape: rng.standard_gamma(4, shape),
        "gamma, shape 4, mirrored": lambda rng, shape: -rng.standard_gamma(4, shape),
    }
    for reference in reference_sets.all():
        if scores := [run.psnr_db for run in reference.runs]:
            found[f"seeds measured for {reference.name}"] = _drawn_from(np.array(scores))
    return found


def _drawn_from(scores: np.ndarray) -> Draw:
    return lambda rng, shape: rng.choice(scores, shape)


def excesses(draw: Draw, submitted: int) -> np.ndarray:
    """By how many margins of LEVEL the submitted mean is above that of the reference runs, for each trial."""
    rng, found = np.random.default_rng(SEED), []
    for _ in range(TRIALS // BATCH):
        reference = draw(rng, (BATCH, REFERENCE_RUNS))
        mean = draw(rng, (BATCH, submitted)).mean(axis=1)
        margin = np.maximum(statistics.margin(reference, submitted), np.finfo(float).tiny)
        found.append((mean - reference.mean(axis=1)) / margin)
    return np.concatenate(found)


def trimmed_share(submitted: int) -> float:
    """Share of honest normal submissions that MLPerf Training's form of the check refuses."""
    rng, refused = np.random.default_rng(SEED), 0
    factor = stats.t.ppf(0.95, 3 * submitted - 6) * np.sqrt(1 / (2 * submitted - 2) + 1 / (submitted - 2))
    for _ in range(TRIALS // BATCH):
        reference, ours = (
            np.sort(rng.standard_normal((BATCH, runs)), axis=1)[:, 1:-1] for runs in (2 * submitted, submitted)
        )
        above = ours.mean(axis=1) - reference.mean(axis=1)
        refused += int((above > factor * reference.std(axis=1, ddof=1)).sum())
    return refused / TRIALS


def main() -> None:
    """Print the shares."""
    quantile = stats.t.ppf(1 - statistics.LEVEL, REFERENCE_RUNS - 1)
    limits = stats.t.ppf(1 - LEVELS, REFERENCE_RUNS - 1) / quantile
    worst = np.zeros(len(LEVELS))
    print(f"refused of honest submissions, in %, at level {statistics.LEVEL:g}, {REFERENCE_RUNS} reference runs\n")
    print(f"| scores | {' | '.join(f'N = {submitted}' for submitted in SUBMITTED)} |")
    print("|---|" + "---|" * len(SUBMITTED))
    for name, draw in shapes().items():
        shares = []
        for submitted in SUBMITTED:
            found = np.sort(excesses(draw, submitted))
            above = 1 - np.searchsorted(found, limits, side="right") / len(found)
            worst = np.maximum(worst, above)
            shares.append(float((found > 1).mean()))
        print(f"| {name} | {' | '.join(f'{share:.2%}'.removesuffix('%') for share in shares)} |", flush=True)
    kept = [level for level, share in zip(LEVELS, worst, strict=True) if share <= ALLOWED]
    print(f"\nhighest level that refuses at most {ALLOWED:.0%}: {max(kept):.3f}")
    for submitted in (5, 10):
        print(f"MLPerf Training's form, normal scores, N = {submitted}: {trimmed_share(submitted):.1%}")


if __name__ == "__main__":
    main()
