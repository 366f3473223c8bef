import base64
import re
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

import reports
from cryodenoise.config.report import Report
from cryodenoise.evaluation.measures import Measures
from cryodenoise.report import images, page, wording
from cryodenoise.report.build import write_all, write_comparison
from cryodenoise.report.page import Run
from pages import Page, parsed

Variants = dict[str, tuple[Report, Measures]]
NAMES = list(reports.variants())
PICTURE = dict.fromkeys(("histograms", "frc", "training"), b'<svg xmlns="http://www.w3.org/2000/svg"/>')
HEADINGS = [
    "Gain over the best classical baseline", "Scores", "Examples", "Charts", "What it took", "What was scored",
    "Self-tests of the scorer", "Provenance",
]  # fmt: skip


def shown(variants: Variants, name: str) -> Page:
    report, measures = variants[name]
    return parsed(page.single(Run(wording.public(report), measures, PICTURE)))


@pytest.mark.parametrize("name", NAMES)
def test_every_page_is_whole_and_needs_nothing_else(variants: Variants, name: str) -> None:
    found = shown(variants, name)
    assert found.unclosed == []
    assert [level for level, _ in found.headings].count(1) == 1
    assert all(after - before <= 1 for (before, _), (after, _) in zip(found.headings, found.headings[1:], strict=False))
    assert set(HEADINGS) <= {text for _, text in found.headings}
    for tag, attributes in found.tags:
        for key in ("src", "href", "srcset", "action", "data", "poster"):
            address = attributes.get(key, "data:")
            assert address.startswith(("data:", "#")), (tag, key, address[:60])
        assert tag not in ("iframe", "object", "embed", "base", "form")
        assert not any(key.startswith("on") for key in attributes)
    for image in found.of("img"):
        assert len(image["alt"]) > 10
    identifiers = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.parametrize("name", NAMES)
def test_no_page_names_a_place_or_a_user(variants: Variants, name: str) -> None:
    found = shown(variants, name)
    readable = found.text + " ".join(
        value for _, attributes in found.tags for value in attributes.values() if not value.startswith("data:")
    )
    assert reports.USER not in readable
    assert not re.search(r"(?<![\w.…/<])/(home|tmp|root|data|usr|Users|work)\b", readable)
    assert str(Path.cwd()) not in readable


def test_what_is_there_has_its_section_and_what_is_not_has_none(variants: Variants) -> None:
    def headings(name: str) -> set[str]:
        return {text for _, text in shown(variants, name).headings}

    assert {"Remarks", "Ice that shows nothing", "Particles in their ice"} <= headings("truth")
    assert "Particles in their ice" not in headings("no-truth")
    assert "Ice that shows nothing" not in headings("predictions")
    assert "Across seeds" in headings("seeds") - headings("truth")
    assert "From independent halves, without any truth" in shown(variants, "halves").text
    assert "From independent halves" not in shown(variants, "truth").text


def test_the_numbers_are_those_of_the_report(variants: Variants) -> None:
    report = variants["truth"][0]
    found = shown(variants, "truth").text
    scores = report.against_truth
    assert scores
    best = scores.methods[scores.best_baseline]
    assert best.gain_interval
    assert f"{best.gain_db:+.2f} dB 95 %: [{best.gain_interval.low:+.2f}, {best.gain_interval.high:+.2f}]" in found
    its, around = scores.denoised, scores.intervals
    assert around
    assert around.psnr_db
    assert f"PSNR {its.psnr_db:.2f} dB [{around.psnr_db.low:.2f}, {around.psnr_db.high:.2f}]" in found
    assert f"structural similarity {its.ssim.mean:.4f} [{around.ssim.low:.4f}, {around.ssim.high:.4f}]" in found
    for method in scores.methods.values():
        assert method.title in found
        assert f"{method.scores.mse:.6f}" in found
    for digest in (report.dataset_identity, report.measures_sha256, report.content_sha256, "cd" * 32):
        assert digest in found
    assert "An affine map comes within 0.3 % of the pointwise optimum & that is < 1 %." in found
    assert "seed 43 24.30" in shown(variants, "seeds").text
    assert "mean, 95 % interval 24.20 [23.95, 24.45]" in shown(variants, "seeds").text
    assert "No 95 % intervals: 1 micrograph, and" in shown(variants, "no-intervals").text


def test_text_of_a_report_is_never_markup(variants: Variants) -> None:
    report, measures = variants["truth"]
    hostile = '<img src="https://elsewhere.example/x" onerror="alert(1)">'
    denoiser = report.denoiser.model_copy(update={"name": hostile})
    changed = report.model_copy(update={"remarks": [hostile], "device": hostile, "denoiser": denoiser})
    html = page.single(Run(changed, measures, PICTURE))
    assert not any("elsewhere" in image["src"] for image in parsed(html).of("img"))
    assert "<img src=&#34;https" not in html
    assert html.count("&lt;img src=") >= 4


def test_images_are_the_examples_pixel_by_pixel(variants: Variants) -> None:
    report, measures = variants["truth"]
    uris = [image["src"] for image in shown(variants, "truth").of("img") if "png" in image["src"][:20]]
    assert len(uris) == 12
    decoded = [imagecodecs.png_decode(base64.b64decode(uri.partition(",")[2])) for uri in uris]
    assert {image.shape for image in decoded} == {measures.examples.shape[2:]}
    noisy, _, reference, residual = (image.astype(float) for image in decoded[:4])
    for image, original in ((noisy, measures.examples[0, 0]), (reference, measures.examples[0, 2])):
        assert np.corrcoef(image.ravel(), original.ravel())[0, 1] > 0.98  # but for what is clipped
    assert abs(residual.mean() - 127.5) < 3
    best, median, worst = images.examples(report, measures)
    assert best.psnr_db
    assert median.psnr_db
    assert worst.psnr_db
    assert best.psnr_db > median.psnr_db > worst.psnr_db
    shares = [(panel.low, panel.high) for panel in best.panels]
    assert shares[1] == shares[2] != shares[0]
    halves = images.examples(*variants["halves"])[0]
    shares = [(panel.low, panel.high) for panel in halves.panels]
    assert shares[0] == shares[2] != shares[1]


def test_constant_images_are_shown(variants: Variants) -> None:
    report, measures = variants["truth"]
    flat = replace(measures, examples=np.zeros_like(measures.examples))
    for panel in images.examples(report, flat)[0].panels:
        assert imagecodecs.png_decode(images.png(panel)).std() == 0


def test_runs_stand_side_by_side_the_largest_gain_first(variants: Variants) -> None:
    def run(name: str, mse_factor: float, **changes: object) -> Run:
        report, measures = variants["truth"]
        scores = report.against_truth
        assert scores
        best = scores.methods[scores.best_baseline]
        gain = None if mse_factor == 0 else best.gain_db - 10 * np.log10(mse_factor)
        methods = {**scores.methods, scores.best_baseline: best.model_copy(update={"gain_db": gain})}
        changed = {
            "denoiser": report.denoiser.model_copy(update={"name": name}),
            "against_truth": scores.model_copy(update={"methods": methods}),
        }
        return Run(report.model_copy(update={**changed, **changes}), measures, PICTURE)

    runs = [run("exact", 0), run("poor", 3), run("good", 0.5), run("fair", 1)]
    found = parsed(page.comparison(runs))
    assert found.unclosed == []
    headings = [text for level, text in found.headings if level == 2]
    assert headings == ["Headline scores", "Run 1: good", "Run 2: fair", "Run 3: poor", "Run 4: exact"]
    assert "Not comparable" not in found.text
    assert "Where the run files of train differ" not in found.text
    links = {attributes["href"] for attributes in found.of("a")}
    identifiers = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert links == {f"#run-{place}" for place in range(1, 5)}
    assert {link[1:] for link in links} <= set(identifiers)
    assert len(set(identifiers)) == len(identifiers)
    other = parsed(page.comparison([*runs, run("other", 1, dataset_identity="99" * 32)]))
    assert "Not comparable. These runs are of 2 different datasets" in other.text


def test_everything_is_written_and_the_same_again(variants: Variants, built: Path, tmp_path: Path) -> None:
    report, measures = variants["truth"]
    charts = ("examples", "histograms", "scatter", "correlation", "frc", "ssnr", "power", "blank", "training")
    assert {path.name for path in (built / "figures").iterdir()} == {
        f"{name}{suffix}" for name in charts for suffix in (".png", ".pdf")
    }
    for path in (path for path in built.rglob("*.*") if path.suffix in (".html", ".md", ".tex")):
        assert reports.USER not in path.read_text()
    written = write_all(built, report, measures, tmp_path / "again")
    assert written[0] == tmp_path / "again" / "report.html"
    before = {path.relative_to(built): path.read_bytes() for path in built.rglob("*.*")}
    after = {path.relative_to(tmp_path / "again"): path.read_bytes() for path in written}
    assert before == after


def test_a_comparison_is_written(variants: Variants, tmp_path: Path) -> None:
    runs = {tmp_path / name: variants[name] for name in ("truth", "predictions")}
    path, ordered = write_comparison(runs, tmp_path / "new")
    found = parsed(path.read_text())
    assert ordered == list(runs)  # of equal gains, as they were given
    assert "Where the run files of train differ" in found.text
    assert sum(image["src"].startswith("data:image/svg+xml") for image in found.of("img")) == 14


def test_a_report_in_memory_gives_the_page_of_the_one_on_the_disk(variants: Variants, tmp_path: Path) -> None:
    report, measures = variants["predictions"]
    (tmp_path / "report.json").write_text(report.dumps())
    pages = [
        write_all(tmp_path, each, measures, tmp_path)[0].read_bytes()
        for each in (report.model_copy(update={"content_sha256": ""}), Report.load_document(tmp_path / "report.json"))
    ]
    assert pages[0] == pages[1]


def test_filters_on_empty_ice_have_the_titles_that_they_have_among_the_scores(variants: Variants) -> None:
    report = variants["truth"][0]
    assert report.blank
    name, method = next((name, each) for name, each in report.that_counts.methods.items() if each.kind == "baseline")
    blank = report.blank.model_copy(update={"energy_of_baselines": {name: 0.055}})
    table = page._energies(report.model_copy(update={"blank": blank}))
    assert table.rows[1] == (method.title, "5.50 %")
