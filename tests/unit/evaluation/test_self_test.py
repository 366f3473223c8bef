import pytest
import torch

from cryodenoise.config.scores import Scores
from cryodenoise.evaluation import self_test
from cryodenoise.metrics import accumulate, pixel

CPU = torch.device("cpu")


def test_every_mistake_that_was_published_has_its_answer() -> None:
    names = {test.name.split(":")[0] for test in self_test.run(CPU)}
    assert names == {"identity", "noisy input", "shifted by a pixel", "scaled by two", "transposed", "unequal noise"}


@pytest.mark.parametrize(
    ("score", "wrong"),
    [
        ("mse", lambda images, _: pixel.mean_squared_error(images, images)),
        ("mse", lambda images, others: pixel.mean_squared_error(images, others.transpose(2, 3))),
        ("mse", lambda images, others: pixel.mean_squared_error(images, others.roll(1, 3))),
        ("mse", lambda images, others: pixel.mean_squared_error(images, others) / len(images)),
        ("correlation", lambda images, others: pixel.correlation(images, others).abs() + 0.01),
        ("ssim", lambda images, others: pixel.structural_similarity(images, others) * 0.99),
    ],
    ids=["against-itself", "transposed", "shifted", "averaged-twice", "correlation", "ssim"],
)
def test_a_scorer_with_a_mistake_is_refused(score: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(accumulate._PER_PATCH, score, wrong)
    with pytest.raises(AssertionError, match="self-tests fail, so nothing is reported"):
        self_test.run(CPU)


def test_a_mean_of_the_psnrs_of_patches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def averaged(values: accumulate.PatchScores) -> Scores:
        scores = accumulate.scores_of(values)
        of_patches = scores.patch_psnr_db
        return scores.model_copy(update={"psnr_db": of_patches.mean}) if of_patches else scores

    monkeypatch.setattr(self_test, "scores_of", averaged)
    with pytest.raises(AssertionError, match="unequal noise: PSNR"):
        self_test.run(CPU)
