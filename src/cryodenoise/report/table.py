"""The report as a short table for a terminal."""

from cryodenoise.config.report import Report
from cryodenoise.config.scores import AgainstReference, Scores

_HEADER = ("", "MSE", "MAE", "PSNR/dB", "SSIM", "correlation", "gain/dB", "fitted/dB", "patches")


def render(report: Report) -> str:
    """The scores of a report beside their references, those against the truth first, and the remarks."""
    target = "against the target, which is the truth" if report.pairs == "truth" else "against the target"
    lines = [headline(report), ""]
    if report.against_truth:
        lines += [*_scores("against the truth, the noise-free image", report, report.against_truth), ""]
    lines += [*_scores(target, report, report.against_target), ""]
    if report.halves:
        halves = report.halves
        ours = "lost in the noise of the estimate" if halves.psnr_db is None else f"{_psnr(halves.psnr_db)} dB"
        fitted = "" if halves.affine_fitted_psnr_db is None else f" (fitted: {_psnr(halves.affine_fitted_psnr_db)} dB)"
        lines.append(
            f"from independent halves: PSNR against the unknown noise-free image {ours}{fitted}, of the input "
            f"{_psnr(halves.input_psnr_db)} dB"
        )
    lines.append("fitted/dB: PSNR under the one slope and offset that fit the whole split best")
    rows_px, columns_px = report.sample_shape
    rate = report.resources.patches_per_s
    speed = "scored" if rate is None else f"{rate:.1f} patches/s"
    lines.append(
        f"{report.samples} patches of {rows_px} × {columns_px}, {speed} on {report.device}; peak memory "
        f"{_memory(report)}"
    )
    if report.intervals_missing:
        lines.append(f"no intervals: {report.intervals_missing}")
    lines += [f"note: {remark}" for remark in report.remarks]
    return "\n".join(lines)


def headline(report: Report) -> str:
    """One sentence: the gain over the best classical baseline."""
    scores = report.against_truth or report.against_target
    best = scores.methods[scores.best_baseline]
    interval = ""
    if best.gain_interval:
        interval = f" (95 %: {best.gain_interval.low:+.2f} to {best.gain_interval.high:+.2f})"
    against = "the truth" if report.against_truth or report.pairs == "truth" else "the target"
    weights = report.denoiser.parameters
    size = "" if weights is None else f" ({weights:,} parameters)"
    return (
        f"{report.denoiser.name}{size} gains {_gain(best.gain_db)} dB{interval} over the best classical baseline, "
        f"{best.title}, against {against}"
    )


def _scores(heading: str, report: Report, scores: AgainstReference) -> list[str]:
    """One table under its heading: what was scored, then the others by their error."""
    others = sorted(scores.methods.values(), key=lambda method: -method.scores.mse)
    rows = [
        _HEADER,
        *(
            (*_row(each.title, each.scores), _gain(each.gain_db), _psnr(each.affine_fitted.psnr_db), str(each.samples))
            for each in others
        ),
        (*_row(report.denoiser.name, scores.denoised), "", _psnr(scores.affine_fitted.psnr_db), str(report.samples)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return [
        f"{heading}:",
        *(
            "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
            )
            for row in rows
        ),
    ]


def _row(label: str, scores: Scores) -> tuple[str, ...]:
    means = (f"{scores.ssim.mean:.4f}", f"{scores.correlation.mean:.4f}")
    return label, f"{scores.mse:.6f}", f"{scores.mae:.6f}", _psnr(scores.psnr_db), *means


def _psnr(value: float | None) -> str:
    return "∞" if value is None else f"{value:.2f}"


def _gain(value: float | None) -> str:
    """A difference of PSNRs; of infinite ones there is none, whichever of the two has no error."""
    return "–" if value is None else f"{value:+.2f}"


def _memory(report: Report) -> str:
    host = f"{report.resources.peak_host_memory_bytes / 2**30:.2f} GiB host"
    device = report.resources.peak_device_memory_bytes
    return host if device is None else f"{host}, {device / 2**30:.2f} GiB GPU"
