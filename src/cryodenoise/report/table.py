"""The report as a short table for a terminal."""

from cryodenoise.config.report import Report, Scores

_HEADER = ("", "MSE", "MAE", "PSNR/dB", "SSIM", "correlation: mean", "median", "min", "max")


def render(report: Report) -> str:
    """The scores of a report beside their references, the gains, and the remarks."""
    names = {"noisy_input": "noisy input", "scalar_wiener": "scalar Wiener", "denoised": report.model}
    rows = [_HEADER, *(_row(label, report.scores[name]) for name, label in names.items())]  # type: ignore[index]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    rows_px, columns_px = report.sample_shape
    lines += [
        "",
        f"{report.model} ({report.parameters:,} parameters) gains {_db(report.gain_over_input_db, '+')} dB over the "
        f"noisy input, {_db(report.gain_over_scalar_wiener_db, '+')} dB over scalar Wiener (the best affine map)",
        f"{report.samples} patches of {rows_px} × {columns_px}, {report.inference_patches_per_s:.1f} patches/s on "
        f"{report.device}; peak memory {_memory(report)}",
    ]
    lines += [f"note: {remark}" for remark in report.remarks]
    return "\n".join(lines)


def _row(label: str, scores: Scores) -> tuple[str, ...]:
    correlation = scores.correlation
    spread = (f"{value:.4f}" for value in (correlation.mean, correlation.median, correlation.min, correlation.max))
    return label, f"{scores.mse:.6f}", f"{scores.mae:.6f}", _db(scores.psnr_db), f"{scores.ssim.mean:.4f}", *spread


def _db(value: float | None, sign: str = "") -> str:
    return "∞" if value is None else f"{value:{sign}.2f}"


def _memory(report: Report) -> str:
    host = f"{report.peak_host_memory_bytes / 2**30:.2f} GiB host"
    device = report.peak_device_memory_bytes
    return host if device is None else f"{host}, {device / 2**30:.2f} GiB GPU"
