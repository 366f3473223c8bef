"""What three errors of EMDenoise's published scorers would make of scores on the generated graphene set.

Usage: python benchmarks/emdenoise_scorer.py WORKSPACE [--device cpu]

WORKSPACE holds data/ and model/ of the four tasks of run/emdenoise/smoke (`workspace/emdenoise/smoke`). Prints this
project's score of the network and of the noisy images, and beside it: the noisy files in the place of the clean ones,
as EMDenoiseInferenceDataset reads them; a throughput from a batch size that is not in use, as TrackingCallback computes
it; and the mean of the batches' PSNR in the place of that of all pixels. docs/SYSTEMS.md cites the code.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from cryodenoise import devices
from cryodenoise.dataset.reader import SplitReader, open_dataset
from cryodenoise.models.denoiser import as_denoiser
from cryodenoise.training.checkpoints import load_network
from cryodenoise.training.record import network_of, open_trainings

USED, TOLD = 10, (256, 5)
"""Images in a batch, and how many the throughput takes for it: the default, and that of its parameter file."""
BATCHES = (1, 5, 10, 64)
RANGES = (1.0, 255.0)


def psnr_db(mse: np.ndarray | float, data_range: float = 1.0) -> np.ndarray:
    """Peak signal-to-noise ratio; infinite where nothing differs."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / np.asarray(mse))


def errors(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Mean squared error of each image, float64."""
    found: np.ndarray = ((images.astype("f8") - others) ** 2).mean(axis=(1, 2, 3))
    return found


def batched(values: np.ndarray, size: int) -> list[np.ndarray]:
    """The values of each batch; the last may be smaller."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    torch.set_grad_enabled(False)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    data_dir, model_dir = given.workspace / "data", given.workspace / "model"
    dataset, device = open_dataset(data_dir), devices.choose(given.device)
    (path, record), *_ = open_trainings(model_dir)
    network = network_of(record, model_dir, None)
    denoise = as_denoiser(
        devices.place(load_network(path / record.weights.name, network), device), network.name, False, ""
    )
    with SplitReader(data_dir, dataset, "test") as reader:
        noisy, clean = reader.read(np.arange(reader.samples))

    def denoised() -> np.ndarray:
        parts = [denoise(devices.place(torch.from_numpy(part), device)).cpu().numpy() for part in batched(noisy, USED)]
        return np.concatenate(parts)

    denoised()  # the first pass finds its memory
    began_s = time.perf_counter()
    images = denoised()
    elapsed_s = time.perf_counter() - began_s

    print(f"{len(noisy)} images of {' × '.join(map(str, dataset.sample_shape))}\n")
    print("| image | PSNR/dB against the clean files | against the noisy files in their place |\n|---|---|---|")
    for name, image in (("noisy", noisy), (network.name, images), ("clean", clean)):
        right, wrong = (float(psnr_db(errors(image, other).mean())) for other in (clean, noisy))
        print(f"| {name} | {right:.2f} | {wrong:.2f} |")

    print("\n| throughput | images/s | ratio |\n|---|---|---|")
    right = len(noisy) / elapsed_s
    print(f"| images counted over seconds measured | {right:.1f} | 1.00 |")
    for told in TOLD:
        taken = told * len(batched(noisy, USED)) / elapsed_s
        print(f"| {told} taken for each batch of up to {USED} | {taken:.1f} | {taken / right:.2f} |")

    print("\n| batches of | " + " | ".join(map(str, BATCHES)) + " | all pixels |\n" + "|---" * (len(BATCHES) + 2) + "|")
    of_images = errors(images, clean)
    for data_range in RANGES:
        means = [np.mean([psnr_db(part.mean(), data_range) for part in batched(of_images, size)]) for size in BATCHES]
        cells = [*means, psnr_db(of_images.mean(), data_range)]
        print(f"| mean PSNR/dB for a range of {data_range:.0f} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")
    means = [np.mean([part.mean() for part in batched(of_images, size)]) for size in BATCHES]
    print("| mean MSE | " + " | ".join(f"{cell:.6f}" for cell in [*means, of_images.mean()]) + " |")


if __name__ == "__main__":
    main()
