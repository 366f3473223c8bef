"""The networks of the registry: size, field of view, shapes, repeatability."""

import pytest
import torch
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.models import MODELS, Network, has_batch_statistics, name_of, parameter_count, require_takes
from each_device import WITH_GPU

PARAMETERS = {"cnn3": 2625, "dncnn12": 93089, "emdenoise": 122737, "unet": 1925025, "unet8": 120681}
"""Counted by hand from layers: (inputs · side² + 1) · outputs of a convolution, two a channel of a normalisation."""

NAMES = sorted(MODELS)


def test_the_networks_are_these() -> None:
    assert sorted(PARAMETERS) == NAMES
    assert {name: network.name for name, network in MODELS.items()} == {name: name for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_parameters(name: str) -> None:
    network = MODELS[name].build()
    assert parameter_count(network) == PARAMETERS[name]
    assert all(value.dtype == torch.float32 for value in network.parameters())


def seen_rows(images: torch.Tensor, pixels: torch.Tensor) -> tuple[int, int]:
    """First and last row of the images on which pixels of the output depend."""
    (gradient,) = torch.autograd.grad(pixels.sum(), images, retain_graph=True)
    rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero()
    return int(rows.min()), int(rows.max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("turned", [False, True])
def test_a_pixel_sees_the_stated_square(name: str, turned: bool) -> None:
    """Of positive weights and biases, so that no rectifier hides a pixel; each maximum is seen at both its ends."""
    network = MODELS[name].build().double().eval()
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(value.abs() + 0.01)
    if turned:
        network = nn.Sequential(Turn(), network, Turn())
    stated_px, step_px = MODELS[name].receptive_field_px, MODELS[name].multiple_px
    assert stated_px is not None
    height_px, middle = 16 * (stated_px // 8 + 1), 8 * (stated_px // 8 + 1)
    ramp = torch.linspace(1, 2, height_px, dtype=torch.float64).view(1, 1, -1, 1).expand(1, 1, -1, 8)
    images = torch.cat((ramp, ramp.flip(2))).requires_grad_()
    denoised = network(images)
    spans = [seen_rows(images, denoised[:, 0, row, 0]) for row in range(middle, middle + step_px)]
    assert all(0 < first < last < height_px - 1 for first, last in spans)
    assert max(last - first + 1 for first, last in spans) == stated_px


class Turn(nn.Module):
    """Exchanges rows and columns."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.transpose(2, 3)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_keeps_shape_and_type_in_both_modes_and_layouts(name: str) -> None:
    network = MODELS[name].build()
    images = torch.rand(2, 1, 32, 48)
    for mode in (True, False):
        denoised = network.train(mode)(images)
        assert (denoised.shape, denoised.dtype) == (images.shape, images.dtype)
    last = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert torch.allclose(last(images.to(memory_format=torch.channels_last)), denoised, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_equal_seeds_give_equal_weights_and_predictions(name: str) -> None:
    images = torch.rand(2, 1, 32, 32)
    predictions = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        predictions.append(MODELS[name].build().eval()(images))
    assert torch.equal(predictions[0], predictions[1])
    assert not torch.equal(predictions[0], predictions[2])


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_neither_blow_up_nor_put_out_what_passes(name: str) -> None:
    torch.manual_seed(3)
    network, images = MODELS[name].build(), torch.rand(4, 1, 64, 64)
    spread = network(images).std().item()
    assert 1e-3 < spread < 10
    network(images).square().mean().backward()
    assert all(value.grad is not None and value.grad.abs().max() > 0 for value in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_denoised_alone_as_among_others(name: str) -> None:
    network, images = MODELS[name].build().double().eval(), torch.rand(3, 1, 32, 32, dtype=torch.float64)
    assert torch.allclose(network(images)[1:2], network(images[1:2]), rtol=0, atol=1e-10)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=WITH_GPU)])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_repeatable_under_deterministic_algorithms(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    results = []
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            torch.manual_seed(5)
            network = MODELS[name].build().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            network(torch.rand(2, 1, 64, 64).to(device)).square().mean().backward()
            results.append([value.grad for value in network.parameters()])
    finally:
        torch.use_deterministic_algorithms(before)
    assert all(a is not None and b is not None and torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_only_emdenoise_has_batch_statistics() -> None:
    assert [name for name in NAMES if has_batch_statistics(MODELS[name].build())] == ["emdenoise"]
    assert has_batch_statistics(nn.Sequential(nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))))
    assert not has_batch_statistics(nn.Sequential(nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), nn.Dropout()))


def test_dncnn12_takes_noise_from_its_input() -> None:
    network, images = MODELS["dncnn12"].build(), torch.rand(1, 1, 32, 32)
    for value in network.parameters():
        nn.init.zeros_(value)
    assert torch.equal(network(images), images)


@pytest.mark.parametrize(
    ("name", "size_px", "offers"),
    [("unet", 100, "96 or 104"), ("emdenoise", 17, "16 or 24"), ("unet", 1023, "1016 or 1024")],
)
def test_patches_of_other_sides_are_refused_with_those_that_would_do(name: str, size_px: int, offers: str) -> None:
    with pytest.raises(UserError) as caught:
        require_takes(MODELS[name], (size_px, size_px), "run/train.yaml: model")
    assert str(caught.value) == (
        f"run/train.yaml: model: patches of {size_px} × {size_px} are no multiples of 8, as {name} needs: set "
        f"patches.size_px to {offers} in the run file of preprocess"
    )


def test_patches_of_any_side_are_taken_by_networks_without_levels() -> None:
    require_takes(MODELS["cnn3"], (17, 31), "here")
    require_takes(MODELS["unet"], (16, 8), "here")
    require_takes(Network("halving", nn.Identity, 2, 1), (16, 8), "here")
    with pytest.raises(UserError, match="patches of 16 × 9"):
        require_takes(Network("halving", nn.Identity, 2, 1), (16, 9), "here")


def test_names() -> None:
    assert name_of("cnn3") == "cnn3"
