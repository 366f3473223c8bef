"""What holds for every baseline of the registry."""

import numpy as np
import pytest
import torch

from cryodenoise.baselines import BASELINES, Fitted, choose
from cryodenoise.errors import UserError
from each_device import DEVICES
from noisy_pairs import Pair, known, mean_squared_error

NAMES = sorted(BASELINES)
PIXEL_SIZE_ANGSTROM = 2.0
ELECTRONS = 25


def shot_noise(seed: int, samples: int) -> Pair:
    """Independent pixels of two levels under shot noise, float32 of shape (samples, 1, 96, 80), clipped to [0, 1]."""
    rng = np.random.default_rng(seed)
    clean = np.where(rng.random((samples, 1, 96, 80)) < 0.4, 0.8, 0.3)
    noisy = np.clip(rng.poisson(ELECTRONS * clean) / ELECTRONS, 0, 1)
    return torch.from_numpy(noisy.astype("f4")), torch.from_numpy(clean.astype("f4"))


def fitted(name: str, device: str = "cpu") -> Fitted:
    training, validation = (
        (noisy.to(device), targets.to(device)) for noisy, targets in (shot_noise(1, 12), shot_noise(2, 2))
    )
    found = BASELINES[name].fit(known(training, validation, PIXEL_SIZE_ANGSTROM))
    assert found is not None
    return found


def test_the_baselines_are_these() -> None:
    assert {name: baseline.name for name, baseline in BASELINES.items()} == {name: name for name in NAMES}
    assert [name for name in NAMES if BASELINES[name].slow] == ["nlm", "tv"]
    assert len({baseline.title for baseline in BASELINES.values()}) == len(NAMES)


def test_a_name_is_looked_up_and_a_misspelt_one_refused() -> None:
    assert choose("wiener", "run/test.yaml: model") is BASELINES["wiener"]
    with pytest.raises(UserError, match=r"run/test.yaml: model: found 'weiner', .*; did you mean 'wiener'\?"):
        choose("weiner", "run/test.yaml: model")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", DEVICES)
def test_each_maps_each_image_for_itself_and_always_the_same(
    name: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        first, second = fitted(name, device), fitted(name, device)
        for dtype in (torch.float32, torch.float64):
            images = shot_noise(3, 3)[0].to(device, dtype)[..., :60]
            before = images.clone()
            denoised = first.denoise(images)
            assert (denoised.shape, denoised.dtype, denoised.device) == (images.shape, dtype, images.device)
            assert bool(denoised.isfinite().all())
            assert torch.equal(images, before)
            assert torch.equal(first.denoise(images), denoised)
            assert torch.equal(second.denoise(images), denoised)
            assert torch.equal(torch.cat([first.denoise(image[None]) for image in images]), denoised)
    finally:
        torch.use_deterministic_algorithms(False)
    assert first.parameters == second.parameters
    assert all(type(value) in (int, float) for value in first.parameters.values())


@pytest.mark.parametrize("name", NAMES)
def test_on_white_shot_noise_none_beats_the_curve_per_intensity(name: str) -> None:
    images, targets = shot_noise(4, 6)
    least = mean_squared_error(fitted("pointwise").denoise(images), targets)
    assert mean_squared_error(fitted(name).denoise(images), targets) >= least * (1 - 1e-9)
