from typing import Any

import pytest

from cryodenoise.config.documents import DatasetRecord
from cryodenoise.evaluation.score import Evaluation, remarks
from scores import set_of

KNOWN: dict[str, Any] = {"pairs": "truth", "held_out": "micrographs", "skipped": [], "identity": "0" * 64}
DATASET = DatasetRecord.model_construct(**KNOWN)


def said_of(network: float, reference: float) -> list[str]:
    evaluation = Evaluation(
        samples=4, against_target=set_of(network, reference), against_truth=None, inference_s=1.0, elapsed_s=1.0
    )
    return remarks(evaluation, DATASET, DATASET.identity)


@pytest.mark.parametrize(
    ("network", "reference", "verdict"),
    [
        (0.01, 0.0, "does better than the network"),
        (0.02, 0.01, "does better than the network"),
        (0.01, 0.01, "does as well as the network"),
    ],
    ids=["no-error", "better", "as-good"],
)
def test_a_network_that_two_numbers_match_is_told_of(network: float, reference: float, verdict: str) -> None:
    (remark,) = said_of(network, reference)
    assert "An affine map of the noisy input" in remark
    assert verdict in remark
    assert "None" not in remark


@pytest.mark.parametrize(("network", "reference"), [(0.001, 0.01), (0.0, 0.01), (0.0, 0.0)])
def test_nothing_is_said_of_a_network_that_is_not_matched(network: float, reference: float) -> None:
    assert said_of(network, reference) == []
