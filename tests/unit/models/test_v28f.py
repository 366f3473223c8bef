from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cryodenoise.errors import UserError
from cryodenoise.models import cnn3, v28f
from cryodenoise.models.weights import load_into
from v28f_files import WRITERS, write

NAMES = sorted(f"{layer}_{part}.bin" for layer in v28f.LAYERS for part in ("weights", "bias"))


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return cnn3.build().state_dict()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "epoch_0005", weights(), "out-in-kh-kw")


def test_every_order_has_a_writer() -> None:
    assert WRITERS.keys() == v28f.ORDERS.keys()


@pytest.mark.parametrize("order", v28f.ORDERS)
def test_weights_written_in_an_order_come_back_from_it_and_predict_the_same(tmp_path: Path, order: str) -> None:
    known = weights()
    network, again = cnn3.build(), cnn3.build()
    network.load_state_dict(known)
    raw = v28f.read(write(tmp_path, known, order))
    found = v28f.state(raw, order)
    assert all(torch.equal(found[name], value) for name, value in known.items())
    load_into(again, found, "cnn3", tmp_path)
    noisy = torch.rand(2, 1, 17, 23)
    assert torch.equal(network(noisy), again(noisy))
    others = [v28f.state(raw, other) for other in v28f.ORDERS if other != order]
    assert not any(torch.equal(other["2.weight"], known["2.weight"]) for other in others)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
    st.sampled_from(sorted(v28f.ORDERS)),
)
def test_an_order_is_the_inverse_of_its_writer_for_kernels_of_any_shape(
    shape: tuple[int, int, int, int], order: str
) -> None:
    kernel = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(v28f.ORDERS[order](WRITERS[order](kernel), shape), kernel)


def test_the_fixed_order_is_the_loader_of_the_notebook_and_the_old_one_that_before_it() -> None:
    values = np.arange(16 * 16 * 9, dtype=np.float32)
    shape = (16, 16, 3, 3)
    old = values.reshape(3, 3, 16, 16).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(v28f.ORDERS["out-in-kh-kw"](values, shape), values.reshape(shape))
    np.testing.assert_array_equal(v28f.ORDERS["kh-kw-in-out"](values, shape), old)


def test_the_two_orders_that_differ_by_transposed_kernels_treat_transposed_images_alike() -> None:
    known = weights()
    one, other = cnn3.build(), cnn3.build()
    one.load_state_dict(known)
    other.load_state_dict({name: value.mT if value.ndim == 4 else value for name, value in known.items()})
    noisy = torch.rand(1, 1, 12, 15)
    torch.testing.assert_close(one(noisy).mT, other(noisy.mT))


def test_digests_are_those_of_the_files_and_other_files_are_named(folder: Path) -> None:
    (folder / "conv2_gradients.bin").write_bytes(b"")
    (folder / "loss.txt").write_text("  0.00696100\n")
    raw = v28f.read(folder)
    assert (sorted(raw.files), raw.not_read) == (NAMES, ["conv2_gradients.bin"])
    assert raw.files["conv3_weights.bin"].size_bytes == 4 * 144
    assert {len(file.sha256) for file in raw.files.values()} == {64}


def test_all_files_that_are_missing_are_named(folder: Path) -> None:
    for name in ("conv1_bias.bin", "conv3_weights.bin"):
        (folder / name).unlink()
    with pytest.raises(UserError, match=r"conv1_bias\.bin, conv3_weights\.bin missing: give the folder of an epoch"):
        v28f.read(folder)


def test_a_folder_of_epochs_names_them(tmp_path: Path) -> None:
    for epoch in ("epoch_0005", "epoch_0001"):
        write(tmp_path / epoch, weights(), "scrambled")
    with pytest.raises(UserError, match="give one of its folders epoch_0001, epoch_0005"):
        v28f.read(tmp_path)


@pytest.mark.parametrize("place", ["nowhere", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=r"expected a folder with conv1_bias\.bin"):
        v28f.read(tmp_path / place)


def test_the_layers_of_another_network_are_refused(folder: Path) -> None:
    (folder / "conv4_weights.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"found conv4_weights\.bin, expected the layers conv1, conv2, conv3 alone"):
        v28f.read(folder)
    for name in NAMES:
        (folder / name).rename(folder / name.replace("conv", "conv0"))
    with pytest.raises(UserError, match=r"missing; found conv01_bias\.bin.*another network's"):
        v28f.read(folder)


@pytest.mark.parametrize(("extra", "told"), [(-4, "143 values"), (4, "145 values"), (-1, "143.75 values")])
def test_every_wrong_length_is_told_in_values(folder: Path, extra: int, told: str) -> None:
    for name in ("conv1_weights.bin", "conv3_weights.bin"):
        content = (folder / name).read_bytes() + b"\0" * 8
        (folder / name).write_bytes(content[: 4 * 144 + extra])
    with pytest.raises(UserError) as caught:
        v28f.read(folder)
    lines = str(caught.value).splitlines()
    assert [name in line for name, line in zip(("conv1", "conv3"), lines, strict=True)] == [True, True]
    assert all(f"{told}, expected 576 bytes, 144 values" in line for line in lines)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(folder: Path, value: float) -> None:
    np.array([value], "<f4").tofile(folder / "conv3_bias.bin")
    with pytest.raises(UserError, match=r"conv3_bias\.bin: 1 of 1 values are not finite"):
        v28f.read(folder)
