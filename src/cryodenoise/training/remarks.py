"""Sentences without which a finished run would mislead."""

from cryodenoise.config.run_files import PairsKind
from cryodenoise.config.training import TrainParameters
from cryodenoise.training.checkpoints import Progress
from cryodenoise.training.objectives import require_suits

_WORSE_FACTOR = 1.5
"""A last validation error above the best by more than this factor is worth a remark: 1.8 dB."""
_RISE_FACTOR = 1.1
"""Likewise a training loss that ends above the one of the first epoch."""
_SKIPPED_FRACTION, _FIRST_SKIPPED = 0.01, 16
"""Likewise steps of fp16 without effect; the first few are how the loss scaling finds its scale."""


def remarks(parameters: TrainParameters, pairs: PairsKind, progress: Progress) -> list[str]:
    """What a reader must know to judge the run."""
    found, history = [], progress.history
    first, last = history[0], history[-1]
    best = min(history, key=lambda epoch: epoch.validation_mse)
    if last.train_loss > _RISE_FACTOR * first.train_loss:
        found.append(
            f"Training diverged: its loss rose from {first.train_loss:.6g} in the first epoch to {last.train_loss:.6g} "
            f"in the last; the weights are those of epoch {best.epoch}."
        )
    elif last.validation_mse > _WORSE_FACTOR * best.validation_mse:
        found.append(
            f"Training diverged or overfitted: the validation error of the last epoch is "
            f"{last.validation_mse / best.validation_mse:.2g} times that of epoch {best.epoch}, whose weights are kept."
        )
    if progress.input_mse is not None and best.validation_mse >= progress.input_mse:
        found.append("No epoch came below the noisy input's error on the validation split.")
    if parameters.target and progress.target is None:
        found.append(
            f"The validation quality asked for, {parameters.target.validation_psnr_db:g} dB, was not reached in "
            f"{len(history)} epochs."
        )
    skipped, steps = sum(epoch.skipped_steps for epoch in history), last.samples_seen / parameters.batch_size
    if skipped > max(_FIRST_SKIPPED, _SKIPPED_FRACTION * steps):
        found.append(f"{skipped} steps of some {steps:.0f} changed no weight, since a gradient of fp16 overflowed.")
    return found + require_suits(parameters.objective, pairs, "objective")
