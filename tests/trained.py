"""Documents of trainings made up for tests."""

from typing import Any

from cryodenoise.config.documents import MadeFrom
from cryodenoise.config.training_record import Epoch, TrainedOn, TrainingRecord, WeightsFile

FINISHED_MS = 1_700_000_100_000
TRAINED_S, VALIDATED_S, SAMPLES = 8.0, 1.0, 160


def epochs(count: int = 3) -> list[Epoch]:
    """A history in which an epoch takes TRAINED_S and VALIDATED_S seconds."""
    return [
        Epoch(
            epoch=number,
            train_loss=0.02 / number,
            validation_mse=0.01 / number,
            validation_psnr_db=20.0 + number,
            gain_over_input_db=1.0 * number,
            learning_rate=1e-3,
            samples_seen=SAMPLES * number,
            elapsed_s=(TRAINED_S + VALIDATED_S) * number,
            train_patches_per_s=SAMPLES / TRAINED_S,
            read_mb_per_s=3.0,
            waiting_fraction=0.01,
            skipped_steps=0,
        )
        for number in range(1, count + 1)
    ]


TRAINED_ON = TrainedOn(
    normalization="p1_p99",
    clipped=False,
    pairs="halves",
    micrographs=8,
    pixel_size_angstrom=(1.2, 1.5),
    dose_e_per_a2=(20.0, 30.0),
    standard_deviation=(0.2, 0.25),
    neighbour_correlation=(0.3, 0.5),
)


def record(**changes: Any) -> TrainingRecord:
    """A valid training.json; `changes` are fields that are otherwise."""
    fields: dict[str, Any] = {
        "format": TrainingRecord.FORMAT,
        "format_version": TrainingRecord.VERSION,
        "model": "unet",
        "parameters": 1_925_025,
        "trainings": 1,
        "weights": WeightsFile(name="best.safetensors", sha256="cd" * 32),
        "best_epoch": 3,
        "history": epochs(),
        "trained_on": TRAINED_ON,
        "validation_samples": 40,
        "validation_input_mse": 0.02,
        "target": None,
        "remarks": [],
        "micro_batch_size": 4,
        "processes": 1,
        "compiled": False,
        "sessions": 2,
        "initialization_s": 0.5,
        "finished_ms": FINISHED_MS,
        "peak_host_memory_bytes": 740 * 2**20,
        "peak_device_memory_bytes": None,
        "device": "A processor of 2 cores",
        "made_from": MadeFrom(
            parameters={"seed": 42, "batch_size": 8, "optimizer": {"name": "adam", "learning_rate": 1e-3}, "epochs": 3},
            inputs={"dataset": "12" * 32},
        ),
        "machine": {"device": "auto"},
        "environment": {"cryodenoise": "0.1.0", "source_revision": "5f" * 20},
    }
    return TrainingRecord(**{**fields, **changes})
