"""The definitions of the reference, restated in a few independent lines, and the result that follows from them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from workspaces import NOTHING, Workspace

SIZE, STRIDE = 64, 32
REAL = Path(__file__).resolve().parents[1] / "data" / "micrograph.mrc"


def reference_targets(raw_dir: Path) -> tuple[bytes, bytes]:
    """Train and test targets: percentile rule, patches and split, as the reference defines them."""
    names = sorted(raw_dir.glob("*.mrc"))
    numbers = np.random.RandomState(42).permutation(len(names))
    held_out = max(1, len(names) // 10)

    def targets(chosen: np.ndarray) -> bytes:
        content = b""
        for number in chosen:
            image = mrcfile.read(names[number]).astype("f4")
            scale = np.float32(np.percentile(image[image > 0].astype("f8"), 95))
            image = np.clip(image / scale, 0, 1)
            for y in range(0, image.shape[0] - SIZE + 1, STRIDE):
                for x in range(0, image.shape[1] - SIZE + 1, STRIDE):
                    content += image[y : y + SIZE, x : x + SIZE].astype("<f4").tobytes()
        return content

    return targets(numbers[:-held_out]), targets(numbers[-held_out:])


@pytest.mark.parametrize("kind", ["synthetic", "real"])
def test_targets_equal_an_independent_restatement_byte_for_byte(
    empty: Workspace, kind: str, write_mrc: Callable[..., Path]
) -> None:
    if kind == "synthetic":
        empty.write("download", {"synthetic": {"height_px": 200, "width_px": 150, "micrographs": 5}})
        assert empty.run("download") == 0
    else:
        whole = mrcfile.read(REAL)
        for number, rows in enumerate(np.array_split(whole, 3)):
            write_mrc(empty / f"raw/{number}.mrc", rows, 1.77)
    empty.write("preprocess", {"patches": {"size_px": SIZE, "stride_px": STRIDE}})
    assert empty.run("preprocess") == 0
    train, test = reference_targets(empty / "raw")
    assert (empty / "data/train_target.bin").read_bytes() == train
    assert (empty / "data/test_target.bin").read_bytes() == test


def test_white_shot_noise_lands_on_the_published_result(empty: Workspace) -> None:
    """The published MSE 0.00696 and 21.57 dB follow from Poisson(16.1) counts alone, and an affine map does as well.

    The expected figures are those of 100 million draws; 0.0002 is 10 standard errors of 600,000 pixels.
    """
    camera = {"dose_e_per_a2": 16.1 / 4, "frames": 1, "quantum_efficiency": 1.0, "mtf_at_nyquist": 1.0}
    size = {"micrographs": 6, "height_px": 768, "width_px": 768, "pixel_size_angstrom": 2.0}
    empty.write("download", {"synthetic": {**size, **NOTHING, "detector": camera}})
    empty.write("preprocess", {"patches": {"size_px": 64, "stride_px": 64}})
    empty.write("train", {"epochs": 12, "batch_size": 8, "optimizer": {"learning_rate": 4e-3}})
    empty.write("test", {"batch_size": 8})
    assert empty.run("download") == 0
    for path in (empty / "raw").iterdir():  # nothing else is known of the published micrographs
        if path.suffix != ".mrc":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert empty.run("preprocess", "train", "test") == 0
    report = json.loads((empty / "results/report.json").read_text())
    scores = report["against_target"]
    errors = {name: method["scores"]["mse"] for name, method in scores["methods"].items()}
    assert errors["noisy_input"] == pytest.approx(0.0085, abs=0.0002)
    assert errors["scalar_wiener"] == pytest.approx(0.00691, abs=0.00005)
    assert errors["pointwise_optimum"] == pytest.approx(0.00690, abs=0.00005)
    assert scores["denoised"]["mse"] == pytest.approx(0.0069, abs=0.0002)
    assert scores["denoised"]["psnr_db"] == pytest.approx(21.6, abs=0.15)
    # Nothing beats the best curve per intensity, and an affine map comes within 0.3 % of it.
    assert min(scores["denoised"]["mse"], *errors.values()) == errors["pointwise_optimum"]
    said = " ".join(report["remarks"])
    assert "An affine map of the input, two numbers, comes within 0." in said
    assert "of independent pixels it is the optimum, and nothing beats it" in said
