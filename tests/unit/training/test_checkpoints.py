from pathlib import Path
from typing import Any

import pytest
import torch

from cryodenoise import devices
from cryodenoise.config.training import OptimizerParameters
from cryodenoise.config.training_record import Epoch
from cryodenoise.errors import UserError
from cryodenoise.models import MODELS
from cryodenoise.models.weights import read_tensors, write_tensors
from cryodenoise.training import checkpoints, optimizers
from cryodenoise.training.averages import AveragedWeights
from cryodenoise.training.checkpoints import Progress, Run

MADE_FROM = {"parameters": {"seed": 1}, "inputs": {"dataset": "a"}}
CHOICES: dict[str, dict[str, Any]] = {
    "adam": {"name": "adam"}, "adamw": {"name": "adamw", "weight_decay": 0.1}, "sgd": {"name": "sgd"},
    "sgd with momentum": {"name": "sgd", "momentum": 0.9},
}  # fmt: skip


def run_of(optimizer: str = "adam", model: str = "cnn3", fp16: bool = False) -> Run:
    module = MODELS[model].build()
    parameters = OptimizerParameters(learning_rate=0.01, **CHOICES[optimizer])
    return Run(
        MODELS[model],
        module,
        optimizers.build(parameters, module),
        AveragedWeights(module, 0.9),
        torch.amp.GradScaler("cpu", enabled=fp16),
        MADE_FROM,
    )


def step(run: Run, number: int) -> None:
    batch = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(number))
    run.optimizer.zero_grad()
    run.scaler.scale((run.module(batch) - 1).square().mean()).backward()
    run.scaler.step(run.optimizer)
    run.scaler.update()
    assert run.average is not None
    run.average.update(run.module, number)


def finished(epoch: int) -> Epoch:
    return Epoch(
        epoch=epoch, train_loss=0.1, validation_mse=1 / 3, validation_psnr_db=4.8, gain_over_input_db=None,
        learning_rate=0.01, samples_seen=7, elapsed_s=1.5, train_patches_per_s=7.0, read_mb_per_s=1.0,
        waiting_fraction=0.0, skipped_steps=0,
    )  # fmt: skip


@pytest.mark.parametrize("optimizer", sorted(CHOICES))
@pytest.mark.parametrize("fp16", [False, True])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(tmp_path: Path, optimizer: str, fp16: bool) -> None:
    run = run_of(optimizer, fp16=fp16)
    for number in range(3):
        step(run, number)
    run.progress = Progress(epoch=2, step=3, loss=0.1 + 0.2, history=[finished(1)], best_epoch=1, best_mse=1 / 3)
    run.best = {name: value + 1 for name, value in run.module.state_dict().items()}
    checkpoints.save_state(tmp_path / "s", run)

    other = run_of(optimizer, fp16=fp16)
    checkpoints.load_state(tmp_path / "s", other)
    assert other.progress == run.progress
    assert all(torch.equal(other.best[name], value) for name, value in run.best.items())
    for number in range(3, 6):
        step(run, number)
        step(other, number)
    for mine, found in ((run.module, other.module), (run.evaluated(), other.evaluated())):
        assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), found.parameters(), strict=True))
    assert run.scaler.state_dict() == other.scaler.state_dict()


def test_scrambled_weights_do_not_pass_as_those_that_were_saved(tmp_path: Path) -> None:
    cnn3 = MODELS["cnn3"]
    module = devices.place(cnn3.build(), torch.device("cpu"))
    batch = torch.rand(2, 1, 16, 16)
    checkpoints.save_weights(tmp_path / "w", "cnn3", module.state_dict())
    checkpoints.require_same_prediction(tmp_path / "w", cnn3, module, batch)
    scrambled = {name: value.flip(-1) for name, value in module.state_dict().items()}
    write_tensors(tmp_path / "w", scrambled, {"model": "cnn3"})
    with pytest.raises(RuntimeError, match="predict something else"):
        checkpoints.require_same_prediction(tmp_path / "w", cnn3, module, batch)


def test_a_network_is_loaded_from_either_kind_of_file(tmp_path: Path) -> None:
    run = run_of()
    checkpoints.save_weights(tmp_path / "w", "cnn3", run.module.state_dict())
    checkpoints.save_state(tmp_path / "s", run)
    for name in ("w", "s"):
        loaded = checkpoints.load_network(tmp_path / name, run.network)
        assert all(torch.equal(a, b) for a, b in zip(run.module.parameters(), loaded.parameters(), strict=True))


def test_loading_a_network_leaves_random_numbers_as_they_were(tmp_path: Path) -> None:
    run = run_of()
    checkpoints.save_weights(tmp_path / "w", "cnn3", run.module.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    checkpoints.load_network(tmp_path / "w", run.network)
    assert torch.equal(torch.rand(4), expected)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    checkpoints.save_state(tmp_path / "s", run_of(model="dncnn12"))
    with pytest.raises(UserError, match="another network"):
        checkpoints.load_state(tmp_path / "s", run_of())


def test_a_state_of_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    run = run_of()
    run.made_from = {"parameters": {"seed": 2}, "inputs": {"dataset": "a"}}
    checkpoints.save_state(tmp_path / "s", run)
    with pytest.raises(UserError, match=r"another run \(parameters.seed: 2 there, 1 now\)"):
        checkpoints.load_state(tmp_path / "s", run_of())


def numbers(model_dir: Path) -> list[int]:
    found = []
    for path in checkpoints.states(model_dir):
        run = run_of()
        checkpoints.load_state(path, run)
        found.append(run.progress.step)
    return found


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_states_are_kept_under_their_numbers(tmp_path: Path, keep: int) -> None:
    run = run_of()
    for number in range(1, 6):
        run.progress.step = number
        checkpoints.keep_former_states(tmp_path, keep)
        checkpoints.save_state(tmp_path / checkpoints.LAST_NAME, run)
        assert numbers(tmp_path) == list(range(number, max(0, number - keep), -1))


def test_fewer_states_are_kept_when_fewer_are_asked_for(tmp_path: Path) -> None:
    run = run_of()
    for number, keep in ((1, 4), (2, 4), (3, 4), (4, 2)):
        run.progress.step = number
        checkpoints.keep_former_states(tmp_path, keep)
        checkpoints.save_state(tmp_path / checkpoints.LAST_NAME, run)
    assert numbers(tmp_path) == [4, 3]


def test_a_damaged_state_is_passed_over_and_forgotten(tmp_path: Path) -> None:
    run, said = run_of(), list[str]()
    for number in range(1, 5):
        run.progress.step = number
        checkpoints.keep_former_states(tmp_path, 4)
        checkpoints.save_state(tmp_path / checkpoints.LAST_NAME, run)
    for name in ("last.safetensors", "last-2.safetensors"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-1] + b"\x7f")
    found = run_of()
    assert checkpoints.load_newest(tmp_path, found, said.append) == 3
    assert found.progress.step == 2
    assert all("going on from the state before it" in line for line in said)
    checkpoints.forget_newer(tmp_path, 3)
    assert numbers(tmp_path) == [2, 1]


def test_without_a_sound_state_the_last_one_is_named(tmp_path: Path) -> None:
    assert checkpoints.load_newest(tmp_path, run_of(), print) == 0
    (tmp_path / checkpoints.LAST_NAME).write_bytes(b"")
    with pytest.raises(UserError, match=r"last\.safetensors: no checkpoint"):
        checkpoints.load_newest(tmp_path, run_of(), print)


def test_predicting_leaves_the_mode_as_it_was() -> None:
    network = torch.nn.Sequential(torch.nn.Dropout(0.5))
    batch = torch.ones(1, 1, 8, 8)
    assert torch.equal(checkpoints.predict(network.train(), batch), batch)
    assert network.training


def test_a_state_that_cannot_be_read_just_now_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of()
    checkpoints.save_state(tmp_path / checkpoints.LAST_NAME, run)

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error", "last.safetensors")

    monkeypatch.setattr("cryodenoise.models.weights.safe_open", fail)
    with pytest.raises(OSError, match="Input/output error"):
        checkpoints.load_newest(tmp_path, run_of(), print)


def test_a_state_of_another_version_is_refused_not_passed_over(tmp_path: Path) -> None:
    for name in ("last.safetensors", "last-2.safetensors"):
        checkpoints.save_state(tmp_path / name, run_of())
    tensors, about = read_tensors(tmp_path / checkpoints.LAST_NAME)
    about["progress"]["of_a_later_version"] = 1
    write_tensors(tmp_path / checkpoints.LAST_NAME, tensors, about)
    with pytest.raises(UserError, match="of_a_later_version"):
        checkpoints.load_newest(tmp_path, run_of(), print)
