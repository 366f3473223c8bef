import re
from pathlib import Path

import pytest

from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report import tables
from cryodenoise.report.tables import Table

Variants = dict[str, tuple[Report, Measures]]


def rows_of(markdown: str) -> list[list[str]]:
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("*") for cell in line.strip("|").split(" | ")] for line in [lines[0], *lines[2:]]]


def test_performance_has_every_method_and_its_numbers(variants: Variants, built: Path) -> None:
    report = variants["truth"][0]
    assert report.against_truth
    for name, scores in (("truth", report.against_truth), ("target", report.against_target)):
        header, *rows = rows_of((built / f"tables/performance_against_{name}.md").read_text())
        shown = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
        assert rows[-1][0] == "unet"
        assert len(rows) == len(scores.methods) + 1
        for method in scores.methods.values():
            row = shown[method.title]
            assert row["PSNR/dB"] == f"{method.scores.psnr_db:.2f}"
            assert row["MSE"] == f"{method.scores.mse:.6f}"
            assert row["patches"] == str(method.samples)
            assert row["gain/dB"].startswith(f"{method.gain_db:+.2f}")
        around = scores.intervals
        assert around
        assert around.psnr_db
        expected = f"{scores.denoised.psnr_db:.2f} [{around.psnr_db.low:.2f}, {around.psnr_db.high:.2f}]"
        assert shown["unet"]["PSNR/dB"] == expected


def test_every_table_is_there_as_markdown_and_latex(built: Path) -> None:
    names = {"performance_against_truth", "performance_against_target", "efficiency", "architecture"}
    files = {path.name for path in (built / "tables").iterdir()}
    assert files == {f"{name}{suffix}" for name in names for suffix in (".md", ".tex")}


def test_efficiency_counts_samples_over_seconds(variants: Variants) -> None:
    report = variants["truth"][0]
    assert report.training
    rows = {row[0]: row[1:] for row in tables.efficiency(report).rows}
    assert rows["patches/s"] == ("20.00", "35.25")
    assert rows["peak host memory"] == ("740 MiB", "768 MiB")
    assert rows["energy, processor"] == ("–", "61 J")
    fast, slow = report.training.history[:2]
    history = [fast.model_copy(update={"train_patches_per_s": 40.0}), slow]  # 160 in 4 s, then 160 in 8 s
    assert tables.patches_per_s(history) == pytest.approx(320 / 12)


def test_without_training_only_scoring_is_told(variants: Variants) -> None:
    report = variants["predictions"][0]
    assert tables.efficiency(report).header == ("", "scoring")
    expected = (("kind", "predictions"), ("name", "denoised.mrcs"), ("SHA-256", "ef" * 8 + "…"))
    assert tables.architecture(report).rows == expected
    assert ("sigma_px", "1.6") in tables.architecture(variants["baseline"][0]).rows


def test_architecture_tells_the_run_file(variants: Variants) -> None:
    rows = tables.architecture(variants["truth"][0]).rows
    expected = {("parameters", "1,925,025"), ("optimizer.learning_rate", "0.001"), ("precision", "fp32")}
    assert expected < set(rows)
    assert "ema_decay" not in {name for name, _ in rows}  # null


HOSTILE = Table("t", "50 % & more_of ~it", ("a_b", "#"), (("x\\y {z} | $1 ^", '[1] <2> ∞ −3 – "q"'),), 0)


def test_latex_sees_no_command_in_the_text() -> None:
    text = tables.latex(HOSTILE)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert r"a\_b & \# \\" in body
    assert r"\textbf{x\textbackslash{}y \{z\} \textbar{} \$1 \textasciicircum{}}" in body
    assert r"{[}1{]} \textless{}2\textgreater{} \ensuremath{\infty} \ensuremath{-}3 -- ''q''" in body
    assert r"\caption{50 \% \& more\_of \textasciitilde{}it}" in text
    assert r"\begin{tabular}{ll}" in text


def test_latex_is_well_formed(built: Path) -> None:
    for path in (built / "tables").glob("*.tex"):
        text = path.read_text()
        bare = re.sub(r"\\[\\%&$#_{}]", "", text)
        assert bare.count("{") == bare.count("}")
        floating = "table*" if path.name.startswith("performance") else "table"
        assert re.findall(r"\\(begin|end)\{([\w*]+)\}", text) == [
            ("begin", floating), ("begin", "tabular"), ("end", "tabular"), ("end", floating)
        ]  # fmt: skip
        spec = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
        assert spec
        rows = [line for line in text.splitlines() if line.endswith(r"\\")]
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {len(spec[1])}
        assert text.replace("Å", "").replace("σ", "").isascii()


def test_intervals_stand_below_their_values_in_latex() -> None:
    table = Table("t", "", ("method", "kind", "a", "b"), (("x", "bound", "1.0 [0.5, 1.5]", "2"),), 0)
    lines = tables.latex(table).splitlines()
    assert lines[-5:-3] == [
        r"\textbf{x} & \textbf{bound} & \textbf{1.0} & \textbf{2} \\", r" &  & \tiny {[}0.5, 1.5{]} &  \\"
    ]  # fmt: skip


def test_markdown_keeps_bars_within_cells() -> None:
    line = tables.markdown(HOSTILE).splitlines()[-1]
    assert r"x\\y {z} \| $1 ^" in line
    assert len(re.findall(r"(?<!\\)\|", line)) == 3
