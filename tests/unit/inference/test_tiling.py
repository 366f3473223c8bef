"""Tiled equals whole, for every network and at odd sizes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cryodenoise import devices
from cryodenoise.baselines.baseline import Denoise
from cryodenoise.errors import UserError
from cryodenoise.inference.model import Model
from cryodenoise.inference.networks import furthest_px
from cryodenoise.inference.tiling import denoise_image, spans
from cryodenoise.models import MODELS
from cryodenoise.models.denoiser import as_denoiser
from each_device import DEVICES

CPU = torch.device("cpu")


def a_model(denoise: Denoise, multiple_px: int = 1, reach_px: int | None = 0) -> Model:
    return Model("m", "0" * 64, denoise, "p95", True, multiple_px, reach_px, 100.0, None)


def random_network(name: str) -> nn.Module:
    """Random weights; of a batch normalisation the statistics and the affine map, too."""
    torch.manual_seed(1)
    module = MODELS[name].build()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return module


def model_of(name: str, device: torch.device = CPU) -> Model:
    network = MODELS[name]
    assert network.receptive_field_px is not None
    reach = furthest_px(network.receptive_field_px, network.multiple_px)
    module = devices.place(random_network(name), device)
    return a_model(as_denoiser(module, name, False, "denoising"), network.multiple_px, reach)


def image_of(height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(height_px).random((height_px, width_px), np.float32)


def denoised(image: np.ndarray, model: Model, tile_px: int | None, device: torch.device = CPU) -> np.ndarray:
    given = image.copy()
    pixels: list[int] = []
    result = denoise_image(image, model, device, tile_px, pixels.append)
    assert result.shape == image.shape
    assert result.dtype == np.float32
    assert sum(pixels) == image.size
    assert not np.shares_memory(result, image)
    assert np.array_equal(image, given)
    return result


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("name", "shape", "tile_px"),
    [
        ("cnn3", (1023, 1537), 300),
        ("dncnn12", (203, 331), 64),
        ("emdenoise", (511, 333), 136),
        ("unet", (203, 331), 96),
        ("unet", (64, 1024), 200),
        ("unet", (333, 50), 96),
        *((name, shape, 64) for name in MODELS for shape in ((1, 1), (7, 5), (50, 61), (1, 150))),
    ],
)
def test_tiled_equals_whole_everywhere(name: str, shape: tuple[int, int], tile_px: int, device: str) -> None:
    model, image = model_of(name, torch.device(device)), image_of(*shape)
    whole = denoised(image, model, None, torch.device(device))
    tiled = denoised(image, model, tile_px, torch.device(device))
    assert np.abs(tiled - whole).max() <= 1e-6 * max(np.ptp(whole), np.abs(whole).max())


@pytest.mark.parametrize("name", ["cnn3", "unet"])
def test_the_whole_is_what_the_network_makes_of_the_mirrored_image(name: str) -> None:
    image = image_of(45, 61)
    multiple = MODELS[name].multiple_px
    mirrored = np.pad(image, [(0, -side % multiple) for side in image.shape], mode="symmetric")
    with torch.no_grad():
        expected = random_network(name).eval()(torch.from_numpy(mirrored)[None, None])[0, 0, :45, :61].numpy()
    assert np.abs(denoised(image, model_of(name), None) - expected).max() < 1e-5 * np.ptp(expected)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (63, 200), (3, 129)])
@pytest.mark.parametrize("tile_px", [None, 1, 7, 64])
@pytest.mark.parametrize("multiple_px", [1, 8, 64])
def test_an_identity_gives_back_what_it_is_given(shape: tuple[int, int], tile_px: int | None, multiple_px: int) -> None:
    seen: list[np.ndarray] = []

    def identity(noisy: torch.Tensor) -> torch.Tensor:
        seen.append(noisy[0, 0].numpy().copy())
        return noisy

    image = image_of(*shape)
    assert np.array_equal(denoised(image, a_model(identity, multiple_px), tile_px), image)
    if tile_px is None:
        padding = [(0, -side % multiple_px) for side in shape]
        assert np.array_equal(seen[0], np.pad(image, padding, mode="symmetric"))


@settings(deadline=None, max_examples=25)
@given(
    height_px=st.integers(1, 60), width_px=st.integers(1, 60), tile_px=st.integers(12, 70), pooled=st.booleans(),
    layers=st.integers(1, 3), extra_px=st.integers(0, 5),
)  # fmt: skip
def test_tiled_equals_whole_for_any_sizes(
    height_px: int, width_px: int, tile_px: int, pooled: bool, layers: int, extra_px: int
) -> None:
    torch.manual_seed(layers)
    module: nn.Module = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), *_convolutions(layers), nn.Conv2d(3, 1, 1))
    reach = layers + 1
    if pooled:  # a convolution of cells of 2 × 2
        module = nn.Sequential(nn.MaxPool2d(2), module, nn.Upsample(scale_factor=2))
        reach = 2 * reach + 1
    model = a_model(as_denoiser(module.double(), "m", False, "denoising"), 2 if pooled else 1, reach + extra_px)
    exact = a_model(lambda noisy: model.denoise(noisy.double()), model.multiple_px, model.reach_px)
    image = image_of(height_px, width_px)
    assert np.allclose(denoised(image, exact, tile_px), denoised(image, exact, None), rtol=1e-6, atol=1e-7)


def _convolutions(layers: int) -> list[nn.Module]:
    return [part for _ in range(layers) for part in (nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1))]


def test_a_halo_too_small_would_be_seen() -> None:
    model, image = model_of("cnn3"), image_of(70, 70)
    short = a_model(model.denoise, 1, 2)
    assert np.abs(denoised(image, short, 20) - denoised(image, model, None)).max() > 1e-4


@settings(deadline=None)
@given(
    side_px=st.integers(1, 5000), tile_cells=st.integers(1, 300), multiple_px=st.sampled_from([1, 2, 8, 64]),
    reach_px=st.integers(0, 130),
)  # fmt: skip
def test_tiles_cover_the_image_once_with_a_halo_and_are_of_one_size(
    side_px: int, tile_cells: int, multiple_px: int, reach_px: int
) -> None:
    tile_px = tile_cells * multiple_px
    tiles = list(spans(side_px, tile_px, multiple_px, reach_px))
    padded = tiles[-1].end
    assert side_px <= padded < side_px + multiple_px
    assert [tile.begin for tile in tiles] == [0, *(tile.end for tile in tiles[:-1])]
    assert len({tile.seen_end - tile.seen_begin for tile in tiles}) == 1
    for tile in tiles:
        assert tile.begin < min(tile.end, side_px)
        assert 0 <= tile.seen_begin <= max(tile.begin - reach_px, 0)
        assert min(tile.end + reach_px, padded) <= tile.seen_end <= padded
        assert tile.seen_begin % multiple_px == tile.seen_end % multiple_px == 0
        assert tile.seen_end - tile.seen_begin <= tile_px + 2 * (reach_px + multiple_px - 1)


def test_what_looks_at_the_whole_image_is_not_tiled() -> None:
    model = a_model(lambda noisy: noisy - noisy.mean(), reach_px=None)
    image = image_of(40, 40)
    assert denoised(image, model, None) == pytest.approx(image - image.mean(), abs=1e-6)
    with pytest.raises(UserError, match=r"^tile_px: 64: m may look at all of an image for each pixel, .*: leave"):
        denoised(image, model, 64)


def test_what_works_in_place_leaves_the_image_alone() -> None:
    for tile_px in (None, 16):
        assert denoised(image_of(40, 40), a_model(lambda noisy: noisy.zero_()), tile_px).max() == 0


@pytest.mark.parametrize(
    ("denoise", "told"),
    [
        (lambda noisy: noisy[:, 0], "m: found (1, 20, 30), expected a tensor of shape (1, 1, 20, 30): mend it"),
        (lambda noisy: [noisy], "m: found list, expected a tensor of shape (1, 1, 20, 30): mend it"),
        (
            lambda noisy: noisy / 0,
            "m: it makes values of a micrograph that are not finite: mend it, or set `precision: fp32`",
        ),
        (
            lambda noisy: noisy * torch.nan,
            "m: it makes values of a micrograph that are not finite: mend it, or set `precision: fp32`",
        ),
    ],
)
def test_what_is_no_image_is_refused(denoise: Denoise, told: str) -> None:
    with pytest.raises(UserError) as caught:
        denoised(image_of(20, 30), a_model(denoise), None)
    assert str(caught.value) == told


def test_memory_that_runs_out_is_told_and_other_errors_are_not_hidden() -> None:
    def too_much(_: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError

    def wrong(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("another")

    with pytest.raises(UserError, match=r"^tile_px: m: 20 × 30 pixels at a time do not fit into the memory"):
        denoised(image_of(20, 30), a_model(too_much), None)
    with pytest.raises(RuntimeError, match="another"):
        denoised(image_of(20, 30), a_model(wrong), None)
