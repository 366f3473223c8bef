import pytest

from cryodenoise.evaluation.references import chosen, pixel_size_angstrom
from small_datasets import described, micrograph, segment


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1.5, 1.5, 1.5], 1.5),
        ([0.6575], 0.6575),
        ([4879.0 / 7420, 5047.0 / 7676, 0.6575], 5047.0 / 7676),
        ([1.5, 1.6], None),
        ([1.5, 1.501], None),
        ([1.5, None], None),
        ([None, None], None),
    ],
)
def test_the_pixel_size_is_one_or_none(sizes: list[float | None], expected: float | None) -> None:
    """Headers hold the side of the field in single precision: of frames of two shapes it differs by a rounding."""
    record = described([segment(0, (0, 1), (0, 1))], [micrograph(size) for size in sizes])
    assert pixel_size_angstrom(record) == expected


def test_slow_filters_can_be_left_out() -> None:
    names = {each.name for each in chosen(True)}
    assert names - {each.name for each in chosen(False)} == {"nlm", "tv"}
    assert "identity" not in names
