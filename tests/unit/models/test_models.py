from pathlib import Path

import pytest
import torch

from cryodenoise.errors import UserError
from cryodenoise.models import MODELS, cnn3
from cryodenoise.models.weights import load_into, read_tensors, write_tensors


def test_cnn3_has_2625_parameters() -> None:
    assert sum(value.numel() for value in cnn3.build().parameters()) == 2625


def test_cnn3_sees_7_by_7_pixels() -> None:
    image = torch.zeros(1, 1, 15, 15, requires_grad=True)
    network = cnn3.build()
    for name, bias in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.constant_(bias, 5.0)  # no rectifier at rest may hide a pixel
    network(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    rows, columns = torch.nonzero(image.grad[0, 0], as_tuple=True)
    assert [int(edge) for edge in (rows.min(), rows.max(), columns.min(), columns.max())] == [4, 10, 4, 10]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_network_keeps_the_shape_of_its_input(name: str) -> None:
    assert MODELS[name]()(torch.zeros(2, 1, 32, 48)).shape == (2, 1, 32, 48)


def test_weights_come_back_bit_for_bit_and_equal_weights_give_equal_files(tmp_path: Path) -> None:
    network = cnn3.build()
    for name in ("a", "b"):
        write_tensors(tmp_path / name, network.state_dict(), {"model": "cnn3", "more": [1, 2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    tensors, about = read_tensors(tmp_path / "a")
    assert about == {"model": "cnn3", "more": [1, 2]}
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


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


def test_a_safetensors_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "w")
    with pytest.raises(UserError, match="no checkpoint"):
        read_tensors(tmp_path / "w")
