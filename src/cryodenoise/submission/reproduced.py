"""Whether a run came to the data and scores that its run files gave before: the line by which a machine is trusted."""

from collections.abc import Iterator

from cryodenoise.config.reference import Reference
from cryodenoise.config.report import Report
from cryodenoise.submission import reference_sets
from cryodenoise.submission.statistics import OF_SEEDS, range_db


def line(report: Report) -> str | None:
    """One line: `reproduced: …`, or `NOT reproduced: …` with what differs by how much.

    The dataset's identity must be that of the reference, and the PSNR of each seed within the reference's tolerance; a
    seed that the reference does not have is held against the spread of those that it has.

    Returns:
        None for a report of other run files than those of a set (the seed of the training and what only says how a
        machine works may differ), of anything but a network, or of a set that nothing was measured of.
    """
    reference = _reference(report)
    spread = range_db(reference) if reference else None
    if reference is None or reference.dataset_identity is None or spread is None:
        return None
    checked = [_identity(report, reference, reference.dataset_identity), *_scores(report, reference, *spread)]
    differing = [said for holds, said in checked if not holds]
    if differing:
        return f"NOT reproduced: {'; '.join(differing)}"
    return f"reproduced: {'; '.join(said for _, said in checked)}"


def _reference(report: Report) -> Reference | None:
    """The set whose run files made the report."""
    if report.download is None or report.training is None:
        return None
    train = {key: value for key, value in report.training.made_from.parameters.items() if key != "seed"}
    made_from = (report.download.parameters, report.preprocess.parameters, train)
    for reference in reference_sets.all():
        if made_from == (reference.download, reference.preprocess, reference.train):
            return reference
    return None


def _identity(report: Report, reference: Reference, expected: str) -> tuple[bool, str]:
    """Whether the dataset is the reference's, and the words for it."""
    place = f"reference/{reference.name}.json"
    if report.dataset_identity == expected:
        return True, f"dataset identity as in {place}"
    return False, f"dataset identity {report.dataset_identity[:16]}…, that of {place} is {expected[:16]}…"


def _scores(report: Report, reference: Reference, mean_db: float, reach_db: float) -> Iterator[tuple[bool, str]]:
    """Whether the scores are the reference's, and the words for it: first seeds that it has, then others."""
    found, known = _psnr_db(report), {run.seed: run.psnr_db for run in reference.runs}
    if not found:
        yield False, "no error at all, and so no PSNR"
    both = {seed: (psnr_db, known[seed]) for seed, psnr_db in found.items() if seed in known}
    if both and reference.tolerance_db is not None:
        yield _against_the_same_seeds(both, reference.tolerance_db)
    others = {seed: psnr_db for seed, psnr_db in found.items() if seed not in known}
    if others:
        yield _against_the_spread(others, mean_db, reach_db)


def _psnr_db(report: Report) -> dict[int, float]:
    """PSNR of each training by its seed, of those that have one."""
    if report.across_seeds is not None:
        return dict(zip(report.across_seeds.seeds, report.across_seeds.psnr_db, strict=True))
    assert report.training is not None
    psnr_db = report.that_counts.denoised.psnr_db
    return {} if psnr_db is None else {report.training.made_from.parameters["seed"]: psnr_db}


def _against_the_same_seeds(both: dict[int, tuple[float, float]], tolerance_db: float) -> tuple[bool, str]:
    """Pairs of the PSNR found and the reference's, by seed."""
    worst = max(both, key=lambda seed: abs(both[seed][0] - both[seed][1]))
    ours, theirs = both[worst]
    holds = abs(ours - theirs) <= tolerance_db
    said = f"PSNR {ours:.3f} dB, reference {theirs:.3f} dB for seed {worst}"
    if not holds:
        said += f", off by {ours - theirs:+.3f} dB"
    if len(both) > 1:
        said += f", which differs the most of {len(both)}"
    return holds, f"{said}, tolerance {tolerance_db:g} dB"


def _against_the_spread(found: dict[int, float], mean_db: float, reach_db: float) -> tuple[bool, str]:
    """PSNR by seeds that the reference does not have."""
    worst = max(found, key=lambda seed: abs(found[seed] - mean_db))
    holds = abs(found[worst] - mean_db) <= reach_db
    which = f"seed {worst}" if len(found) == 1 else f"seed {worst}, the farthest of {len(found)}"
    where = "within" if holds else "not within"
    return holds, (
        f"PSNR {found[worst]:.3f} dB {where} {mean_db:.3f} ± {reach_db:.3f} dB, in which {OF_SEEDS:.0%} of trainings "
        f"fall: no reference for {which}"
    )
