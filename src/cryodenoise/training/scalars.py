"""The epochs of a training as scalars for TensorBoard."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cryodenoise.config.training_record import Epoch
from cryodenoise.errors import UserError

FILES = "events.out.tfevents.*"
"""Pattern of the names of TensorBoard's files."""
GROUPS = {
    "quality": ("train_loss", "validation_mse", "validation_psnr_db", "gain_over_input_db"),
    "steps": ("learning_rate", "samples_seen", "skipped_steps"),
    "speed": ("train_patches_per_s", "read_mb_per_s", "waiting_fraction", "elapsed_s"),
}
"""The keys of an epoch in training.json by the groups in which TensorBoard shows them."""


@contextmanager
def writer(model_dir: Path, wanted: bool, history: Sequence[Epoch] = ()) -> Iterator[Callable[[Epoch], None]]:
    """Yield a function that writes an epoch's scalars to model_dir, or does nothing unless `wanted`.

    What TensorBoard shows depends on the epochs alone, not on how often a run was interrupted, nor where: each session
    begins a file, writes the finished epochs anew, and marks what earlier files hold as superseded. TensorBoard's
    relative time leaves interruptions out, as `elapsed_s` does.

    Args:
        model_dir: The folder of the run.
        wanted: Whether the run file asks for scalars.
        history: The epochs that earlier sessions finished.

    Raises:
        UserError: If the package is not installed.
    """
    if not wanted:
        yield lambda _: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            f"tensorboard: found true, but the package cannot be imported ({error}): run `pip install -r "
            "requirements-tensorboard.txt`, or remove the key; the container image does not have the package"
        ) from error
    started_s = time.time() - (history[-1].elapsed_s if history else 0)
    # From epoch 1 on the new file replaces what earlier ones hold; they stay for a TensorBoard that has them open.
    with SummaryWriter(model_dir, purge_step=1) as events:

        def write(epoch: Epoch) -> None:
            for group, names in GROUPS.items():
                for name in names:
                    if (value := getattr(epoch, name)) is not None:
                        events.add_scalar(f"{group}/{name}", value, epoch.epoch, walltime=started_s + epoch.elapsed_s)
            events.flush()

        for epoch in history:
            write(epoch)
        yield write
