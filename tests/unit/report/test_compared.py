"""The rows of a comparison, from reports whose numbers are known."""

import numpy as np
import pytest

from comparisons import HOSTILE, PARAMETERS, pictures, record, scored
from cryodenoise.config.comparison import TrackResult
from cryodenoise.report import compared, compared_page, compared_tables
from cryodenoise.report.compared import Scored
from pages import parsed


def track(*systems: Scored) -> TrackResult:
    return compared.of_track("truth", 9, systems)


def test_a_filter_that_reports_lack_can_be_the_best() -> None:
    network, slow = scored("network"), scored("slow")
    methods = network.report.that_counts.methods
    assert "nlm" not in methods
    assert slow.report.that_counts.denoised.mse < min(
        method.scores.mse for method in methods.values() if method.kind != "bound"
    )
    found = track(network, slow)
    rows = {row.name: row for row in found.rows}
    assert (found.best_filter, found.best_affine_filter) == ("slow", "slow")
    gain = 10 * np.log10(slow.report.that_counts.denoised.mse / network.report.that_counts.denoised.mse)
    assert rows["network"].gain_db == pytest.approx(gain)
    interval = rows["network"].gain_interval_db
    assert interval is not None
    assert interval.low < gain < interval.high
    assert rows["network"].affine_gain_interval_db is None  # no report has both
    assert rows["slow"].gain_db is None


def test_the_reports_own_interval_is_told_where_it_has_the_best_filter() -> None:
    network = scored("network")
    found = track(network)
    own = network.report.that_counts.methods[found.best_filter]
    row = next(row for row in found.rows if row.name == "network")
    assert row.gain_interval_db == own.gain_interval
    fitted = network.report.that_counts.methods[found.best_affine_filter]
    assert row.affine_gain_interval_db == fitted.affine_fitted_gain_interval


def test_methods_on_a_subset_are_no_rows() -> None:
    network = scored("network")
    partly = {
        name for name, each in network.report.that_counts.methods.items() if each.samples < network.report.samples
    }
    assert not partly & {row.name for row in track(network).rows}


def test_without_error_a_row_stands_first_and_has_no_gain() -> None:
    network = scored("network")
    counts = network.report.that_counts
    exact = counts.affine_fitted.model_copy(update={"mse": 0.0, "psnr_db": None})
    changed = counts.model_copy(update={"affine_fitted": exact})
    report = network.report.model_copy(update={"against_truth": changed})
    found = track(Scored("network", network.system, report, network.measures))
    assert found.rows[0].name == "network"
    assert found.rows[0].affine_gain_db is None


def test_what_a_run_file_says_is_text_on_the_page() -> None:
    html = compared_page.page(record(), PARAMETERS, pictures())
    page = parsed(html)
    assert not page.unclosed
    assert not page.of("script")
    assert HOSTILE in page.text
    assert not [link for link in page.of("a") if link.get("href", "").startswith("javascript")]


def test_what_a_run_file_says_breaks_no_table() -> None:
    lines = compared_tables.markdown(record(), PARAMETERS).splitlines()
    assert not [line for line in lines if "<script" in line.replace(r"\<", "")]
    assert not [line for line in lines if "/home/mallory" in line]
    rows = [line for line in lines if line.startswith("|")]
    columns = {len(line.replace(r"\|", "").split("|")) for line in rows}
    assert len(columns) == 1


def test_equal_comparisons_give_equal_pages() -> None:
    first, second = (compared_page.page(record(), PARAMETERS, pictures()) for _ in range(2))
    assert first == second
