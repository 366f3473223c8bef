"""Do the scores tell methods apart? python benchmarks/separation.py WORKSPACE.

Runs `run/truth`, `run/halves`, and `run/truth` at the dose of a half (26.5 e⁻/Å² in 19 frames, the same specimens) in
WORKSPACE, as far as they are not there yet, and prints the PSNR against the truth of the noisy input, the best affine
map, the best Gaussian blur (its width tuned on the validation split) and the network. Takes ten minutes on two cores.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml
from scipy.ndimage import gaussian_filter

from cryodenoise.cli import main as cryodenoise
from cryodenoise.config.documents import DatasetRecord, SplitName
from cryodenoise.dataset.layout import Role
from cryodenoise.dataset.reader import SplitReader, open_dataset

REPOSITORY = Path(__file__).parents[1]
WIDTHS_PX = tuple(0.25 * number for number in range(1, 25))
HALF_DOSE = {"dose_e_per_a2": 26.5, "frames": 19}


def run(workspace: Path, run_set: Path) -> None:
    """The four tasks; what is done already is not done again.

    Raises:
        SystemExit: If one fails.
    """
    if code := cryodenoise(["pipeline", str(run_set), "--workspace", str(workspace)]):
        sys.exit(code)


def at_half_dose(folder: Path) -> Path:
    """A copy of run/truth with the dose of one half of an exposure."""
    run_set = folder / "run" / "truth-at-half-dose"
    shutil.copytree(REPOSITORY / "run/truth", run_set, dirs_exist_ok=True)
    path = run_set / "download.yaml"
    content = yaml.safe_load(path.read_text())
    content["synthetic"]["detector"] = HALF_DOSE
    path.write_text(yaml.safe_dump(content))
    return run_set


def samples(data_dir: Path, record: DatasetRecord, split: SplitName, answer: Role) -> Iterator[tuple[np.ndarray, ...]]:
    """Input and answer of each sample, float32 of shape (h, w)."""
    with SplitReader(data_dir, record, split, ("input", answer)) as reader:
        for index in range(reader.samples):
            noisy, expected = reader.read(np.array([index]))
            yield noisy[0, 0], expected[0, 0]


def blurred_mse(data_dir: Path, record: DatasetRecord, split: SplitName, answer: Role, width_px: float) -> float:
    """Mean squared error of a Gaussian blur of the inputs."""
    errors = [
        float(np.square(gaussian_filter(noisy, width_px).astype(np.float64) - expected).mean())
        for noisy, expected in samples(data_dir, record, split, answer)
    ]
    return float(np.mean(errors))


def best_blur(data_dir: Path) -> tuple[float, float]:
    """The width in pixels with the lowest error against the validation's targets, and its PSNR in dB on the test."""
    record = open_dataset(data_dir)
    width = min(WIDTHS_PX, key=lambda width: blurred_mse(data_dir, record, "validation", "target", width))
    answer: Role = "target" if record.pairs == "truth" else "truth"
    return width, -10 * float(np.log10(blurred_mse(data_dir, record, "test", answer, width)))


def psnr_db(results_dir: Path) -> dict[str, float]:
    """PSNR in dB against the truth, of input, affine map and network."""
    report = json.loads((results_dir / "report.json").read_text())
    scores = report["against_truth"] or report["against_target"]
    return {name: scores[name]["psnr_db"] for name in ("noisy_input", "scalar_wiener", "denoised")}


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workspace", type=Path)
    folder = parser.parse_args().workspace.resolve()
    sets = {
        "truth": REPOSITORY / "run/truth",
        "halves": REPOSITORY / "run/halves",
        "truth-at-half-dose": at_half_dose(folder),
    }
    for name, run_set in sets.items():
        run(folder / name, run_set)
    # The network that saw halves alone, on the inputs of the one that was shown the truth at that dose.
    crossed = folder / "halves-on-truth-at-half-dose"
    words = ["test", f"--parameters_file={REPOSITORY / 'run/truth/test.yaml'}", f"--results_dir={crossed}"]
    data_dir, model_dir = folder / "truth-at-half-dose/data", folder / "halves/model"
    if code := cryodenoise([*words, f"--data_dir={data_dir}", f"--model_dir={model_dir}"]):
        sys.exit(code)
    print(f"\n{'PSNR against the truth, dB':28} {'noisy':>7} {'affine':>7} {'blur':>7} {'(px)':>6} {'cnn3':>7}")
    for name in sets:
        scores = psnr_db(folder / name / "results")
        width, blur = best_blur(folder / name / "data")
        print(
            f"{name:28} {scores['noisy_input']:7.2f} {scores['scalar_wiener']:7.2f} {blur:7.2f} {width:6.2f} "
            f"{scores['denoised']:7.2f}"
        )
    scores = psnr_db(crossed)
    print(f"{'halves → half-dose inputs':28} {scores['noisy_input']:7.2f} {scores['scalar_wiener']:7.2f} "
          f"{'':7} {'':6} {scores['denoised']:7.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
