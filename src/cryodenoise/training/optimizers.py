"""How weights follow gradients, and the learning rate as a function of the step."""

import math
from typing import Any

import torch
from torch import nn

from cryodenoise.config.training import OptimizerParameters, ScheduleParameters

_ONE_BY_ONE: dict[str, Any] = {"foreach": False, "fused": False}  # else PyTorch's choice, and rounding, is the device's


def build(parameters: OptimizerParameters, network: nn.Module) -> torch.optim.Optimizer:
    """An optimizer of all the network's weights, at the highest learning rate of the schedule.

    Adam and AdamW have PyTorch's default moments (0.9, 0.999) and epsilon (1e-8). What `state_dict` holds is tensors
    alone, beside what the run file determines.
    """
    common = {"lr": parameters.learning_rate, "weight_decay": parameters.weight_decay, **_ONE_BY_ONE}
    weights = network.parameters()
    match parameters.name:
        case "adam":
            return torch.optim.Adam(weights, **common)
        case "adamw":
            return torch.optim.AdamW(weights, **common)
        case "sgd":
            return torch.optim.SGD(weights, momentum=parameters.momentum, **common)


def learning_rate(
    parameters: OptimizerParameters, schedule: ScheduleParameters, step: int, steps_per_epoch: int, epochs: int
) -> float:
    """The learning rate of a step.

    With a warm-up of w = warmup_epochs · steps_per_epoch steps, step k < w has (k + 1) / w of the highest rate, so the
    first step learns, too. From there `constant` stays; `cosine` goes down half a period, and the last step of the run
    has `final_fraction`. A run of a single step has the highest rate.

    Args:
        parameters: Holds the highest rate.
        schedule: How it changes; its warm-up is shorter than the run, as `TrainParameters` sees to.
        step: Steps before this one since the start of the run.
        steps_per_epoch: Steps of an epoch.
        epochs: Epochs of the run.
    """
    warmup_steps = schedule.warmup_epochs * steps_per_epoch
    highest_at, last = max(warmup_steps - 1, 0.0), epochs * steps_per_epoch - 1
    if step < highest_at:
        fraction = (step + 1) / warmup_steps
    elif schedule.name == "constant" or last <= highest_at:
        fraction = 1.0
    else:
        done = (step - highest_at) / (last - highest_at)
        fraction = schedule.final_fraction + (1 - schedule.final_fraction) * (1 + math.cos(math.pi * done)) / 2
    return parameters.learning_rate * fraction
