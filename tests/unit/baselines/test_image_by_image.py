"""Filters of scikit-image: what they are, and how their strength is found."""

import numpy as np
import pytest
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from cryodenoise.baselines import nlm, tv
from cryodenoise.baselines.image_by_image import filter_with, tuned_strength
from noisy_pairs import Pair, in_batches, known, mean_squared_error, pair


def disks(seed: int, samples: int = 2) -> Pair:
    """A bright disk under white noise of standard deviation 0.25, float32."""
    rng = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(56.0), indexing="ij")
    clean = ((rows - 24).square() + (columns - 30).square() < 150).float().expand(samples, 1, 48, 56)
    return clean + 0.25 * torch.randn(clean.shape, generator=rng), clean


def test_they_are_scikit_images() -> None:
    images, _ = disks(1)
    image = images[0, 0].double().numpy()
    settings = {"patch_size": 7, "patch_distance": 11, "fast_mode": True}
    expected = denoise_nl_means(image, h=0.16, sigma=0.2, **settings)
    assert np.allclose(nlm.non_local_means(image, 0.2), expected, rtol=1e-12)
    expected = denoise_tv_chambolle(image, weight=0.3)  # type: ignore[no-untyped-call]
    assert np.array_equal(tv.total_variation(image, 0.3), expected)


@pytest.mark.parametrize(("method", "least_gain"), [(nlm, 4), (tv, 8)])
def test_they_remove_most_of_the_noise_of_a_disk(method: object, least_gain: float) -> None:
    assert method in (nlm, tv)
    fitted = (nlm if method is nlm else tv).fit(known(disks(2), disks(3)))
    images, targets = disks(4)
    before, after = mean_squared_error(images, targets), mean_squared_error(fitted.denoise(images), targets)
    assert after < before / least_gain
    (strength,) = fitted.parameters.values()
    assert 0.05 < strength < 1


def test_few_tries_on_corners_of_few_patches_find_a_strength() -> None:
    asked: list[tuple[int, ...]] = []

    def shrink(image: np.ndarray, strength: float) -> np.ndarray:
        asked.append(image.shape)
        return np.asarray(image * (1 - strength))

    images, _ = pair(5, 7, 300, 400)
    strength = tuned_strength(shrink, in_batches(images, images * 0.6, 3))
    assert strength == pytest.approx(0.4, rel=0.25)
    assert set(asked) == {(256, 256)}
    assert 4 * 8 <= len(asked) <= 4 * 10


@pytest.mark.parametrize("method", ["nlm", "tv"])
def test_images_without_noise_are_hardly_changed(method: str) -> None:
    _, clean = disks(7)
    denoised = (nlm if method == "nlm" else tv).fit(known((clean, clean))).denoise(clean)
    assert torch.allclose(denoised, clean, atol=0.01)


def test_the_filter_comes_back_in_the_type_it_was_given() -> None:
    images, _ = disks(8)
    denoise = filter_with(lambda image, strength: image * strength, 0.5)
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(denoise(images.to(dtype)), images.to(dtype) * 0.5)
