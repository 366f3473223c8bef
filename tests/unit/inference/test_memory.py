"""What tiles are chosen within a memory limit, and what they take."""

import json
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cryodenoise import devices
from cryodenoise.errors import UserError
from cryodenoise.inference.memory import (
    TAKEN_PER_COUNTED,
    bytes_per_px,
    choose_tile,
    fast_tile_px,
    host_bytes,
    tile_bytes,
)  # fmt: skip
from cryodenoise.inference.model import Model
from cryodenoise.inference.overlap import IN_FLIGHT
from cryodenoise.models import MODELS

CPU, GIB = torch.device("cpu"), 1 << 30
LARGE = (7420, 7676)


def a_model(multiple_px: int = 8, reach_px: int | None = 53, bytes_per_px: float = 292.0) -> Model:
    return Model("m", "0" * 64, lambda noisy: noisy, "p95", True, multiple_px, reach_px, bytes_per_px, None)


class LooksAtValues(nn.Module):
    """Cannot be followed without being computed."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = chain()

    def forward(self, images: Tensor) -> Tensor:
        assert images.max().item() > 0
        denoised: Tensor = self.convolutions(images)
        return denoised


def chain() -> nn.Module:
    return nn.Sequential(*(nn.Conv2d(*channels, 3, padding=1) for channels in ((1, 8), (8, 5), (5, 1))))


def test_a_chain_of_convolutions_takes_what_is_counted_by_hand() -> None:
    """The image, and what is widest: the input and the output of the convolution in the middle."""
    assert bytes_per_px(chain().eval(), 1) == pytest.approx(4 * (1 + 8 + 5), rel=1e-3)
    assert bytes_per_px(LooksAtValues().eval(), 8) == pytest.approx(4 * (1 + 8 + 5), rel=1e-3)


def test_the_shipped_networks_take_what_is_counted_by_hand() -> None:
    """The image; channels twice. unet: 32 kept and 32 risen, both joined, and 64 of half the side that rose."""
    expected = {"cnn3": 4 * (1 + 16 + 16), "dncnn12": 4 * (1 + 32 + 32), "unet": 4 * (1 + 32 + 32 + 64 + 64 / 4)}
    for name, counted in expected.items():
        assert bytes_per_px(MODELS[name].build().eval(), MODELS[name].multiple_px) == counted


def test_host_memory_is_what_micrographs_are_before_and_after() -> None:
    assert host_bytes(1000, 2000, 3) == 3 * 2 * 4 * 1000 * 2000


def test_small_micrographs_are_computed_as_a_whole() -> None:
    assert choose_tile(a_model(), [(500, 600), (1024, 1024)], CPU, 8) is None
    assert choose_tile(a_model(reach_px=None), [(3840, 3840)], CPU, 16) is None


def test_the_processor_gets_tiles_that_are_fast_where_memory_is_plenty() -> None:
    assert choose_tile(a_model(), [(500, 600), LARGE], CPU, 64) == fast_tile_px(a_model()) == 1344
    assert choose_tile(a_model(1, 3, 132), [LARGE], CPU, 64) == 1024


def test_little_memory_gives_the_largest_tile_that_fits() -> None:
    """One tile sees at most its side and a halo of 56 on either side; images take 1.37 GB, 1 GiB is set aside."""
    tile = choose_tile(a_model(), [LARGE, (64, 64)], CPU, 2.6)
    assert tile is not None
    left = 1.6 * GIB - host_bytes(*LARGE, IN_FLIGHT)
    assert tile % 8 == 0
    assert tile_bytes(a_model(), LARGE, tile, CPU) <= left < tile_bytes(a_model(), LARGE, tile + 64, CPU)
    assert tile_bytes(a_model(), LARGE, tile, CPU) <= (tile + 112) ** 2 * 292 * TAKEN_PER_COUNTED["cpu"]


@settings(deadline=None, max_examples=50)
@given(
    limits=st.tuples(st.floats(1.01, 64), st.floats(1.01, 64)), height_px=st.integers(1, 12000),
    width_px=st.integers(1, 12000), bytes_per_px=st.floats(8, 3000), reach_px=st.integers(0, 200),
)  # fmt: skip
def test_a_higher_limit_gives_no_smaller_tile(
    limits: tuple[float, float], height_px: int, width_px: int, bytes_per_px: float, reach_px: int
) -> None:
    model = a_model(8, reach_px, bytes_per_px)
    tiles = []
    for limit in sorted(limits):
        try:
            tile = choose_tile(model, [(height_px, width_px)], CPU, limit)
        except UserError:
            tiles.append(0)
            continue
        taken = tile_bytes(model, (height_px, width_px), tile, CPU) + host_bytes(height_px, width_px, IN_FLIGHT)
        assert taken + devices.RESERVE_BYTES <= limit * GIB
        assert tile is None or (tile >= 64 and tile % 8 == 0)
        tiles.append(1 << 20 if tile is None else tile)
    assert tiles == sorted(tiles)


@pytest.mark.parametrize(
    ("model", "limit_gib", "told"),
    [
        (
            a_model(),
            2.2,
            "memory_limit_gib: 2.2: m: too little is left for tiles of 64 pixels, beside micrographs of 7420",
        ),
        (
            a_model(reach_px=None),
            8,
            "memory_limit_gib: 8: m: it needs micrographs as a whole, and too little is left for one of 7420 × 7676 ",
        ),
        (a_model(), 0.5, "memory_limit_gib: 0.5: 1 GiB are set aside"),
    ],
)
def test_what_does_not_fit_is_told(model: Model, limit_gib: float, told: str) -> None:
    with pytest.raises(UserError) as caught:
        choose_tile(model, [(10, 10), LARGE], CPU, limit_gib)
    assert str(caught.value).startswith(told)


_MEASURED = """
import json, sys
import numpy as np, torch
from cryodenoise import devices
from cryodenoise.inference import memory, tiling
from cryodenoise.inference.networks import furthest_px
from cryodenoise.inference.model import Model
from cryodenoise.models import MODELS
from cryodenoise.models.denoiser import as_denoiser
name, height, width, tile = sys.argv[1], *map(int, sys.argv[2:])
device, network = devices.choose("cpu"), MODELS[sys.argv[1]]
module = network.build().eval()
counted = memory.bytes_per_px(module, network.multiple_px)
denoise = as_denoiser(devices.place(module, device), name, False, "denoising")
reach = furthest_px(network.receptive_field_px, network.multiple_px)
model = Model(name, "", denoise, "p95", True, network.multiple_px, reach, counted, None)
image = np.full((height, width), 0.5, np.float32)
tiling.denoise_image(image[:64, :64], model, device, None, lambda _: None)  # what is loaded late is there
devices.start_memory_figures_anew(device)
before = devices.peak_host_memory_bytes()
tiling.denoise_image(image, model, device, tile or None, lambda _: None)
promised = memory.tile_bytes(model, image.shape, tile or None, device) + memory.host_bytes(height, width, 1)
print(json.dumps([devices.peak_host_memory_bytes() - before, promised]))
"""


@pytest.mark.parametrize(
    ("name", "height_px", "width_px", "tile_px"),
    [("cnn3", 1500, 1000, 0), ("cnn3", 2000, 1501, 700), ("unet", 400, 310, 0)],
)
def test_computing_takes_no_more_memory_than_promised(name: str, height_px: int, width_px: int, tile_px: int) -> None:
    words = [sys.executable, "-c", _MEASURED, name, *map(str, (height_px, width_px, tile_px))]
    taken, promised = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert taken <= promised + (64 << 20)  # libraries, of the 1 GiB that is set aside
    assert taken > promised / 8
