"""The tables of a report, and their files in tables/: Markdown, and LaTeX that uses booktabs and graphicx."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryodenoise.config.report import Report, TrainingConditions
from cryodenoise.config.scores import AgainstReference, Intervals, Scores
from cryodenoise.config.training_record import Epoch
from cryodenoise.files import make_directory, write_atomically
from cryodenoise.report import wording
from cryodenoise.report.wording import NOTHING, beside, interval, number

FOLDER = "tables"
FILES = (".md", ".tex")
"""Suffixes of the files of each table."""
SCORED = "scored"
_ORDER = ("input", "bound", "baseline", SCORED)
_COLUMNS_OF_TEXT = 3  # a table of no more columns holds words rather than numbers
_HEADER = (
    "method", "kind", "patches", "PSNR/dB", "gain/dB", "PSNR/dB with affine fit", "MSE", "MAE", "SSIM", "correlation",
    "edges",
)  # fmt: skip
_TEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''", "–": "--", "−": r"\ensuremath{-}",
    "∞": r"\ensuremath{\infty}", "×": r"\ensuremath{\times}", "·": r"\ensuremath{\cdot}", "σ": r"\ensuremath{\sigma}",
    "λ": r"\ensuremath{\lambda}", "µ": r"\ensuremath{\mu}", "Å": r"\AA{}", "…": r"\ldots{}", "[": "{[}", "]": "{]}",
    "²": r"\textsuperscript{2}",
}  # fmt: skip

_Row = tuple[int, tuple[str, str, str], Scores, Intervals | None, str, str]


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        name: Name of its files without the suffix.
        caption: What it shows.
        header: Heading of each column.
        rows: As many cells each; the first says what the row is of.
        marked: Index of the row that counts, None if none does.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None


def of_report(report: Report) -> list[Table]:
    """All tables of a report."""
    tables = [performance(report, report.against_target, "target")]
    if report.against_truth:
        tables.insert(0, performance(report, report.against_truth, "truth"))
    return [*tables, efficiency(report), architecture(report)]


def performance(report: Report, scores: AgainstReference, reference: str) -> Table:
    """What was scored below all others, with 95 % intervals and what it gains over each."""
    rows: list[_Row] = [
        (_ORDER.index(method.kind), (method.title, wording.KINDS[method.kind].partition(",")[0], f"{method.samples:,}"),
         method.scores, None, beside(wording.gain(method.gain_db), interval(method.gain_interval, 2, signed=True)),
         wording.psnr(method.affine_fitted.psnr_db))
        for method in scores.methods.values()
    ]  # fmt: skip
    what = "target, which is the truth" if reference == "target" and report.pairs == "truth" else reference
    label = (report.denoiser.name, wording.KINDS[SCORED], f"{report.samples:,}")
    fitted = beside(wording.psnr(scores.affine_fitted.psnr_db), interval(scores.affine_fitted.psnr_interval, 2))
    rows.append((_ORDER.index(SCORED), label, scores.denoised, scores.intervals, NOTHING, fitted))
    rows.sort(key=lambda row: row[0])
    brackets = "in brackets 95 % intervals" if scores.intervals else "without intervals"
    return Table(
        name=f"performance_against_{reference}",
        caption=f"Performance against the {what}; gain: of {report.denoiser.name} over each; {brackets}",
        header=_HEADER,
        rows=tuple((*label, *_scores(its, around, gain, fitted)) for _, label, its, around, gain, fitted in rows),
        marked=len(rows) - 1,
    )


def efficiency(report: Report) -> Table:
    """What training and scoring took."""
    scoring = _of_scoring(report)
    if report.training is None:
        return Table("efficiency", "What scoring took", ("", "scoring"), tuple(scoring.items()))
    training = _of_training(report, report.training)
    names = [*training, *(name for name in scoring if name not in training)]
    rows = tuple((name, training.get(name, NOTHING), scoring.get(name, NOTHING)) for name in names)
    return Table("efficiency", "What training and scoring took", ("", "training", "scoring"), rows)


def _of_scoring(report: Report) -> dict[str, str]:
    took = report.resources
    return {
        "device": report.device,
        "patches/s": number(took.patches_per_s, 2),
        "megapixels/s": number(took.megapixels_per_s, 2),
        "time": wording.duration(took.elapsed_s),
        "time waiting for data": wording.duration(took.reading_s),
        "time denoising": wording.duration(took.denoising_s),
        "time scoring": wording.duration(took.scoring_s),
        "peak host memory": wording.bytes_of_memory(took.peak_host_memory_bytes),
        "peak GPU memory": wording.bytes_of_memory(took.peak_device_memory_bytes),
        **{f"energy, {name}": f"{joules:,.0f} J" for name, joules in sorted(took.energy_joules.items())},
        **({} if took.energy_joules else {"energy": "no counter"}),
        "cost": "no price given" if took.cost is None else f"{took.cost:.4f}",
    }


def _of_training(report: Report, training: TrainingConditions) -> dict[str, str]:
    last, speed = training.history[-1], patches_per_s(training.history)
    return {
        "device": training.device,
        "processes": f"{training.processes}",
        "epochs": f"{last.epoch}, the best {training.best_epoch}",
        "samples seen": f"{last.samples_seen:,}",
        "patches/s": number(speed, 2),
        "megapixels/s": number(speed * report.sample_shape[0] * report.sample_shape[1] / 1e6, 2),
        "time": wording.duration(last.elapsed_s),
        "peak host memory": wording.bytes_of_memory(training.peak_host_memory_bytes),
        "peak GPU memory": wording.bytes_of_memory(training.peak_device_memory_bytes),
    }


def architecture(report: Report) -> Table:
    """What was scored and how it was made."""
    denoiser, training = report.denoiser, report.training
    rows = [("kind", denoiser.kind), ("name", denoiser.name)]
    if denoiser.parameters is not None:
        rows.append(("parameters", f"{denoiser.parameters:,}"))
    rows += [(name, f"{value:.6g}") for name, value in denoiser.found.items()]
    if training:
        rows += [(name, shown) for name, shown in flat(training.made_from.parameters) if name != "model"]
    if denoiser.sha256:
        rows.append(("SHA-256", f"{denoiser.sha256[:16]}…"))
    return Table("architecture", "What was scored, and how it was made", ("", "value"), tuple(rows))


def flat(values: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The keys of a run file with their values in text, those of sections after a dot; what is null is left out."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from flat(value, f"{place}.{key}" if place else str(key))
    elif isinstance(values, list | tuple):
        yield place, ", ".join(str(value) for value in values)
    elif values is not None:
        shown = {True: "yes", False: "no"}[values] if isinstance(values, bool) else str(values)
        yield place, shown


def patches_per_s(history: list[Epoch]) -> float:
    """Training samples over the seconds spent on them, over all epochs."""
    before, seconds = 0, 0.0
    for epoch in history:
        seconds += (epoch.samples_seen - before) / epoch.train_patches_per_s if epoch.train_patches_per_s else 0.0
        before = epoch.samples_seen
    return before / seconds if seconds else 0.0


def within_cell(text: str) -> str:
    """Text that does not end its cell in Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|")


def markdown(table: Table, escape: Callable[[str], str] = within_cell) -> str:
    """A table as Markdown; `escape` is what its cells need, `str` for cells that are Markdown already."""
    cells = [[escape(cell) for cell in row] for row in (table.header, *table.rows)]
    if table.marked is not None:
        cells[table.marked + 1] = [f"**{cell}**" for cell in cells[table.marked + 1]]
    numbers = len(table.header) > _COLUMNS_OF_TEXT
    widths = [max(len(row[column]) for row in cells) for column in range(len(table.header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    rule = (
        "|"
        + "|".join("-" * (width + 1) + (":" if place and numbers else "-") for place, width in enumerate(widths))
        + "|"
    )
    return f"{table.caption}\n\n" + "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def latex(table: Table) -> str:
    r"""A table as LaTeX for `\input` into a document that says `\usepackage{booktabs,graphicx}`.

    Intervals stand on a line of their own below their values; a table of many columns is small, and shrinks
    to the width of the page.
    """
    wide = len(table.header) > _COLUMNS_OF_TEXT
    lines = []
    for place, row in enumerate(table.rows):
        values, brackets, ends = zip(*(cell.partition(" [") for cell in row), strict=True)
        shown = [escaped(value) for value in values]
        lines.append([rf"\textbf{{{value}}}" for value in shown] if place == table.marked else shown)
        if any(brackets):
            below = (f"{bracket.strip()}{end}" for bracket, end in zip(brackets, ends, strict=True))
            lines.append([rf"\tiny {escaped(text)}" if text else "" for text in below])
    environment = "table*" if wide else "table"
    columns = "ll" + ("r" if wide else "l") * (len(table.header) - 2)
    return "\n".join(
        [
            "% needs \\usepackage{booktabs,graphicx}",
            rf"\begin{{{environment}}}",
            r"\centering",
            rf"\caption{{{escaped(table.caption)}}}",
            r"\scriptsize\setlength{\tabcolsep}{2pt}" if wide else r"\footnotesize",
            *([r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"] if wide else []),
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(escaped(cell) for cell in table.header) + r" \\",
            r"\midrule",
            *(" & ".join(line) + r" \\" for line in lines),
            r"\bottomrule",
            r"\end{tabular}" + ("}" if wide else ""),
            rf"\end{{{environment}}}",
            "",
        ]
    )


def escaped(text: str) -> str:
    """Text in which LaTeX sees no command."""
    return "".join(_TEX.get(sign, sign) for sign in text)


def write(output_dir: Path, report: Report) -> list[Path]:
    """Write tables/*.md and *.tex; returns their paths."""
    folder = output_dir / FOLDER
    make_directory(folder)
    written = []
    for table in of_report(report):
        for suffix, text in zip(FILES, (markdown(table), latex(table)), strict=True):
            written.append(folder / f"{table.name}{suffix}")
            write_atomically(written[-1], text.encode())
    return written


def _scores(scores: Scores, intervals: Intervals | None, gain: str, fitted: str) -> tuple[str, ...]:
    around = {name: getattr(intervals, name, None) for name in ("mse", "psnr_db", "ssim", "correlation")}
    return (
        beside(wording.psnr(scores.psnr_db), interval(around["psnr_db"], 2)),
        gain,
        fitted,
        beside(number(scores.mse, 6), interval(around["mse"], 6)),
        number(scores.mae, 6),
        beside(number(scores.ssim.mean, 4), interval(around["ssim"], 4)),
        beside(number(scores.correlation.mean, 4), interval(around["correlation"], 4)),
        number(scores.edge_preservation.mean, 4),
    )
