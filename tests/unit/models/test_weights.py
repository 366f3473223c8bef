from pathlib import Path

import pytest
import torch

from cryodenoise.errors import UserError
from cryodenoise.models import cnn3
from cryodenoise.models.weights import load_into, read_tensors, write_tensors


def test_weights_come_back_bit_for_bit_and_equal_weights_give_equal_files(tmp_path: Path) -> None:
    network = cnn3.build()
    for name in ("a", "b"):
        write_tensors(tmp_path / name, network.state_dict(), {"model": "cnn3", "more": [1, 2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    tensors, about = read_tensors(tmp_path / "a")
    assert about == {"model": "cnn3", "more": [1, 2]}
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


def test_weights_that_share_memory_come_back(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), torch.nn.Conv2d(1, 1, 3))
    network[1].weight = network[0].weight
    write_tensors(tmp_path / "w", network.state_dict(), {})
    tensors, _ = read_tensors(tmp_path / "w")
    assert torch.equal(tensors["0.weight"], tensors["1.weight"])
    load_into(network, tensors, "own", tmp_path / "w")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another network than cnn3"):
        load_into(cnn3.build(), {"0.weight": torch.zeros(3, 3)}, "cnn3", tmp_path / "w")
    swapped = {name: value.transpose(0, -1).contiguous() for name, value in cnn3.build().state_dict().items()}
    with pytest.raises(UserError, match=r"shape \(3, 1, 3, 16\), expected \(16, 1, 3, 3\)"):
        load_into(cnn3.build(), swapped, "cnn3", tmp_path / "w")


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"x" * 100])
def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(UserError, match="no checkpoint"):
        read_tensors(tmp_path / "w")


def test_texts_that_nest_without_end_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w", {"cryodenoise": "[" * 100_000})
    with pytest.raises(UserError, match="no checkpoint"):
        read_tensors(tmp_path / "w")


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w")
    with pytest.raises(UserError, match="no checkpoint"):
        read_tensors(tmp_path / "w")
