from typing import Any

import pytest
from pydantic import ValidationError

from cryodenoise.config.run_files import DownloadParameters, PairsKind, PreprocessParameters, is_clipped


@pytest.mark.parametrize(
    ("pairs", "normalization", "expected"),
    [
        ("added_noise", "p95", True), ("added_noise", "none", True), ("given", "p95", True), ("given", "none", False),
        ("given", None, True), ("truth", "p95", False), ("halves", "none", False),
    ],
)  # fmt: skip
def test_what_is_clipped(pairs: PairsKind, normalization: str | None, expected: bool) -> None:
    assert is_clipped(pairs, normalization) is expected


def given(**keys: Any) -> PreprocessParameters:
    return PreprocessParameters.model_validate({"noise": {"model": "none"}, **keys})


def test_datasets_made_before_splits_by_folders_are_made_from_the_same() -> None:
    assert "by" not in given(pairs={"kind": "given"}).determining()["split"]
    by_folders = given(pairs={"kind": "given"}, split={"by": "folders"})
    assert by_folders.determining()["split"]["by"] == "folders"
    assert PreprocessParameters.model_validate(by_folders.determining()) == by_folders


@pytest.mark.parametrize("names", [("a.h5", "clean"), ("noisy", "b.HDF5")])
def test_a_stack_and_a_folder_are_no_pair(names: tuple[str, str]) -> None:
    with pytest.raises(ValidationError, match="one is a file of images"):
        given(pairs={"kind": "given", "noisy": names[0], "clean": names[1]})


def test_an_address_determines_what_is_fetched_and_not_what_is_simulated() -> None:
    fetched = DownloadParameters.model_validate({"source": "graphene", "graphene": {}})
    assert fetched.determining()["graphene"]["address"].startswith("https://s3.echo.stfc.ac.uk/")
    simulated = DownloadParameters.model_validate({"source": "graphene", "graphene": {"simulated": {}}})
    assert set(simulated.determining()["graphene"]) == {"simulated"}
    other = DownloadParameters.model_validate({"source": "urls", "urls": {"index": "https://x/y/"}})
    assert "graphene" not in other.determining()
