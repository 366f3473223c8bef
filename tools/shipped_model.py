"""Train the model that the program ships: python tools/shipped_model.py [--directory DIR].

Simulates micrographs under several conditions, none of them among those of `truth` and `halves`, trains one network on
all of them towards their noise-free images, scores it on the test splits of run/truth and run/halves, and writes
weights, training.json, run files and both reports to reference/shipped/. What DIR holds already is not done again.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from cryodenoise.config.simulation import DetectorParameters
from cryodenoise.config.training_record import TrainingRecord

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "reference/shipped"
TRACKS = ("truth", "halves")

COMMON: dict[str, Any] = {"preset": "laptop"}
CONDITIONS: dict[str, dict[str, Any]] = {
    # What the tracks are like, at the dose of the whole exposure and of a half of it.
    "binned": {"micrographs": 24, "seed": 1001},
    "binned-half-dose": {"micrographs": 24, "seed": 1002, "detector": {"dose_e_per_a2": 26.5}},
    # Finer pixels, other doses, defoci, particles and detectors.
    "two-species": {
        "micrographs": 14, "seed": 1003, "pixel_size_angstrom": 1.77,
        "specimen": {"particles": 20, "second_particles": 20},
        "ice": {"contamination": 1, "structure_factor": 0.1},
        "optics": {"defocus_um": [1.0, 3.5]}, "detector": {"dose_e_per_a2": 40.0, "mtf_at_nyquist": 0.3},
    },
    "physical-pixels": {
        "micrographs": 14, "seed": 1004, "pixel_size_angstrom": 1.315,
        "specimen": {"particles": 20}, "ice": {"carbon_fraction": 0.1},
        "optics": {"defocus_um": [0.8, 2.5], "b_factor_a2": 90.0},
    },
    "apoferritin": {
        "micrographs": 14, "seed": 1005, "pixel_size_angstrom": 1.05,
        "specimen": {"species": "apoferritin", "particles": 25}, "ice": {"thickness_nm": 20.0},
        "optics": {"defocus_um": [0.5, 2.0]}, "detector": {"dose_e_per_a2": 40.0, "mtf_at_nyquist": 0.7},
    },
    "coarse": {
        "micrographs": 10, "seed": 1006, "pixel_size_angstrom": 3.5,
        "specimen": {"particles": 110, "second_species": "apoferritin", "second_particles": 20},
        "ice": {"thickness_nm": 60.0}, "optics": {"defocus_um": [2.0, 4.0]}, "detector": {"dose_e_per_a2": 20.0},
    },
}  # fmt: skip
PREPROCESS: dict[str, Any] = {
    "pairs": {"kind": "truth"},
    "normalization": "p1_p99",
    "patches": {"size_px": 256, "stride_px": 192},
    "split": {"seed": 42, "test_fraction": 0.05, "validation_fraction": 0.08},
    "noise": {"model": "none"},
}
TRAIN: dict[str, Any] = {
    "model": "unet8",
    "optimizer": {"name": "adamw", "learning_rate": 2e-3, "weight_decay": 1e-4},
    "schedule": {"name": "cosine", "warmup_epochs": 0.2},
    "gradient_clip_norm": 1.0,
    "ema_decay": 0.995,
    "epochs": 12,
    "batch_size": 8,
    "seed": 42,
}


def run(*words: str | Path) -> None:
    """A command of the program."""
    subprocess.run([sys.executable, "-m", "cryodenoise", *map(str, words)], check=True)


def write(path: Path, content: dict[str, Any]) -> Path:
    """A run file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def gather(directory: Path) -> Path:
    """Simulate all conditions; a folder of all micrographs, and of their truths in the folder `truth` within."""
    together = directory / "raw"
    (together / "truth").mkdir(parents=True, exist_ok=True)
    for name, condition in CONDITIONS.items():
        raw = directory / "conditions" / name
        parameters = {"source": "synthetic", "synthetic": {**COMMON, **condition}}
        run_file = write(directory / "run" / name / "download.yaml", parameters)
        run("download", "--parameters_file", run_file, "--raw_dir", raw)
        for path in (*raw.glob("*.mrc"), *raw.glob("truth/*.mrc")):
            link = together / path.parent.relative_to(raw) / f"{name}-{path.name}"
            if not link.exists():
                os.link(path, link)
    return together


def train(directory: Path) -> Path:
    """Train on all conditions together; the folder of the training."""
    raw, data, model = gather(directory), directory / "data", directory / "model"
    preprocess_file = write(directory / "run/preprocess.yaml", PREPROCESS)
    train_file = write(directory / "run/train.yaml", TRAIN)
    run("preprocess", "--parameters_file", preprocess_file, "--raw_dir", raw, "--data_dir", data)
    run("train", "--parameters_file", train_file, "--data_dir", data, "--model_dir", model)
    return model


def score(track: str, model: Path, directory: Path) -> Path:
    """Score it on the test split of a track; the report."""
    runs, workspace = ROOT / "run" / track, directory / track
    run("download", "--parameters_file", runs / "download.yaml", "--raw_dir", workspace / "raw")
    folders = ("--raw_dir", workspace / "raw", "--data_dir", workspace / "data")
    run("preprocess", "--parameters_file", runs / "preprocess.yaml", *folders)
    shutil.rmtree(workspace / "results", ignore_errors=True)
    scored = ("--data_dir", workspace / "data", "--model_dir", model, "--results_dir", workspace / "results")
    run("test", "--parameters_file", runs / "test.yaml", *scored)
    return workspace / "results/report.json"


def with_dose(record: TrainingRecord) -> TrainingRecord:
    """The record with the doses of the conditions, which the micrographs themselves do not tell."""
    detectors = (condition.get("detector", {}) for condition in CONDITIONS.values())
    doses = [DetectorParameters.model_validate(detector).dose_e_per_a2 for detector in detectors]
    trained_on = record.trained_on.model_copy(update={"dose_e_per_a2": (min(doses), max(doses))})
    return record.model_copy(update={"trained_on": trained_on})


def main() -> None:
    """Train, score, and keep what the program ships."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, default=ROOT / "workspace/shipped", help="where the work is done")
    directory: Path = parser.parse_args().directory
    model = train(directory)
    reports = {track: score(track, model, directory) for track in TRACKS}
    shutil.rmtree(SHIPPED / "run", ignore_errors=True)
    shutil.copytree(directory / "run", SHIPPED / "run")
    shutil.copy(model / "best.safetensors", SHIPPED)
    (SHIPPED / "training.json").write_text(with_dose(TrainingRecord.load_document(model / "training.json")).dumps())
    for track, report in reports.items():
        shutil.copy(report, SHIPPED / f"{track}.json")


if __name__ == "__main__":
    main()
