"""What a network takes: told by counting and by a few of its own steps."""

import pytest
import torch

from cryodenoise import devices
from cryodenoise.config.run_files import TestParameters
from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError
from cryodenoise.estimates.networks import Cost, cost_of_scoring, cost_of_training
from cryodenoise.models import MODELS

CPU = torch.device("cpu")


def training(model: str = "cnn3", side_px: int = 64, **keys: object) -> Cost:
    return cost_of_training(TrainParameters.model_validate(keys), MODELS[model], side_px, CPU, quick=True)


def test_all_figures_are_those_of_the_processor() -> None:
    cost = training(batch_size=8)
    assert cost.device == devices.name_of(CPU)
    assert cost.patches_per_s > 0
    assert cost.device_bytes is None
    assert cost.micro_batch_size == 8


def test_memory_grows_with_the_patches_and_a_limit_makes_the_micro_batch_smaller() -> None:
    small, large = training(batch_size=4, side_px=256), training(batch_size=16, side_px=256)
    activations = 12 * 256**2 * 4 * (16 + 16)  # what two layers keep of twelve more patches
    assert large.host_bytes - small.host_bytes > activations
    limited = training(batch_size=64, side_px=256, memory_limit_gib=1.5)
    assert 1 <= limited.micro_batch_size < 64


def test_a_larger_network_is_slower() -> None:
    assert training("unet", batch_size=1, side_px=128).patches_per_s < training(
        batch_size=1, side_px=128
    ).patches_per_s  # fmt: skip


def test_a_limit_below_one_patch_is_an_error() -> None:
    with pytest.raises(UserError, match="not even one patch of 1024 × 1024 fits"):
        training("unet", side_px=1024, memory_limit_gib=1.01)


def test_the_weights_drawn_for_it_leave_the_random_stream_as_it_was() -> None:
    before = torch.get_rng_state()
    training(batch_size=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_scoring_more_at_a_time_takes_more_memory() -> None:
    few, many = (
        cost_of_scoring(TestParameters(batch_size=size, device="cpu"), MODELS["cnn3"], 128, with_truth=True)
        for size in (2, 64)
    )
    assert many.host_bytes > few.host_bytes
    assert few.patches_per_s > 0
