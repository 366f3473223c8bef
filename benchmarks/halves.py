"""The error that independent halves tell, held against the true error: python benchmarks/halves.py [--doses 12 48].

Simulates 50 micrographs of 512 × 512 for each dose with the halves and the truth of each, and scores filters on the
halves, and as a bad denoiser images turned inside out. Prints the true error, the estimate that knows no truth, its
95 % interval, and the PSNR of both.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from cryodenoise.cli import main as cryodenoise
from cryodenoise.config.report import Report

FILTERS = ("identity", "affine", "gaussian", "lowpass20", "wiener")
BAD = "turned inside out"


def run(*words: str) -> None:
    """A command, which must succeed."""
    if code := cryodenoise(words):
        sys.exit(code)


def score(workspace: Path, name: str, parameters: dict[str, object], *words: str) -> Report:
    """The report on one denoiser."""
    run_file, results = workspace / f"{name}.yaml", workspace / f"results-{name}"
    run_file.write_text(json.dumps({"slow_patches": 0, "figures": False, **parameters}))
    data = f"--data_dir={workspace / 'data'}"
    run("test", f"--parameters_file={run_file}", data, f"--results_dir={results}", *words)
    return Report.load_document(results / "report.json")


def compare(workspace: Path, dose_e_per_a2: float, micrographs: int, seed: int) -> None:
    """A row for each denoiser."""
    synthetic = {"preset": "smoke", "micrographs": micrographs, "halves": True, "seed": seed}
    synthetic["detector"] = {"dose_e_per_a2": dose_e_per_a2}
    (workspace / "download.yaml").write_text(json.dumps({"source": "synthetic", "synthetic": synthetic}))
    pairs = {"pairs": {"kind": "halves"}, "normalization": "p1_p99", "noise": {"model": "none"}}
    (workspace / "preprocess.yaml").write_text(json.dumps({**pairs, "patches": {"size_px": 128, "stride_px": 64}}))
    raw, data = f"--raw_dir={workspace / 'raw'}", f"--data_dir={workspace / 'data'}"
    run("download", f"--parameters_file={workspace / 'download.yaml'}", raw)
    run("preprocess", f"--parameters_file={workspace / 'preprocess.yaml'}", raw, data)
    reports = {name: score(workspace, name, {"model": f"baseline/{name}"}) for name in FILTERS}
    images = workspace / "images"
    images.mkdir()
    (1 - np.fromfile(workspace / "data/test_input.bin", "<f4")).astype("<f4").tofile(images / "test_denoised.bin")
    reports[BAD] = score(workspace, "bad", {}, f"--predictions={images}")
    for name, report in reports.items():
        assert report.halves is not None
        assert report.halves.mse_interval is not None
        assert report.against_truth is not None
        truth, estimate, interval = report.against_truth.denoised, report.halves, report.halves.mse_interval
        within = "" if interval.low <= truth.mse <= interval.high else " outside"
        psnrs = [f"{value:.2f}" if value is not None else "none" for value in (truth.psnr_db, estimate.psnr_db)]
        print(
            f"{dose_e_per_a2:6g} {name:18} {truth.mse:9.6f} {estimate.mse:9.6f} "
            f"[{interval.low:.6f}, {interval.high:.6f}]{within:8} {psnrs[0]:>6} {psnrs[1]:>6}",
            file=sys.stderr,
            flush=True,
        )


def main() -> None:
    """Measure and print; the table goes to standard error, what the tasks say to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doses", nargs="+", type=float, default=[12.0, 24.0, 48.0], help="electrons per Å²")
    parser.add_argument("--micrographs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=42, help="of the simulation")
    options = parser.parse_args()
    print("  dose denoiser            true MSE  estimate, 95 % interval             PSNR estimate", file=sys.stderr)
    for dose in options.doses:
        with tempfile.TemporaryDirectory() as workspace:
            compare(Path(workspace), dose, options.micrographs, options.seed)


if __name__ == "__main__":
    main()
