import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryodenoise.simulation import transform

SHAPES = [(2, 2), (5, 8), (64, 48), (33, 130), (1, 6)]


@pytest.mark.parametrize("shape", SHAPES)
def test_forward_is_numpys(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).standard_normal(shape)
    assert np.allclose(transform.forward(image), np.fft.rfft2(image), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_inverse_is_numpys_and_brings_the_image_back(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).standard_normal(shape)
    spectrum = np.fft.rfft2(image)
    assert np.allclose(transform.inverse(spectrum.copy(), shape[1]), np.fft.irfft2(spectrum, shape), atol=1e-13)
    assert np.allclose(transform.inverse(transform.forward(image), shape[1]), image, atol=1e-13)


def test_frequencies_are_those_of_the_transform() -> None:
    fy, fx = transform.frequencies((6, 8), 2.0)
    assert fy.shape == (6, 1)
    assert fx.shape == (1, 5)
    x = np.arange(8) * 2.0
    wave = np.tile(np.cos(2 * np.pi * fx[0, 3] * x), (6, 1))
    assert np.flatnonzero(np.abs(transform.forward(wave)[0]) > 1e-9).tolist() == [3]
    assert fy[:, 0].tolist() == [0, 1 / 12, 2 / 12, -3 / 12, -2 / 12, -1 / 12]


@given(st.integers(1, 40_000))
def test_a_good_length_is_even_large_enough_and_the_smallest_of_its_kind(least: int) -> None:
    def good(length: int) -> bool:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        return rest == 1 and length % 2 == 0

    found = transform.good_length(least)
    assert good(found)
    assert found >= least
    assert not any(good(length) for length in range(least, found))


@pytest.mark.parametrize("cores", [1, 2, 16])
@pytest.mark.parametrize(("rows", "height"), [(1, None), (7, 3), (100, None), (100, 64), (64, 64)])
def test_bands_make_up_the_rows_once_each(
    rows: int, height: int | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "available_cores", lambda: cores)
    seen = np.zeros(rows, int)

    def work(band: slice) -> None:
        seen[band] += 1

    transform.in_bands(work, rows, height)
    assert (seen == 1).all()


def test_an_error_in_a_band_is_not_lost() -> None:
    def work(band: slice) -> None:
        raise ValueError(f"in band {band.start}")

    with pytest.raises(ValueError, match="in band 0"):
        transform.in_bands(work, 10, 5)
