from typing import Any

import pytest

from cryodenoise.config.report import Report
from cryodenoise.report.table import render
from scores import scores, set_of


def report(**changes: Any) -> Report:
    """A report of which only what is shown is filled in."""
    shown = {
        "model": "cnn3", "parameters": 9, "samples": 4, "sample_shape": (32, 32), "pairs": "truth",
        "against_target": set_of(0.01, 0.02), "against_truth": None, "remarks": [], "inference_patches_per_s": 1.0,
        "peak_host_memory_bytes": 1 << 30, "peak_device_memory_bytes": None, "device": "a processor",
    }  # fmt: skip
    return Report.model_construct(**{**shown, **changes})


@pytest.mark.parametrize(("network", "reference"), [(0.01, 0.0), (0.0, 0.01), (0.0, 0.0)])
def test_there_is_no_gain_where_either_has_no_error(network: float, reference: float) -> None:
    shown = render(report(against_target=set_of(network, reference)))
    assert "gains – dB over the noisy input, – dB over scalar Wiener" in shown
    assert shown.count("∞") == (network == 0) + 2 * (reference == 0)


def test_gains_have_signs_and_psnrs_have_none() -> None:
    shown = render(report(against_target=set_of(0.01, 0.1)))
    assert "gains +10.00 dB over the noisy input, +10.00 dB over scalar Wiener" in shown
    assert f"{scores(0.01).psnr_db:.2f}" in shown
    assert "+20.00" not in shown
