from pathlib import Path

import pytest

from cryodenoise.config.training import TrainParameters
from cryodenoise.errors import UserError


def load(tmp_path: Path, text: str) -> TrainParameters:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return TrainParameters.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimizer: {momentum: 0.9}", "optimizer: momentum is a key of sgd, and name is 'adam': remove it"),
        ("schedule: {final_fraction: 0.1}", "schedule: final_fraction is a key of cosine, and name is 'constant'"),
        (
            "epochs: 2\nschedule: {warmup_epochs: 2.5}",
            "schedule.warmup_epochs is 2.5, and constant over 2 epochs takes at most 2: lower it",
        ),
        (
            "epochs: 2\nschedule: {name: cosine, warmup_epochs: 2}",
            "schedule.warmup_epochs is 2, and cosine over 2 epochs takes less than 2: lower it",
        ),
    ],
)
def test_keys_that_contradict_each_other_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'train.yaml'}: {message}")


@pytest.mark.parametrize(
    "text",
    [
        "optimizer: {name: sgd, momentum: 0.9}",
        "epochs: 2\nschedule: {warmup_epochs: 2}",
        "epochs: 2\nschedule: {name: cosine, warmup_epochs: 1.99, final_fraction: 0.01}",
    ],
)
def test_keys_that_go_together_are_taken(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)
