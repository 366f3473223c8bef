"""The rows of a comparison of systems, from their reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cryodenoise.config.comparison import Row, SystemParameters, TrackResult, Training
from cryodenoise.config.report import Report
from cryodenoise.config.scores import AffineFitted, Interval, Method, Scores
from cryodenoise.evaluation.bootstrap import Bootstrap
from cryodenoise.evaluation.measures import Measures
from cryodenoise.metrics.accumulate import gain_db
from cryodenoise.report import wording

_FILTER = "baseline/"


@dataclass(frozen=True)
class Scored:
    """A system that was scored on a track.

    Attributes:
        name: Its name in the run file.
        system: What the run file says of it.
        report: Its report.
        measures: What stands beside that.
    """

    name: str
    system: SystemParameters
    report: Report
    measures: Measures

    @property
    def filter_name(self) -> str | None:
        """Of a classical filter, what reports call it."""
        model = self.system.model
        return model.removeprefix(_FILTER) if model and model.startswith(_FILTER) else None


def of_track(name: str, training_samples: int, scored: Sequence[Scored]) -> TrackResult:
    """All rows of a track, the best under its affine map first.

    Args:
        name: The track's name.
        training_samples: Patches of the training split.
        scored: The systems, at least one.
    """
    report = scored[0].report
    filters = _filters(scored)
    best = _Best(
        min(filters, key=lambda each: filters[each][0].mse), min(filters, key=lambda each: filters[each][1].mse)
    )
    rows = [_system_row(each, scored, filters, best) for each in scored]
    there = {each.filter_name for each in scored}
    rows += [
        _method_row(key, method, filters, best)
        for key, method in report.that_counts.methods.items()
        if key not in there and method.samples == report.samples
    ]
    return TrackResult(
        name=name,
        pairs=report.pairs,
        against="truth" if wording.reference_of(report) == "truth" else "target",
        dataset_identity=report.dataset_identity,
        samples=report.samples,
        sample_shape=report.sample_shape,
        micrographs=report.micrographs,
        training_samples=training_samples,
        intervals_missing=report.intervals_missing,
        best_filter=_row_of(best.as_it_is, scored),
        best_affine_filter=_row_of(best.fitted, scored),
        rows=sorted(rows, key=lambda row: -(np.inf if row.affine_psnr_db is None else row.affine_psnr_db)),
    )


Filters = Mapping[str, tuple[Scores, AffineFitted]]


class _Best(NamedTuple):
    """Names of the best filter as it is, and of the best under the affine map of its own."""

    as_it_is: str
    fitted: str


def _filters(scored: Sequence[Scored]) -> Filters:
    """The classical filters that were scored on all patches, as reports call them, and the noisy input."""
    report = scored[0].report
    found = {
        name: (method.scores, method.affine_fitted)
        for name, method in report.that_counts.methods.items()
        if method.kind != "bound" and method.samples == report.samples
    }
    for each in scored:
        if each.filter_name:
            counts = each.report.that_counts
            found[each.filter_name] = counts.denoised, counts.affine_fitted
    return found


def _row_of(name: str, scored: Sequence[Scored]) -> str:
    """The name of a filter's row: that of the system that it is, if it is one."""
    return next((each.name for each in scored if each.filter_name == name), name)


def _system_row(each: Scored, scored: Sequence[Scored], filters: Filters, best: _Best) -> Row:
    report, counts = each.report, each.report.that_counts
    its, fitted, rate = counts.denoised, counts.affine_fitted, report.resources.megapixels_per_s
    fitted_best = counts.methods.get(best.fitted)
    row = Row(
        name=each.name,
        title=each.system.title,
        kind="filter" if each.filter_name else "system",
        samples=report.samples,
        psnr_db=its.psnr_db,
        psnr_interval_db=counts.intervals.psnr_db if counts.intervals else None,
        affine_psnr_db=fitted.psnr_db,
        affine_psnr_interval_db=fitted.psnr_interval,
        gain_db=gain_db(its.mse, filters[best.as_it_is][0].mse),
        gain_interval_db=_gain_interval(each, scored, best.as_it_is),
        affine_gain_db=gain_db(fitted.mse, filters[best.fitted][1].mse),
        affine_gain_interval_db=fitted_best.affine_fitted_gain_interval if fitted_best else None,
        ssim=its.ssim.mean,
        correlation=its.correlation.mean,
        parameters=report.denoiser.parameters,
        s_per_megapixel=1 / rate if rate else None,
        device=report.device,
        training=_training(report) if each.system.train else None,
        remarks=report.remarks,
        report_sha256=report.content_sha256,
    )
    return _without_gain_over_itself(row, each.filter_name, best)


def _training(report: Report) -> Training | None:
    if report.training is None:
        return None
    last = report.training.history[-1]
    return Training(elapsed_s=last.elapsed_s, samples_seen=last.samples_seen, device=report.training.device)


def _gain_interval(each: Scored, scored: Sequence[Scored], best: str) -> Interval | None:
    """The report's own, or where its filters lack the best one, the same from the errors of both, patch by patch."""
    if best in each.report.that_counts.methods:
        return each.report.that_counts.methods[best].gain_interval
    other = next(another for another in scored if another.filter_name == best)
    bootstrap = Bootstrap(each.measures.micrograph, int(each.report.made_from.parameters["seed"]))
    ours, theirs = each.measures.denoised_mse, other.measures.denoised_mse
    return bootstrap.interval(lambda our, their: 10 * np.log10(their / our), ours, theirs)


def _method_row(name: str, method: Method, filters: Filters, best: _Best) -> Row:
    """What stands in every report: the noisy input, bounds, and filters that are no systems of their own."""
    its, fitted, bound = method.scores, method.affine_fitted, method.kind == "bound"
    row = Row(
        name=name,
        title=method.title,
        kind="filter" if method.kind == "baseline" else method.kind,
        samples=method.samples,
        psnr_db=its.psnr_db,
        psnr_interval_db=None,
        affine_psnr_db=fitted.psnr_db,
        affine_psnr_interval_db=fitted.psnr_interval,
        gain_db=None if bound else gain_db(its.mse, filters[best.as_it_is][0].mse),
        gain_interval_db=None,
        affine_gain_db=None if bound else gain_db(fitted.mse, filters[best.fitted][1].mse),
        affine_gain_interval_db=None,
        ssim=its.ssim.mean,
        correlation=its.correlation.mean,
        parameters=None,
        s_per_megapixel=None,
        device=None,
        training=None,
        remarks=[],
        report_sha256=None,
    )
    return _without_gain_over_itself(row, name, best)


def _without_gain_over_itself(row: Row, name: str | None, best: _Best) -> Row:
    none: dict[str, None] = {}
    if name == best.as_it_is:
        none |= {"gain_db": None, "gain_interval_db": None}
    if name == best.fitted:
        none |= {"affine_gain_db": None, "affine_gain_interval_db": None}
    return row.model_copy(update=none)
