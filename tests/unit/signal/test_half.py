import numpy as np

from cryodenoise.signal.half import to_float16


def rounded(values: np.ndarray) -> np.ndarray:
    out = np.empty((1, values.size), np.float16)
    to_float16(values.reshape(1, -1), out)
    return out.ravel()


def test_every_half_and_what_lies_around_its_borders_is_rounded_as_ieee_754_says() -> None:
    halves = np.arange(0x3C01, dtype=np.uint16).view(np.float16).astype(np.float32)  # 0 to 1
    between = (halves[:-1] + halves[1:]) / 2
    around = [np.nextafter(between, np.float32(side)) for side in (0, 1)]
    values = np.concatenate([halves, between, *around, [np.float32(1e-45), np.float32(2.0**-26)]]).astype(np.float32)
    assert rounded(values).tobytes() == values.astype(np.float16).tobytes()


def test_patches_of_a_micrograph_are_rounded_too() -> None:
    image = np.random.default_rng(0).random((50, 70), np.float32)
    patch = image[3:35, 5:37]
    out = np.empty(patch.shape, np.float16)
    to_float16(patch, out)
    assert out.tobytes() == patch.astype(np.float16).tobytes()


def test_every_half_of_either_sign_and_what_lies_beyond_is_rounded_as_ieee_754_says() -> None:
    positive = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    beyond = [65519.0, np.nextafter(np.float32(65520), np.float32(0)), 65520.0, 65536.0, 131072.0, 3e38]
    between = (positive[:-1] + positive[1:]) / 2
    values = np.concatenate([positive, between, beyond]).astype(np.float32)
    values = np.concatenate([values, -values])
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    assert rounded(values).tobytes() == expected.tobytes()
