import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from cryodenoise.config.scores import Scores
from cryodenoise.metrics import pixel
from cryodenoise.metrics.accumulate import PatchTable, psnr_db, scores_of
from noisy_pairs import pair


def scores_in_batches(images: torch.Tensor, targets: torch.Tensor, batch_size: int) -> Scores:
    table = PatchTable(len(images))
    for start in range(0, len(images), batch_size):
        table.set(start, images[start : start + batch_size], targets[start : start + batch_size])
    return scores_of(table.values())


def test_errors_are_those_of_a_few_lines_of_numpy() -> None:
    images, targets = pair(1)
    x, y = images.numpy().astype("f8")[:, 0], targets.numpy().astype("f8")[:, 0]
    scores = scores_in_batches(images, targets, 2)
    assert scores.mse == pytest.approx(((x - y) ** 2).mean(), rel=1e-12)
    assert scores.rmse == pytest.approx(np.sqrt(((x - y) ** 2).mean()), rel=1e-12)
    assert scores.mae == pytest.approx(abs(x - y).mean(), rel=1e-12)
    assert scores.psnr_db == pytest.approx(10 * np.log10(1 / ((x - y) ** 2).mean()), rel=1e-12)
    correlations = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(x, y, strict=True)]
    spread = scores.correlation
    assert spread.mean == pytest.approx(np.mean(correlations), rel=1e-12)
    assert spread.median == pytest.approx(np.median(correlations), rel=1e-12)
    assert (spread.min, spread.max) == pytest.approx((min(correlations), max(correlations)), rel=1e-12)


@pytest.mark.parametrize("size", [(11, 11), (16, 40), (64, 64)])
def test_ssim_is_scikit_images(size: tuple[int, int]) -> None:
    images, targets = pair(2, 3, *size)
    x, y = images.double().numpy()[:, 0], targets.double().numpy()[:, 0]
    settings = {"data_range": 1.0, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = [structural_similarity(a, b, **settings) for a, b in zip(x, y, strict=True)]  # type: ignore[no-untyped-call]
    assert pixel.structural_similarity(images, targets).tolist() == pytest.approx(expected, rel=1e-9)


def test_the_truth_scores_perfectly() -> None:
    _, targets = pair(3)
    scores = scores_in_batches(targets, targets, 3)
    assert (scores.mse, scores.mae, scores.psnr_db) == (0, 0, None)
    assert scores.ssim.min == pytest.approx(1, abs=1e-12)
    assert scores.correlation.min == pytest.approx(1, abs=1e-12)


def test_psnr_has_known_values() -> None:
    assert psnr_db(1.0) == 0
    assert psnr_db(0.01) == pytest.approx(20)
    assert psnr_db(0.006961) == pytest.approx(21.57, abs=0.005)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_no_score_depends_on_the_batch_size(batch_size: int) -> None:
    images, targets = pair(4)
    whole = scores_in_batches(images, targets, len(images))
    cut = scores_in_batches(images, targets, batch_size)
    assert cut.mse == pytest.approx(whole.mse, rel=1e-14)
    assert cut.ssim.mean == pytest.approx(whole.ssim.mean, rel=1e-12)


def test_a_constant_patch_has_correlation_zero() -> None:
    images, targets = pair(5, 2)
    images[0] = 0.3
    assert pixel.correlation(images, targets)[0] == 0
    assert pixel.correlation(targets, images)[0] == 0
    assert pixel.correlation(images, targets)[1] > 0.5


def test_correlation_is_unmoved_by_a_rising_affine_map_and_turned_by_a_falling_one() -> None:
    images, targets = pair(6)
    plain = pixel.correlation(images, targets)
    assert torch.allclose(pixel.correlation(images.double() * 3 + 1, targets), plain, atol=1e-12)
    assert torch.allclose(pixel.correlation(-images, targets), -plain, atol=1e-12)
