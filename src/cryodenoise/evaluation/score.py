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
from cryodenoise.config.report import AffineMap, Scores, ScoreSet
from cryodenoise.config.run_files import TestParameters
from cryodenoise.console import Console
from cryodenoise.dataset.layout import has_truth, roles_of
from cryodenoise.dataset.loader import Loader
from cryodenoise.dataset.order import batches
from cryodenoise.dataset.reader import SplitReader
from cryodenoise.metrics.accumulate import AffineFit, ScoreSums

AS_GOOD_DB = 0.1
"""A gain over the scalar Wiener reference below this counts as none."""


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a test split."""

    samples: int
    against_target: ScoreSet
    against_truth: ScoreSet | None
    inference_s: float
    elapsed_s: float


class _Comparison:
    """Scores against one kind of image, while they are summed."""

    def __init__(self) -> None:
        self.fit = AffineFit()
        self._affine = AffineMap(slope=1.0, offset=0.0)
        self._sums = {name: ScoreSums() for name in ("denoised", "noisy_input", "scalar_wiener")}

    def end_fit(self) -> None:
        """Take the affine map that the first pass has found."""
        self._affine = self.fit.solve()

    def add(self, denoised: torch.Tensor, noisy: torch.Tensor, others: torch.Tensor) -> None:
        """Score a batch."""
        self._sums["denoised"].add(denoised, others)
        self._sums["noisy_input"].add(noisy, others)
        self._sums["scalar_wiener"].add(noisy.double() * self._affine.slope + self._affine.offset, others)

    def scores(self) -> ScoreSet:
        denoised, noisy, wiener = (sums.scores() for sums in self._sums.values())
        return ScoreSet(
            denoised=denoised,
            noisy_input=noisy,
            scalar_wiener=wiener,
            affine_map=self._affine,
            gain_over_input_db=gain_db(denoised, noisy),
            gain_over_scalar_wiener_db=gain_db(denoised, wiener),
        )


@torch.no_grad()
def evaluate(
    network: nn.Module,
    data_dir: Path,
    dataset: DatasetRecord,
    parameters: TestParameters,
    device: torch.device,
    console: Console,
) -> Evaluation:
    """Score a network on the test split in two passes: one to fit the affine maps, one to score everything.

    Raises:
        UserError: If a sample is damaged.
    """
    network = devices.place(network, device).eval()
    comparisons = [_Comparison() for _ in range(1 + has_truth(dataset.segments))]
    inference_s = 0.0
    started_s = time.monotonic()
    with (
        SplitReader(data_dir, dataset, "test", roles_of("test", len(comparisons) > 1)) as reader,
        Loader(reader, device, parameters.read_ahead_mib, parameters.batch_size) as loader,
    ):

        def on_device(label: str) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
            plan = batches(np.arange(reader.samples), parameters.batch_size)
            with console.progress(label, reader.samples, "patches") as advance:
                for noisy, *others in loader.batches(plan):
                    yield noisy, others
                    advance(len(noisy))

        for noisy, others in on_device("reference"):
            for comparison, other in zip(comparisons, others, strict=True):
                comparison.fit.add(noisy, other)
        for comparison in comparisons:
            comparison.end_fit()
        for noisy, others in on_device("score"):
            before_s = time.monotonic()
            denoised = network(noisy)
            devices.synchronize(device)
            inference_s += time.monotonic() - before_s
            for comparison, other in zip(comparisons, others, strict=True):
                comparison.add(denoised, noisy, other)
        against_target, *against_truth = (comparison.scores() for comparison in comparisons)
        return Evaluation(
            samples=reader.samples,
            against_target=against_target,
            against_truth=against_truth[0] if against_truth else None,
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
    scores = evaluation.against_truth or evaluation.against_target
    gain = scores.gain_over_scalar_wiener_db
    if scores.scalar_wiener.mse == 0 < scores.denoised.mse:
        found.append(
            "An affine map of the noisy input does better than the network: it leaves no error at all, so these scores "
            "do not tell a denoiser from two numbers."
        )
    elif gain is not None and gain < AS_GOOD_DB:
        verdict = "does as well as" if gain > -AS_GOOD_DB else "does better than"
        found.append(
            f"An affine map of the noisy input {verdict} the network, whose gain over the scalar Wiener reference is "
            f"{gain:+.2f} dB: with less than {AS_GOOD_DB} dB these scores do not tell a denoiser from two numbers."
        )
    if dataset.pairs in ("added_noise", "halves") and evaluation.against_truth is None:
        found.append("The target is itself noisy: no score against it comes near that of the noise-free image.")
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
