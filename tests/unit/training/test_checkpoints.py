from pathlib import Path

import pytest
import torch

from cryodenoise import devices
from cryodenoise.config.documents import Epoch
from cryodenoise.errors import UserError
from cryodenoise.models import cnn3
from cryodenoise.models.weights import write_tensors
from cryodenoise.training import checkpoints
from cryodenoise.training.checkpoints import Progress

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


def step(network: torch.nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    batch = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    (network(batch) - 1).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(tmp_path: Path, name: str) -> None:
    network = cnn3.build()
    optimizer = OPTIMIZERS[name](network.parameters(), lr=0.01)
    for seed in range(3):
        step(network, optimizer, seed)
    finished = Epoch(epoch=1, train_mse=0.1, validation_mse=1 / 3, elapsed_s=1.5, train_patches_per_s=7.0)
    progress = Progress(epoch=2, step=3, squared_error=0.1 + 0.2, history=[finished], best_epoch=1, best_mse=1 / 3)
    best = {name: value + 1 for name, value in network.state_dict().items()}
    checkpoints.save_state(tmp_path / "s", "cnn3", network, optimizer, progress, best)

    other = cnn3.build()
    other_optimizer = OPTIMIZERS[name](other.parameters(), lr=0.01)
    found, found_best = checkpoints.load_state(tmp_path / "s", "cnn3", other, other_optimizer)
    assert found == progress
    assert all(torch.equal(found_best[name], value) for name, value in best.items())
    for seed in range(3, 6):
        step(network, optimizer, seed)
        step(other, other_optimizer, seed)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_scrambled_weights_do_not_pass_as_those_that_were_saved(tmp_path: Path) -> None:
    network = devices.place(cnn3.build(), torch.device("cpu"))
    batch = torch.rand(2, 1, 16, 16)
    checkpoints.save_weights(tmp_path / "w", "cnn3", network.state_dict())
    checkpoints.require_same_prediction(tmp_path / "w", "cnn3", network, batch)
    scrambled = {name: value.flip(-1) for name, value in network.state_dict().items()}
    write_tensors(tmp_path / "w", scrambled, {"model": "cnn3"})
    with pytest.raises(RuntimeError, match="predict something else"):
        checkpoints.require_same_prediction(tmp_path / "w", "cnn3", network, batch)


def test_a_network_is_loaded_from_either_kind_of_file(tmp_path: Path) -> None:
    network = cnn3.build()
    checkpoints.save_weights(tmp_path / "w", "cnn3", network.state_dict())
    checkpoints.save_state(tmp_path / "s", "cnn3", network, torch.optim.Adam(network.parameters()), Progress(), {})
    for name in ("w", "s"):
        loaded = checkpoints.load_network(tmp_path / name, "cnn3")
        assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    write_tensors(tmp_path / "s", {"network.a": torch.zeros(1)}, {"model": "other"})
    network = cnn3.build()
    with pytest.raises(UserError, match="another network"):
        checkpoints.load_state(tmp_path / "s", "cnn3", network, torch.optim.Adam(network.parameters()))


def test_predicting_leaves_the_mode_as_it_was() -> None:
    network = torch.nn.Sequential(torch.nn.Dropout(0.5))
    batch = torch.ones(1, 1, 8, 8)
    assert torch.equal(checkpoints.predict(network.train(), batch), batch)
    assert network.training
