"""Streaming the test split through a network and scoring it beside the noisy input and the scalar Wiener reference."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cryodenoise import devices
from cryodenoise.config.documents import DatasetRecord
from cryodenoise.config.report import AffineMap, Scores
from cryodenoise.config.run_files import TestParameters
from cryodenoise.console import Console
from cryodenoise.dataset.order import batches
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.dataset.stream import stream
from cryodenoise.metrics.accumulate import AffineFit, ScoreSums

AS_GOOD_DB = 0.1
"""A gain over the scalar Wiener reference below this counts as none."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a test split."""

    samples: int
    denoised: Scores
    noisy_input: Scores
    scalar_wiener: Scores
    affine_map: AffineMap
    inference_s: float
    elapsed_s: float


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data_dir: Path,
    dataset: DatasetRecord,
    parameters: TestParameters,
    device: torch.device,
    console: Console,
) -> Evaluation:
    """Score a network on the test split in two passes: one to fit the affine map, one to score everything.

    Raises:
        UserError: If a sample is damaged.
    """
    network = devices.place(network, device).eval()
    sums = {name: ScoreSums() for name in ("denoised", "noisy_input", "scalar_wiener")}
    fit = AffineFit()
    inference_s = 0.0
    started_s = time.monotonic()
    with SplitReader(data_dir, dataset, "test") as reader:

        def on_device(label: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
            plan = batches(np.arange(reader.samples), parameters.batch_size)
            with console.progress(label, reader.samples, "patches") as advance:
                for inputs, targets in stream(reader, plan, parameters.read_ahead):
                    yield torch.from_numpy(inputs), torch.from_numpy(targets).to(device)
                    advance(len(inputs))

        for inputs, targets in on_device("reference"):
            fit.add(inputs.to(device), targets)
        affine = fit.solve()
        for inputs, targets in on_device("score"):
            before_s = time.monotonic()
            noisy = devices.place(inputs, device)
            denoised = network(noisy)
            devices.synchronize(device)
            inference_s += time.monotonic() - before_s
            sums["denoised"].add(denoised, targets)
            sums["noisy_input"].add(noisy, targets)
            sums["scalar_wiener"].add(noisy.double() * affine.slope + affine.offset, targets)
        return Evaluation(
            samples=reader.samples,
            denoised=sums["denoised"].scores(),
            noisy_input=sums["noisy_input"].scores(),
            scalar_wiener=sums["scalar_wiener"].scores(),
            affine_map=affine,
            inference_s=inference_s,
            elapsed_s=time.monotonic() - started_s,
        )


def gain_db(scores: Scores, reference: Scores) -> float | None:
    """PSNR of the one less that of the other; None where either has no error at all."""
    if scores.psnr_db is None or reference.psnr_db is None:
        return None
    return scores.psnr_db - reference.psnr_db


def remarks(evaluation: Evaluation, dataset: DatasetRecord, trained_on: str) -> list[str]:
    """Sentences without which the scores would mislead."""
    found = []
    gain = gain_db(evaluation.denoised, evaluation.scalar_wiener)
    if gain is not None and gain < AS_GOOD_DB:
        verdict = "does as well as" if gain > -AS_GOOD_DB else "does better than"
        found.append(
            f"An affine map of the noisy input {verdict} the network, whose gain over the scalar Wiener reference is "
            f"{gain:+.2f} dB: with less than {AS_GOOD_DB} dB these scores do not tell a denoiser from two numbers."
        )
    if dataset.held_out == "regions":
        found.append(
            "With fewer than three micrographs, validation and test are regions of micrographs that were also "
            "trained on: the scores say nothing of other micrographs."
        )
    if dataset.skipped:
        found.append(f"{len(dataset.skipped)} unusable micrographs were left out; `skipped` names them.")
    if trained_on != dataset.identity:
        found.append(
            "The network was trained on another dataset than the one it is scored on; whether that one held "
            "micrographs of this test split was not checked."
        )
    return found
