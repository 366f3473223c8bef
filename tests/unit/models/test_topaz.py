"""Networks of Topaz-Denoise with their published weights, held against topaz's own way to denoise."""

import hashlib
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from cryodenoise.errors import UserError
from cryodenoise.models import parameter_count, topaz

PARAMETERS = {"unet": 1_105_809, "unet-small": 649_137, "fcnn": 511_233}
SHAPE = (40, 57)  # no side of it a multiple of anything


def noisy(images: int = 1, shape: tuple[int, int] = SHAPE) -> torch.Tensor:
    rng = np.random.default_rng(3)
    return torch.from_numpy(rng.normal(12, 3, (images, 1, *shape)).astype(np.float32))


@pytest.fixture
def topaz_denoise(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """topaz.denoise, which imports by way of its data sets what no denoising uses and what need not be installed."""
    unused = {
        "torchvision": {}, "torchvision.transforms": {}, "torchvision.transforms.functional": {"rotate": None},
        "sklearn": {}, "sklearn.neighbors": {"KDTree": None},
    }  # fmt: skip
    before = set(sys.modules)
    for name, holds in unused.items():
        module = ModuleType(name)
        vars(module).update(holds)
        monkeypatch.setitem(sys.modules, name, module)
    import topaz.denoise

    yield topaz.denoise
    for name in set(sys.modules) - before:
        if name.startswith("topaz."):
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("name", topaz.NETWORKS)
@torch.no_grad()
def test_an_image_is_denoised_as_topaz_itself_denoises_a_micrograph(name: str, topaz_denoise: ModuleType) -> None:
    ours = topaz.load(f"topaz/{name}", "model")
    theirs = topaz_denoise.Denoise(nn.Sequential(ours.network))
    images = noisy(2)
    images[1] = 0.001 * images[1] - 5
    for image, denoised in zip(images, ours(images), strict=True):
        expected = theirs.denoise(image[0].numpy())
        assert expected.shape == SHAPE
        assert denoised[0].numpy() == pytest.approx(expected, rel=1e-5, abs=1e-5 * float(image.std()))


@pytest.mark.parametrize("name", topaz.NETWORKS)
@torch.no_grad()
def test_the_network_and_its_weights_are_those_that_topaz_names(name: str) -> None:
    """topaz.denoising.models.load_model chooses class and arguments; only its way to the weights fails."""
    from topaz.denoising import models

    published = topaz.NETWORKS[name]
    assert models.model_name_dict[name] == published.file
    path = Path(str(distribution("topaz-em").locate_file(f"topaz/pretrained/denoise/{published.file}")))
    state = torch.load(path, weights_only=True)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == published.sha256
    models.load_state_dict_from_pkg, before = lambda *_: state, models.load_state_dict_from_pkg
    try:
        theirs = models.load_model(name)
    finally:
        models.load_state_dict_from_pkg = before
    ours = topaz.load(f"topaz/{name}", "model")
    assert type(ours.network) is type(theirs)
    assert parameter_count(ours) == PARAMETERS[name]
    image = noisy()
    assert torch.equal(ours.network(image), theirs(image))


@torch.no_grad()
def test_another_scale_of_an_image_is_that_of_its_denoised_one() -> None:
    ours, image = topaz.load("topaz/fcnn", "model"), noisy()
    plain, scaled = ours(image), ours(0.01 * image + 3)
    assert scaled.numpy() == pytest.approx((0.01 * plain + 3).numpy(), abs=1e-5)


@pytest.mark.parametrize("name", topaz.NETWORKS)
@torch.no_grad()
def test_the_smallest_image_is_one_and_an_even_one_makes_numbers(name: str) -> None:
    side = topaz.NETWORKS[name].smallest_px
    topaz.require_takes(f"topaz/{name}", (side, side + 1), "model")
    ours = topaz.load(f"topaz/{name}", "model")
    for images in (noisy(1, (side, side + 1)), torch.full((1, 1, side, side), 0.25)):
        assert ours(images).shape == images.shape
        assert ours(images).isfinite().all()
    with pytest.raises(UserError, match=f"takes images of {side} × {side} pixels or more, found {side - 1} × 99"):
        topaz.require_takes(f"topaz/{name}", (side - 1, 99), "model")
    if name != "fcnn":
        with pytest.raises(RuntimeError):
            ours(noisy(1, (side - 1, 99)))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"run/test.yaml: model: found 'topaz/unet-3d', expected one of: topaz/fcnn,"):
        topaz.load("topaz/unet-3d", "run/test.yaml: model")


def test_without_the_package_it_is_told_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "topaz.denoising.models", None)
    with pytest.raises(UserError, match=r"pip install --no-deps -r requirements-topaz.txt"):
        topaz.load("topaz/fcnn", "model")


def test_weights_of_another_version_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"sha256": "0" * 64}, {"file": "fcnn_L1_v0.3.0.sav"}):
        published = topaz.NETWORKS["fcnn"].__dict__ | change
        monkeypatch.setitem(topaz.NETWORKS, "fcnn", topaz.Published(**published))
        with pytest.raises(UserError, match=r"topaz-em 0.3.20 has no file fcnn_\S+ as version 0.3.20 has it"):
            topaz.load("topaz/fcnn", "model")
