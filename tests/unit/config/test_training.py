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


def test_trainings_that_repeat_one_differ_by_their_seed_alone() -> None:
    parameters = TrainParameters(seed=5, repeat=3)
    assert parameters.training(1) == TrainParameters(seed=5)
    assert parameters.training(3) == TrainParameters(seed=7)
    assert parameters.determining() == TrainParameters(seed=5).determining()
    assert "repeat" not in parameters.determining() | parameters.of_the_machine()


@pytest.mark.parametrize("repeat", [0, 101, 1.5])
def test_a_number_of_trainings_that_cannot_be_is_refused(tmp_path: Path, repeat: float) -> None:
    with pytest.raises(UserError, match=f"repeat: found {repeat}, expected"):
        load(tmp_path, f"repeat: {repeat}")
