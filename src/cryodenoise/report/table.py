"""The report as a short table for a terminal."""

from cryodenoise.config.report import Report, Scores, ScoreSet

_HEADER = ("", "MSE", "MAE", "PSNR/dB", "SSIM", "correlation: mean", "median", "min", "max")


def render(report: Report) -> str:
    """The scores of a report beside their references, those against the truth first, and the remarks."""
    target = "against the target, which is the truth" if report.pairs == "truth" else "against the target"
    lines = []
    if report.against_truth:
        lines += [*_scores("against the truth, the noise-free image", report, report.against_truth), ""]
    lines += [*_scores(target, report, report.against_target), ""]
    rows_px, columns_px = report.sample_shape
    lines.append(
        f"{report.samples} patches of {rows_px} × {columns_px}, {report.inference_patches_per_s:.1f} patches/s on "
        f"{report.device}; peak memory {_memory(report)}"
    )
    lines += [f"note: {remark}" for remark in report.remarks]
    return "\n".join(lines)


def _scores(heading: str, report: Report, scores: ScoreSet) -> list[str]:
    """One table under its heading, and the gains."""
    rows = [
        _HEADER,
        _row("noisy input", scores.noisy_input),
        _row("scalar Wiener", scores.scalar_wiener),
        _row(report.model, scores.denoised),
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
        f"{report.model} ({report.parameters:,} parameters) gains {_gain(scores.gain_over_input_db)} dB over the "
        f"noisy input, {_gain(scores.gain_over_scalar_wiener_db)} dB over scalar Wiener (the best affine map)",
    ]


def _row(label: str, scores: Scores) -> tuple[str, ...]:
    correlation = scores.correlation
    spread = (f"{value:.4f}" for value in (correlation.mean, correlation.median, correlation.min, correlation.max))
    return label, f"{scores.mse:.6f}", f"{scores.mae:.6f}", _psnr(scores.psnr_db), f"{scores.ssim.mean:.4f}", *spread


def _psnr(value: float | None) -> str:
    return "∞" if value is None else f"{value:.2f}"


def _gain(value: float | None) -> str:
    """A difference of PSNRs; of infinite ones there is none, whichever of the two has no error."""
    return "–" if value is None else f"{value:+.2f}"


def _memory(report: Report) -> str:
    host = f"{report.peak_host_memory_bytes / 2**30:.2f} GiB host"
    device = report.peak_device_memory_bytes
    return host if device is None else f"{host}, {device / 2**30:.2f} GiB GPU"
